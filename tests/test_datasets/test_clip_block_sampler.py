import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import TensorDataset

from diffpose_mm.datasets import ClipBlockSampler, LoadClip, PoseTrack18ClipDataset
from diffpose_mm.datasets.samplers import clip_block_sampler
from diffpose_mm.datasets.samplers.clip_block_sampler import clip_keys_of

ANN = 'annotations/posetrack18_val.json'


@pytest.fixture
def data(write_posetrack):
    root = write_posetrack(num_videos=5, nframes=11, persons=3)
    return PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))


def test_every_sample_comes_once_in_an_order_that_seed_and_epoch_fix(data):
    sampler = ClipBlockSampler(data, seed=3)
    first = list(sampler)
    assert len(sampler) == len(data) == 165
    assert sorted(first) == list(range(165)) != first
    assert list(ClipBlockSampler(data, seed=3)) == first
    assert list(ClipBlockSampler(data, seed=4)) != first
    sampler.set_epoch(1)
    assert sorted(sampler) == list(range(165))
    assert list(sampler) != first


def test_without_shuffling_samples_come_by_video_and_frame(data):
    keys = data.clip_keys()
    order = list(ClipBlockSampler(data, shuffle=False))
    assert [keys[i] for i in order] == sorted(keys)


def test_all_persons_of_a_block_of_keyframes_come_together(data):
    keys = data.clip_keys()
    order = list(ClipBlockSampler(data, seed=0, block_frames=4, shuffle_window=1))
    runs = [[keys[order[0]]]]
    for i in order[1:]:
        near = keys[i][0] == runs[-1][-1][0] and abs(keys[i][1] - runs[-1][-1][1]) < 4
        runs[-1].append(keys[i]) if near else runs.append([keys[i]])
    for run in runs:
        frames = {number for _, number in run}
        assert len(run) == 3 * len(frames)
        assert max(frames) - min(frames) == len(frames) - 1


def test_blocks_begin_elsewhere_in_every_epoch(data):
    """With fixed boundaries the same samples would always share a batch."""
    keys = data.clip_keys()
    sampler = ClipBlockSampler(data, seed=0, block_frames=5, shuffle_window=1)
    sizes = set()
    for epoch in range(6):
        sampler.set_epoch(epoch)
        order = list(sampler)
        place = {i: p for p, i in enumerate(order)}
        together = tuple(
            abs(place[3 * n] - place[3 * n + 3]) < 15 for n in range(10) if keys[3 * n][0]
        )
        sizes.add(together)
    assert len(sizes) > 2


def test_blocks_save_decoding_where_the_cache_is_small(data):
    """The reason of being of this order: with a full shuffle nearly every frame is decoded anew."""
    decodes = {}
    orders = dict(
        shuffled=np.random.default_rng(0).permutation(len(data)).tolist(),
        blocks=list(ClipBlockSampler(data, seed=0, shuffle_window=1)),
        sequential=list(ClipBlockSampler(data, shuffle=False)),
    )
    for name, order in orders.items():
        load = LoadClip(cache_mb=8 * 64 * 48 * 3 / 2**20)
        clips = [load(data.get_data_info(i)) for i in order]
        decodes[name] = sum(clip['clip_decodes'] for clip in clips) / len(clips)
    assert decodes['sequential'] == pytest.approx(1 / 3)
    assert decodes['blocks'] < 0.9 < 3 < decodes['shuffled']


def videos_a_batch(keys, order, batch_size=16):
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return np.mean([len({keys[i][0] for i in batch}) for batch in batches])


def test_mixed_blocks_bring_more_videos_into_a_batch(data):
    """A batch of one scene is a poor estimate of the gradient and of batch statistics."""
    keys = data.clip_keys()
    alone, mixed = (
        list(ClipBlockSampler(data, seed=0, shuffle_window=shuffle_window))
        for shuffle_window in (1, 8)
    )
    assert sorted(mixed) == list(range(len(data)))
    assert videos_a_batch(keys, mixed) > 1.3 * videos_a_batch(keys, alone)


@pytest.mark.parametrize('shuffle', [True, False])
def test_a_worker_gets_batches_that_share_frames(data, shuffle):
    """Dealt by turns without regard, every worker would decode the frames of every mix."""
    keys = data.clip_keys()

    def decodes(order):
        caches = [LoadClip(cache_mb=32 * 64 * 48 * 3 / 2**20) for _ in range(3)]
        return sum(
            caches[place // 4 % 3](data.get_data_info(i))['clip_decodes']
            for place, i in enumerate(order)
        )

    kwargs = dict(shuffle=shuffle, shuffle_window=4, seed=0)
    plain = list(ClipBlockSampler(data, **kwargs))
    dealt = list(ClipBlockSampler(data, batch_size=4, num_workers=3, **kwargs))
    assert sorted(dealt) == list(range(len(keys)))
    assert decodes(dealt) < 0.75 * decodes(plain)


@pytest.mark.parametrize('world_size', [1, 2, 4, 7])
@pytest.mark.parametrize('shuffle', [True, False])
def test_processes_share_the_samples_out_evenly(data, monkeypatch, world_size, shuffle):
    parts = []
    for rank in range(world_size):
        monkeypatch.setattr(clip_block_sampler, 'get_dist_info', lambda r=rank: (r, world_size))
        sampler = ClipBlockSampler(data, seed=0, shuffle=shuffle, batch_size=4, num_workers=2)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler) == -(-len(data) // world_size)
    # mmengine puts the results of processes together by turns and cuts to the dataset's length.
    gathered = [i for turn in zip(*parts) for i in turn][: len(data)]
    assert sorted(gathered) == list(range(len(data)))


def test_concatenated_clip_datasets_keep_their_videos_apart(data, write_posetrack, tmp_path):
    other = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(write_posetrack(num_videos=1)))
    both = ConcatDataset([data, other])
    sampler = ClipBlockSampler(both, seed=0)
    assert sorted(sampler) == list(range(len(data) + 12))
    assert len(sampler._keyframes) == 6


def test_repeated_clip_datasets_are_known(data):
    """Broken if a small set that is repeated beside a large one could not be trained on."""
    repeated = RepeatDataset(data, 2)
    both = torch.utils.data.ConcatDataset([repeated, data])
    sampler = ClipBlockSampler(both, seed=0)
    assert sorted(sampler) == list(range(3 * len(data)))
    keys = clip_keys_of(both)
    # The same clip of either round is another one, so that a block does not show it twice.
    assert len(set(keys[: len(data)]) & set(keys[len(data) : 2 * len(data)])) == 0
    for i, (video, number) in enumerate(clip_keys_of(data)):
        assert keys[len(data) + i] == ((0, (1, video)), number)


def test_datasets_without_clips_and_empty_blocks_are_refused(data):
    with pytest.raises(TypeError, match='TensorDataset.*use DefaultSampler'):
        ClipBlockSampler(TensorDataset())
    for name in ('block_frames', 'shuffle_window'):
        with pytest.raises(ValueError, match=f'{name}=0'):
            ClipBlockSampler(data, **{name: 0})


def test_the_sampler_is_built_from_a_config(data):
    sampler = DATA_SAMPLERS.build(
        dict(type='ClipBlockSampler', block_frames=2), default_args=dict(dataset=data, seed=1)
    )
    assert isinstance(sampler, ClipBlockSampler) and sampler.seed == 1
