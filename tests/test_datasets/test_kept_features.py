"""Kept features as a data set: the samples are those of the pipeline itself, in the same views."""

import copy

import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader, Dataset

from diffpose_mm.datasets.kept_features import (
    AugmentedViews,
    KeptFeatures,
    build_tails,
    check_tail,
    cut_pipelines,
    data_identity,
)
from diffpose_mm.datasets.worker_generator import WorkerGenerator, fixed_draws
from diffpose_mm.feature_cache import FeatureCache, FeatureCacheError

CODEC = dict(type='UDPHeatmap', input_size=(24, 32), heatmap_size=(6, 8), sigma=2)
PIPELINE = [
    dict(type='LoadClip', cache_mb=64),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='ClipRandomFlip', prob=0.5),
    dict(type='RandomHalfBody', prob=0.3),
    dict(type='RandomBBoxTransform', rotate_factor=80),
    dict(type='TopdownAffine', input_size=(24, 32), use_udp=True),
    dict(type='ClipPhotometricDistortion'),
    dict(type='ClipCoarseDropout', per_frame=True),
    dict(type='GenerateTarget', encoder=CODEC),
    dict(type='PackClipInputs'),
]
SEED = 5


def config(root, **kwargs):
    return dict(
        type='PoseTrack18ClipDataset',
        ann_file='annotations/posetrack18_val.json',
        data_root=str(root),
        frame_offsets=(-1, 0, 1),
        pipeline=copy.deepcopy(PIPELINE),
        **kwargs,
    )


def keep(folder, dataset, views=3):
    """Keep the frames themselves, as if they were features: (T, 3, 32, 24)."""
    cut, _, heads = cut_pipelines(dataset)
    source = DATASETS.build(cut)
    identity = dict(pipeline=heads, data=data_identity(source, SEED))
    cache = FeatureCache.create(folder, identity, len(source), (3, 3, 32, 24), dict(seed=SEED))
    for view, shard in cache.missing(views):
        items = list(AugmentedViews(source, cache.shard_range(shard), view, SEED))
        frames = np.stack([clip.numpy() for clip, _ in items]).astype(np.float16)
        cache.write(view, shard, frames, [record for _, record in items])
    cache.finish(views)
    return folder


def assert_same_sample(kept, packed):
    assert torch.equal(kept['features'], packed['inputs'].half())
    a, b = kept['data_samples'], packed['data_samples']
    assert torch.equal(a.gt_fields.heatmaps, b.gt_fields.heatmaps)
    for name in ('gt_instances', 'gt_instance_labels'):
        assert sorted(a.get(name).keys()) == sorted(b.get(name).keys())
        for key, value in b.get(name).items():
            assert np.array_equal(a.get(name)[key], value) and type(a.get(name)[key]) is type(value)
    # mmengine keeps the names in a set, whose order another process may change.
    ours, theirs = (
        sorted((k, repr(v)) for k, v in s.metainfo.items() if k != 'clip_decodes') for s in (a, b)
    )
    assert ours == theirs


@pytest.mark.parametrize('workers', [0, 2])
def test_samples_are_those_of_the_pipeline(write_posetrack, tmp_path, workers):
    """Broken if targets, box or meta are not those of the very view whose frames were kept; or if a
    view depends on the process that draws it."""
    dataset = config(write_posetrack())
    whole = DATASETS.build(dataset)
    kept = KeptFeatures(keep(tmp_path / 'kept', dataset), dataset)
    assert len(kept) == len(whole) == 24 and repr(kept.metainfo) == repr(whole.metainfo)
    for epoch in range(3):
        kept.set_epoch(epoch)
        loader = DataLoader(kept, None, num_workers=workers)
        for sample, item in enumerate(loader):
            if sample % 5:
                continue
            with fixed_draws(SEED, sample, (epoch + sample) % 3):
                assert_same_sample(item, whole[sample])
    assert kept.clip_keys() == whole.clip_keys()


def test_every_view_is_shown_once_and_they_differ(write_posetrack, tmp_path):
    """Broken if a view is never trained on, or all are the same."""
    dataset = config(write_posetrack())
    kept = KeptFeatures(keep(tmp_path / 'kept', dataset), dataset)
    shown = []
    for epoch in range(3):
        kept.set_epoch(epoch)
        shown.append(kept[4]['features'])
    views = [torch.from_numpy(np.array(kept.cache.read(4, view)[0])) for view in range(3)]
    assert all(sum(torch.equal(view, one) for one in shown) == 1 for view in views)
    kept.set_epoch(3)
    assert torch.equal(kept[4]['features'], shown[0])


def test_targets_are_those_of_the_pipeline_of_today(write_posetrack, tmp_path):
    """Broken if another sigma needs the features again, or is not used."""
    dataset = config(write_posetrack())
    folder = keep(tmp_path / 'kept', dataset, views=1)
    dataset['pipeline'][-2]['encoder'] = {**CODEC, 'sigma': 3}
    with fixed_draws(SEED, 2, 0):
        packed = DATASETS.build(dataset)[2]
    assert_same_sample(KeptFeatures(folder, dataset)[2], packed)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c, r: c['pipeline'][4].update(rotate_factor=40), 'rotate_factor: 80 then, 40 now'),
        (lambda c, r: c['pipeline'].pop(6), 'ClipPhotometricDistortion'),
        (lambda c, r: c.update(indices=12), 'data.samples: 24 then, 12 now'),
        (lambda c, r: c.update(frame_offsets=(-2, 0, 2)), 'data.annotations'),
        (lambda c, r: next(r.rglob('000003.jpg')).write_bytes(b'other'), 'data.frames.bytes'),
        (
            lambda c, r: (r / c['ann_file']).write_text(
                (r / c['ann_file']).read_text().replace('"track_id": 1', '"track_id": 7')
            ),
            'data.annotations',
        ),
    ],
)
def test_features_of_other_data_are_refused(write_posetrack, tmp_path, change, message):
    """Broken if training runs on features of other frames, persons or augmentations."""
    root = write_posetrack()
    dataset = config(root)
    folder = keep(tmp_path / 'kept', dataset, views=1)
    changed = config(root)
    change(changed, root)
    with pytest.raises(FeatureCacheError, match=message):
        KeptFeatures(folder, changed)
    if changed == dataset and 'bytes' not in message:
        return
    # What changes no frame is no other pipeline.
    if changed['pipeline'] != dataset['pipeline']:
        same = config(root)
        same['pipeline'][0]['cache_mb'] = 1
        KeptFeatures(folder, same)


def test_a_data_set_may_be_moved(write_posetrack, tmp_path):
    """Broken if features are bound to the folder that the frames were in."""
    folder = keep(tmp_path / 'kept', config(write_posetrack(root=tmp_path / 'here')), views=1)
    (tmp_path / 'here').rename(tmp_path / 'there')
    assert len(KeptFeatures(folder, config(tmp_path / 'there'))) == 24


def test_data_sets_put_together(write_posetrack, tmp_path):
    """Broken if a part of a mixture is given the targets of another part."""
    parts = [config(write_posetrack(root=tmp_path / name)) for name in 'ab']
    parts[1]['pipeline'][-2]['encoder'] = {**CODEC, 'sigma': 1}
    parts[1]['pipeline'][2]['prob'] = 1.0
    mixture = dict(type='ConcatDataset', datasets=parts)
    whole = DATASETS.build(mixture)
    kept = KeptFeatures(keep(tmp_path / 'kept', mixture, views=1), mixture)
    assert kept.clip_keys()[0] != kept.clip_keys()[24]
    for sample in (1, 23, 24, 40):
        with fixed_draws(SEED, sample, 0):
            assert_same_sample(kept[sample], whole[sample])


def test_a_broken_keyframe_is_replaced_as_in_training(write_posetrack, tmp_path):
    """Broken if one unreadable file ends the work, or its sample is taken from elsewhere."""
    root = write_posetrack()
    dataset = config(root)
    broken = DATASETS.build(dataset).get_data_info(6)['img_path']
    open(broken, 'wb').close()
    kept = KeptFeatures(keep(tmp_path / 'kept', dataset, views=1), dataset)
    with fixed_draws(SEED, 6, 0):
        packed = DATASETS.build(dataset)[6]
    packed['data_samples'].pop('clip_skipped')
    assert_same_sample(kept[6], packed)


def test_frames_changed_after_the_targets_are_refused(write_posetrack):
    """Broken if a transform that features cannot undergo is left out without a word."""
    dataset = config(write_posetrack())
    moved = dataset['pipeline'].pop(7)
    dataset['pipeline'].insert(8, {**moved, 'prob': 1.0})
    cut, tails, _ = cut_pipelines(dataset)
    frames, record = AugmentedViews(DATASETS.build(cut), [0], 0, SEED)[0]
    with pytest.raises(FeatureCacheError, match='after the targets changes the frames'):
        check_tail(build_tails(tails)[record.pop('kept_tail')], frames, record)
    with pytest.raises(FeatureCacheError, match='no pipeline that ends with PackClipInputs'):
        cut_pipelines(dict(type='PoseTrack18ClipDataset', pipeline=PIPELINE[:3]))


class Draws(Dataset):
    """What a generator of a transform draws, in a process of its own."""

    def __init__(self):
        self.generator = WorkerGenerator(salt=1)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        with fixed_draws(3, index // 2):
            return self.generator().random(), np.random.rand(), float(torch.rand(()))


def test_draws_follow_from_the_place_alone():
    """Broken if a view depends on the process, on what was drawn before, or changes what is drawn
    after it."""
    torch.manual_seed(1)
    np.random.seed(1)
    expected = np.random.rand(), float(torch.rand(()))
    torch.manual_seed(1)
    np.random.seed(1)
    here = [Draws()[i] for i in range(4)]
    assert (np.random.rand(), float(torch.rand(()))) == expected
    assert here[0] == here[1] != here[2] == here[3]
    one = Draws()
    assert [one[i] for i in range(4)] == here
    for workers in (1, 2):
        assert list(map(tuple, DataLoader(Draws(), None, num_workers=workers))) == here
