"""Pictures of a video as a player shows them: turned and mirrored."""

import logging
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from mmengine.logging import print_log

_side_data: Any = SideDataContainer  # whose stub leaves the argument out


class DisplayMatrix:
    """Turns and mirrors frames as their display matrix says (ISO/IEC 14496-12, 8.3.2.3).

    Args:
        name: Of the video, for messages.

    Attributes:
        transposed: Whether width and height of the last frame were exchanged.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.transposed = False
        self._matrix = b''
        self._flips = (False, False)
        # One for all frames: a frame's own conversion sets up anew every time.
        self._convert = VideoReformatter().reformat

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture of a decoded frame, HxWx3 uint8 BGR."""
        try:
            # frame.side_data would keep the container on the frame, which refers to the frame: a
            # circle that holds every picture until the garbage collector comes by.
            data: Any = _side_data(frame).get('DISPLAYMATRIX')
        except ValueError:
            # PyAV 18 knows no side data of FFmpeg's newer kinds, and then gives none at all.
            data = self._matrix
        matrix = bytes(data) if data is not None else b''
        if matrix != self._matrix:
            self._matrix = matrix
            self._read(matrix)
        # BT.601 whatever the file says: the colours of OpenCV up to 4.11, with which the numbers in
        # the docs were measured. OpenCV 4.13 follows the file (findings/opencv-video-colours.sh).
        image = self._convert(
            frame,
            format='bgr24',
            interpolation=Interpolation.BICUBIC,
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
        ).to_ndarray()
        if self.transposed:
            image = image.transpose(1, 0, 2)
        vertical, horizontal = self._flips
        if vertical:
            image = image[::-1]
        if horizontal:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)

    def _read(self, matrix: bytes) -> None:
        self.transposed, self._flips = False, (False, False)
        if len(matrix) < 36:
            return
        # x' = a x + c y, y' = b x + d y
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(float)
        self.transposed = max(abs(b), abs(c)) > max(abs(a), abs(d))
        along, across = (c, b) if self.transposed else (a, d)
        self._flips = (across < 0, along < 0)
        slant = min(max(abs(a), abs(d)), max(abs(b), abs(c)))
        if slant > 0.02 * max(abs(v) for v in (a, b, c, d)):
            print_log(
                f'video {self.name} is to be shown turned by an angle that is no multiple of 90 '
                'degrees; the nearest multiple is used',
                logger='current',
                level=logging.WARNING,
            )
