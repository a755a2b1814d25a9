"""An order of samples in which clips that share frames come together."""

from collections.abc import Iterator

import numpy as np
from mmengine.dataset import RepeatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler


def clip_keys_of(dataset: Dataset) -> list[tuple]:
    """The video and frame number of every sample, also through concatenations and repetitions."""
    if hasattr(dataset, 'clip_keys'):
        return dataset.clip_keys()
    if isinstance(dataset, RepeatDataset):
        keys = clip_keys_of(dataset.dataset)
        return [((i, video), number) for i in range(dataset.times) for video, number in keys]
    if hasattr(dataset, 'datasets'):
        return [
            ((i, video), number)
            for i, part in enumerate(dataset.datasets)
            for video, number in clip_keys_of(part)
        ]
    raise TypeError(
        f'ClipBlockSampler cannot tell the videos of a {type(dataset).__name__}: it takes a clip '
        'dataset (ClipDataset and its kind), a concatenation or a RepeatDataset of such; use '
        'DefaultSampler for others'
    )


@DATA_SAMPLERS.register_module()
class ClipBlockSampler(Sampler):
    """Shuffle blocks of neighbouring keyframes instead of single samples.

    In a fully shuffled order a worker's frame cache meets a frame again by chance only, and nearly
    T frames are decoded for every sample. Here all persons of ``block_frames`` keyframes that
    follow each other in a video are one block. Blocks come in random order, with boundaries that
    differ from epoch to epoch, and the samples of ``shuffle_window`` blocks at a time are shuffled
    together, so that a batch still shows many videos. In distributed runs every process gets a
    contiguous shard of that order, equally long, padded where the samples do not divide.

    To be of use, a worker's cache has to hold about ``shuffle_window * (block_frames + T - 1)``
    frames.

    Args:
        dataset (Dataset): A clip dataset, or a concatenation of clip datasets.
        shuffle (bool): With False, samples come by video and frame; results that mmengine gathers
            from several processes are then complete and free of the padding. Defaults to True.
        block_frames (int): Keyframes a block. Defaults to 4.
        shuffle_window (int): Blocks whose samples are shuffled together. Defaults to 8.
        batch_size (int, optional): The loader's. Together with ``num_workers`` it makes the batches
            of a window all go to one worker, whose cache then serves them. Defaults to None.
        num_workers (int, optional): The loader's. Defaults to None.
        seed (int, optional): The same for all processes. Defaults to None: drawn and shared.

    Raises:
        TypeError: The dataset does not know its clips.
    """

    def __init__(
        self,
        dataset: Dataset,
        shuffle: bool = True,
        block_frames: int = 4,
        shuffle_window: int = 8,
        batch_size: int | None = None,
        num_workers: int | None = None,
        seed: int | None = None,
    ) -> None:
        for name, value in dict(block_frames=block_frames, shuffle_window=shuffle_window).items():
            if value < 1:
                raise ValueError(f'ClipBlockSampler: {name}={value} has to be at least 1')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.block_frames = block_frames
        self.shuffle_window = shuffle_window
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self._keyframes = self._group()
        self.num_samples = -(-len(dataset) // self.world_size)

    def _group(self) -> list[list[np.ndarray]]:
        """For every video, the samples of each of its keyframes in order."""
        videos: dict = {}
        for index, (video, number) in enumerate(clip_keys_of(self.dataset)):
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
                    blocks.append(np.concatenate(frames))
        order = generator.permutation(len(blocks))
        bounds = range(self.shuffle_window, len(order), self.shuffle_window)
        windows = np.array_split(order, bounds)
        return np.concatenate(
            [generator.permutation(np.concatenate([blocks[i] for i in w])) for w in windows]
        )

    def _interleave_workers(self, indices: np.ndarray) -> np.ndarray:
        """Give each worker a contiguous shard: PyTorch hands out batches round-robin."""
        if not self.batch_size or not self.num_workers:
            return indices
        shards = np.array_split(indices, self.num_workers)
        rounds = len(shards[-1]) // self.batch_size
        batches = [
            shard[turn * self.batch_size : (turn + 1) * self.batch_size]
            for turn in range(rounds)
            for shard in shards
        ]
        return np.concatenate(batches + [shard[rounds * self.batch_size :] for shard in shards])

    def __iter__(self) -> Iterator[int]:
        """This process's shard of the order."""
        order = self._order()
        # Only the last shards are short, by one, and mmengine cuts off just the last result of
        # those when it puts the processes' results together.
        shard = np.array_split(order, self.world_size)[self.rank]
        indices = self._interleave_workers(shard).tolist()
        if len(indices) < self.num_samples:
            indices.append(int(order[0]))
        return iter(indices)

    def __len__(self) -> int:
        """Samples of this process in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from which with the seed the order follows."""
        self.epoch = epoch
