"""An order of samples in which clips that share frames come together."""

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler


def _clip_keys(dataset: Dataset) -> list[tuple]:
    """The video and frame number of every sample, also through concatenations."""
    if hasattr(dataset, 'clip_keys'):
        return dataset.clip_keys()
    if hasattr(dataset, 'datasets'):
        return [
            ((i, video), number)
            for i, part in enumerate(dataset.datasets)
            for video, number in _clip_keys(part)
        ]
    raise TypeError(
        f'ClipBlockSampler cannot tell the videos of a {type(dataset).__name__}: it takes a clip '
        'dataset (PoseTrack18ClipDataset, ...) or a concatenation of such; use DefaultSampler for '
        'others'
    )


@DATA_SAMPLERS.register_module()
class ClipBlockSampler(Sampler):
    """Shuffle blocks of neighbouring keyframes instead of single samples.

    In a fully shuffled order a worker's frame cache meets a frame again by chance only, and T
    frames are decoded for every sample. Here all persons of ``block_frames`` keyframes that follow
    each other in a video are one block; blocks come in random order, with boundaries that differ
    from epoch to epoch, and so do the samples within a block. In distributed runs every process
    gets whole stretches of that order, equally many samples, padded where they do not divide.

    Args:
        dataset (Dataset): A clip dataset, or a concatenation of clip datasets.
        shuffle (bool): With False, samples come by video and frame; results that mmengine gathers
            from several processes are then complete and free of the padding. Defaults to True.
        block_frames (int): Keyframes a block. Larger blocks save decoding, and make the samples of
            a batch more alike. Defaults to 4.
        seed (int, optional): The same for all processes. Defaults to None: drawn and shared.

    Raises:
        TypeError: The dataset does not know its clips.
    """

    def __init__(
        self, dataset: Dataset, shuffle: bool = True, block_frames: int = 4, seed: int | None = None
    ) -> None:
        if block_frames < 1:
            raise ValueError(f'ClipBlockSampler: block_frames={block_frames} has to be at least 1')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.block_frames = block_frames
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self._keyframes = self._group()
        self.num_samples = -(-len(dataset) // self.world_size)

    def _group(self) -> list[list[np.ndarray]]:
        """For every video, the samples of each of its keyframes in order."""
        videos: dict = {}
        for index, (video, number) in enumerate(_clip_keys(self.dataset)):
            videos.setdefault(video, {}).setdefault(number, []).append(index)
        return [
            [np.array(frames[number]) for number in sorted(frames)] for frames in videos.values()
        ]

    def _order(self) -> np.ndarray:
        """All samples in this epoch's order, the same in every process."""
        if not self.shuffle:
            return np.concatenate([frame for video in self._keyframes for frame in video])
        generator = np.random.default_rng([self.seed, self.epoch])
        blocks = []
        for video in self._keyframes:
            first = -int(generator.integers(self.block_frames))
            for start in range(first, len(video), self.block_frames):
                frames = video[max(start, 0) : start + self.block_frames]
                if frames:
                    blocks.append(generator.permutation(np.concatenate(frames)))
        return np.concatenate([blocks[i] for i in generator.permutation(len(blocks))])

    def __iter__(self) -> Iterator[int]:
        """This process's stretch of the order."""
        order = self._order()
        # Only the last stretches are short, by one, and mmengine cuts off just the last result of
        # those when it puts the processes' results together.
        stretch = np.array_split(order, self.world_size)[self.rank].tolist()
        if len(stretch) < self.num_samples:
            stretch.append(int(order[0]))
        return iter(stretch)

    def __len__(self) -> int:
        """Samples of this process in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from which with the seed the order follows."""
        self.epoch = epoch
