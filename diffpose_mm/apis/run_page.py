"""The page of a run that has come to its end."""

import logging
import os.path as osp
from collections.abc import Callable
from contextlib import ExitStack

from mmengine.logging import print_log

from ..report import Report, make_report
from .progress import frame_progress
from .run import Run
from .run_smoothing import poses_of


def write_page(
    poses: str,
    video: str | None,
    out: str,
    max_megabytes: float,
    keypoints: str | None = None,
) -> Report:
    """Write a page and say what is in it; shows how far the copy of the video is.

    Args:
        poses, video, max_megabytes, keypoints: See :func:`make_report`.
        out: File to write.

    Raises:
        ValueError: Names what cannot be used, or what does not fit.
        OSError: A file cannot be read or written.
    """
    with ExitStack() as stack:
        bars: list[Callable[[], None]] = []

        def advance() -> None:
            if not bars:  # no bar where nothing is encoded
                bars.append(stack.enter_context(frame_progress(osp.basename(out), None)))
            bars[0]()

        report = make_report(poses, video, max_megabytes, keypoints, advance=advance)
    report.write(out)
    print_log(f'{out}: {report.summary()}', logger='current')
    for note in report.predictions.notes:
        print_log(f'{out}: {note}', logger='current', level=logging.WARNING)
    return report


def page_of_run(
    results: Run, video: str, out: str, max_megabytes: float, poses: str = ''
) -> list[str]:
    """Write the page of a run on a video file; its path, or nothing where there is no page.

    The predictions are complete by then: what goes wrong here is said, and fails nothing.

    Args:
        results: The run.
        video, out, max_megabytes: See :func:`write_page`.
        poses: Made of these in place of what the run has written.
    """
    poses = poses or poses_of(results)
    if not (results.source.is_clip and osp.isfile(video) and osp.isfile(poses)):
        return []
    try:
        write_page(poses, video, out, max_megabytes)
    except (OSError, ValueError) as error:
        print_log(f'no {out}: {error}', logger='current', level=logging.WARNING)
        return []
    return [out]
