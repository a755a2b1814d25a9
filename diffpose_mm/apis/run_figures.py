"""Figures of a run that has come to its end."""

import os.path as osp
from collections.abc import Container

import cv2
import numpy as np

from ..video_reader import VideoReader
from ..visualization.video_figures import TrackHistory, contact_sheet, crop_to
from .run import Run


def draw_sheet(
    results: Run,
    out: str,
    count: int,
    history: TrackHistory,
    times: dict[int, float | None],
    names: list[str],
) -> list[str]:
    """Write the contact sheet of a run that has drawn.

    Args:
        results: The run.
        out: Folder to write to.
        count: How many frames at most.
        history: What was seen.
        times: Seconds of each frame.
        names: Drawn files of pictures.

    Returns:
        list[str]: The path of the sheet, or nothing where no frame was drawn.
    """
    sheet = osp.join(out, 'contact_sheet.png')
    if results.source.is_clip:
        moments = history.key_moments(count)
        frames = frames_of_video(results.files[-1], moments)
        titles = []
        for number in frames:
            at = times.get(number)
            when = '' if at is None else f', {at:.2f} s'
            titles.append(f'frame {number}{when}  {moments[number]}')
        extent = history.extent(frames)
        drawn = [crop_to(frame, extent) for frame in frames.values()]
    else:
        chosen = names[:: -(-len(names) // count)] if names else []
        titles = [osp.basename(name) for name in chosen]
        pictures = (cv2.imread(name) for name in chosen)
        drawn = [picture for picture in pictures if picture is not None]
    if not drawn:
        return []
    contact_sheet(sheet, drawn, titles)
    return [sheet]


def frames_of_video(path: str, numbers: Container[int]) -> dict[int, np.ndarray]:
    """Some frames of a video, BGR, by number; those that it has not are left out."""
    return {
        frame.number: frame.image
        for frame in VideoReader(path)
        if frame.number in numbers and frame.image is not None
    }
