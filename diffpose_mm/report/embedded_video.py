"""The picture of a page: the video as it is where browsers can show it, else a smaller copy."""

from __future__ import annotations

import math
import os
import os.path as osp
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from ..identity import files_identity
from ..video_reader import VideoReader, open_container
from ..video_writer import VideoWriter
from .predictions import Predictions

PLAYABLE = dict(
    mp4=('h264', ('yuv420p', 'yuvj420p'), 'video/mp4'),
    webm=('vp8 vp9', ('yuv420p', 'yuva420p'), 'video/webm'),
)
"""Container -> codecs, layouts of pixels and the media type of what every browser shows."""

BITS_PER_PIXEL = 0.05
"""Of H.264, below which a picture of people falls apart; a smaller picture is better then."""

SMALLEST_SIDE = 160  # pixels of the longer side; nobody is recognised in less
KEYFRAME_SECONDS = 0.5  # jumping to a frame decodes from the keyframe before it
MAX_RATE = 2**31 - 1  # bits a second, which FFmpeg counts in 32 bits
FILL = 0.9  # of the bound: rates are kept on average


@dataclass
class EmbeddedVideo:
    """A video for a page.

    Attributes:
        data: The file.
        kind: Its media type.
        times: (F,) presentation time of each frame in ``data``, seconds; they rise.
        is_copy: Whether it was encoded anew.
        size: Width and height in ``data``, pixels.
    """

    data: bytes
    kind: str
    times: np.ndarray
    is_copy: bool
    size: tuple[int, int]


def embed_video(
    path: str | os.PathLike,
    predictions: Predictions,
    max_bytes: int,
    advance: Callable[[], None] = lambda: None,
) -> EmbeddedVideo:
    """The video of predictions in at most ``max_bytes``.

    Times that the predictions lack are filled in from the video, in place.

    Args:
        path: The video.
        predictions: Of its frames.
        max_bytes: Of the file that is embedded.
        advance: Called after each frame that is encoded.

    Raises:
        ValueError: It is not the video of the predictions; it does not fit; there is no encoder.
        OSError: It cannot be read.
    """
    path = os.fspath(path)
    reader = VideoReader(path)
    try:
        _check_same(path, reader, predictions)
        kind = _playable_kind(path, reader, predictions)
    finally:
        reader.close()
    if kind is not None and osp.getsize(path) <= max_bytes:
        with open(path, 'rb') as file:
            data = file.read()
        return EmbeddedVideo(
            data, kind, predictions.times.copy(), False, (reader.width, reader.height)
        )
    return _encoded(path, reader, predictions, max_bytes, advance)


def _check_same(path: str, reader: VideoReader, predictions: Predictions) -> None:
    size = (reader.width, reader.height)
    known = {key: predictions.input[key] for key in ('bytes', 'digest') if key in predictions.input}
    if known:
        found = files_identity([path])
        if known != {key: found[key] for key in known}:
            raise ValueError(
                f'{path} is not the video of these predictions (its contents differ from those of '
                f'{predictions.input.get("name", "their input")}): give that one'
            )
    elif np.isfinite(predictions.times).any() and size != predictions.size:
        raise ValueError(
            f'{path} has frames of {size[0]}x{size[1]} pixels, and the predictions are of '
            f'{predictions.size[0]}x{predictions.size[1]}: give the video that they are of'
        )
    elif not known:
        predictions.size = size


def _playable_kind(path: str, reader: VideoReader, predictions: Predictions) -> str | None:
    """Media type of a file whose frames every browser shows at the times that we know."""
    times = predictions.times
    if predictions.faults or not np.isfinite(times).all() or predictions.frames[0] != 0:
        return None
    with open_container('file:' + osp.abspath(path)) as container:
        video = container.streams.best('video')
        if video is None or video.codec_context is None:
            return None
        codec: Any = video.codec_context
        # Streams that begin at other times than 0 are shown late, or not, as the player likes.
        if any(stream.start_time for stream in container.streams) or not abs(times[0]) < 1e-3:
            return None
        # Browsers take a frame's duration from the order of decoding: with B-frames and uneven
        # times it is another frame's, and a jump shows the frame before.
        if codec.has_b_frames and _is_uneven(times):
            return None
        for container_name, (codecs, layouts, kind) in PLAYABLE.items():
            if (
                container_name in container.format.name
                and not path.lower().endswith('.mkv')  # FFmpeg's name for it is webm, too
                and codec.name in codecs.split()
                and codec.pix_fmt in layouts
            ):
                return kind
    return None


def _is_uneven(times: np.ndarray) -> bool:
    """Whether some frame is shown by a quarter longer or shorter than is usual."""
    steps = np.diff(times)
    return bool(len(steps) and np.abs(steps - np.median(steps)).max() > 0.25 * np.median(steps))


def _encoded(
    path: str,
    reader: VideoReader,
    predictions: Predictions,
    max_bytes: int,
    advance: Callable[[], None],
) -> EmbeddedVideo:
    if 'libx264' not in av.codecs_available:
        raise ValueError(
            f'{path} would have to be encoded anew for browsers, and this PyAV has no H.264 '
            'encoder (libx264): install the wheel of av from the package index'
        )
    fps = float(reader.fps or predictions.fps or 25)
    known = predictions.times[np.isfinite(predictions.times)]
    seconds = max(float(np.ptp(known)) if len(known) > 1 else len(predictions) / fps, 1 / fps)
    rate, longest = FILL * 8 * max_bytes / seconds, max(reader.width, reader.height)
    for _ in range(3):
        pixels = rate * seconds / len(predictions) / BITS_PER_PIXEL
        scale = min(1.0, math.sqrt(pixels / (reader.width * reader.height)))
        if longest * scale < min(SMALLEST_SIDE, longest):
            break
        with tempfile.TemporaryDirectory() as folder:
            copy = osp.join(folder, 'page.mp4')
            times, size = _encode(path, copy, predictions, scale, rate, fps, advance)
            if osp.getsize(copy) <= max_bytes:
                with open(copy, 'rb') as file:
                    return EmbeddedVideo(file.read(), 'video/mp4', times, True, size)
            rate *= FILL * max_bytes / osp.getsize(copy)
    raise ValueError(
        f'{path}: {len(predictions)} frames do not fit into {max_bytes / 1e6:.1f} MB with people '
        'that can be recognised: give a larger --max-size'
    )


def _encode(
    path: str,
    copy: str,
    predictions: Predictions,
    scale: float,
    rate: float,
    fps: float,
    advance: Callable[[], None],
) -> tuple[np.ndarray, tuple[int, int]]:
    """Write the frames of the predictions; their times in the copy, and its size."""
    reader = VideoReader(path)
    size = tuple(max(2 * round(side * scale / 2), 2) for side in (reader.width, reader.height))
    own = reader.time_base if reader.has_times else 1 / Fraction(fps).limit_denominator(100_000)
    # No B-frames: the first picture is at 0, and no edit list is needed.
    options = dict(
        preset='veryfast',
        crf='24',
        bf='0',
        g=str(max(round(fps * KEYFRAME_SECONDS), 1)),
        maxrate=str(min(int(rate), MAX_RATE)),
        bufsize=str(min(int(rate), MAX_RATE)),
    )
    writer = VideoWriter(copy, fps, own, reader.pixel_aspect_ratio, options)
    first, last = int(predictions.frames[0]), int(predictions.frames[-1])
    start: float | None = None
    picture: np.ndarray | None = None
    times: list[float] = []
    for frame in reader:
        if frame.number < first:
            continue
        if frame.number > last:
            reader.close()
            break
        place = len(times)
        seconds = frame.time if frame.time is not None else frame.number / fps
        _check_time(path, predictions, place, seconds, fps)
        start = seconds if start is None else start
        if frame.image is not None:
            picture = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
        elif picture is None:
            picture = np.zeros((size[1], size[0], 3), np.uint8)
        writer.write(picture, seconds - start)
        times.append(seconds - start)
        advance()
    writer.close()
    if len(times) < len(predictions):
        raise ValueError(
            f'{path} has {first + len(times)} frames, and the predictions go on to frame {last}: '
            'give the video that they are of'
        )
    return np.array(times), (size[0], size[1])


def _check_time(
    path: str, predictions: Predictions, place: int, seconds: float, fps: float
) -> None:
    stated = predictions.times[place]
    if not np.isfinite(stated):
        predictions.times[place] = seconds
    elif abs(stated - seconds) > 0.5 / fps:
        raise ValueError(
            f'{path} shows frame {predictions.frames[place]} at {seconds:.3f} s, and the '
            f'predictions are of a video that shows it at {stated:.3f} s: give that one'
        )
