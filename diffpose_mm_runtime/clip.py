"""The one idea of the package: a clip is a frame with neighbours.

Which neighbours (offsets), and which frame stands in for one that is not there. Data sets, the
loader of clips and the windows of inference all ask here.
"""

from collections.abc import Iterable, Sequence

import numpy as np


def nearest(requested: int, available: Iterable[int], keyframe: int) -> int:
    """The available frame nearest to the requested one; of two, the one nearer to the keyframe.

    Args:
        requested: Number of the frame that the clip asks for.
        available: Numbers of the frames that can be used. Of a range without steps none is looked
            at but the ends.
        keyframe: Number of the keyframe.

    Raises:
        ValueError: No frame is available.
    """
    if isinstance(available, range) and available.step == 1 and available:
        return min(max(requested, available[0]), available[-1])
    return min(available, key=lambda n: (abs(n - requested), abs(n - keyframe)))


def check_frame_offsets(frame_offsets: Sequence[int]) -> tuple[int, ...]:
    """Bring the offsets of a clip into temporal order.

    Args:
        frame_offsets (Sequence[int]): Frames relative to the keyframe, in any order.

    Returns:
        tuple[int]: The same offsets, oldest first.

    Raises:
        ValueError: They are no integers, repeat themselves or leave out the keyframe.
    """
    offsets = tuple(frame_offsets) if isinstance(frame_offsets, (list, tuple)) else None
    if not offsets or any(
        isinstance(o, bool) or not isinstance(o, (int, np.integer)) for o in offsets
    ):
        raise ValueError(
            f'frame_offsets={frame_offsets!r} has to be a list of integers, for example '
            '(-2, -1, 0, 1, 2)'
        )
    if 0 not in offsets:
        raise ValueError(
            f'frame_offsets={frame_offsets!r} leaves the keyframe outside the clip: add 0 to it'
        )
    if len(set(offsets)) != len(offsets):
        raise ValueError(
            f'frame_offsets={frame_offsets!r} names a frame twice: each may stand once'
        )
    return tuple(sorted(int(o) for o in offsets))


class RandomFrameOffsets:
    """Draw the neighbours of a keyframe at random, anew at every call.

    Half of the neighbours (the larger half where T is even) lie before the keyframe, the others
    after it, so that the keyframe keeps the place that it has in the clip at test time.

    Args:
        num_frames (int): T, the length of the clip with its keyframe.
        max_offset (int): The largest distance of a neighbour from the keyframe, in frames.

    Raises:
        ValueError: Fewer than T different frames lie within ``max_offset``.
    """

    def __init__(self, num_frames: int, max_offset: int) -> None:
        if num_frames < 1:
            raise ValueError(f'frame_sampler: num_frames={num_frames} has to be at least 1')
        self.num_before = num_frames // 2
        self.num_after = num_frames - 1 - self.num_before
        if max_offset < self.num_before:
            raise ValueError(
                f'frame_sampler: num_frames={num_frames} needs {self.num_before} different frames '
                f'before the keyframe, but max_offset={max_offset} reaches only {max_offset} back: '
                'raise it'
            )
        self.num_frames = num_frames
        self.max_offset = max_offset

    def __call__(self, generator: np.random.Generator) -> tuple[int, ...]:
        """Draw T offsets, oldest first."""
        before = generator.permutation(self.max_offset)[: self.num_before] + 1
        after = generator.permutation(self.max_offset)[: self.num_after] + 1
        return tuple(sorted([*(-before).tolist(), 0, *after.tolist()]))
