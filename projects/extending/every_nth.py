"""A source of frames: every n-th frame of a video, for recordings with more than are needed."""

from collections.abc import Iterator

from diffpose_mm.apis import FrameSource, SourceFrame
from diffpose_mm.video_reader import VideoReader


class EveryNth(FrameSource):
    """``inferencer(EveryNth('walk.mp4', 4))``: windows reach over frames that are given.

    Args:
        path: The video.
        step: n.
    """

    from_disk = True

    def __init__(self, path: str, step: int) -> None:
        if step < 1:
            raise ValueError(f'EveryNth: step={step} has to be at least 1')
        self.path, self.step = path, step
        self.name, self.paths = f'every_{step}.mp4', [path]

    def open(self) -> None:
        """Open the video."""
        self.reader = VideoReader(self.path)
        self.fps = None if self.reader.fps is None else self.reader.fps / self.step
        self.time_base = self.reader.time_base

    def __iter__(self) -> Iterator[SourceFrame]:
        """The frames, numbered from 0, with the times that they have in the video."""
        for frame in self.reader:
            if frame.number % self.step == 0:
                number = frame.number // self.step
                name = f'{frame.number:06d}.jpg'
                yield SourceFrame(name, frame.image, number, frame.time, frame.fault)

    def close(self) -> None:
        """Close the video."""
        self.reader.close()
