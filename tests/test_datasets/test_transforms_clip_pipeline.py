import colorsys

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmpose.datasets.transforms import RandomFlip
from mmpose.registry import TRANSFORMS

from diffpose_mm.datasets import (
    ClipCoarseDropout,
    ClipPhotometricDistortion,
    ClipRandomFlip,
    LoadClip,
    PackClipInputs,
    PoseTrack18ClipDataset,
    WeightByScore,
)

ANN = 'annotations/posetrack18_val.json'
CODEC = dict(type='UDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2)


def augmentation(flip=0.5):
    return [
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(type='ClipRandomFlip', prob=float(flip)),
        dict(type='RandomHalfBody'),
        dict(type='RandomBBoxTransform', rotate_factor=80),
        dict(type='TopdownAffine', input_size=(96, 128), use_udp=True),
    ]


def persons(write_posetrack, pipeline, **kwargs):
    root = write_posetrack(num_videos=1, nframes=5, persons=1, size=(320, 240))
    return PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root), pipeline=pipeline, **kwargs)


def test_a_clip_is_packed_for_the_model(write_posetrack):
    data = persons(
        write_posetrack,
        [dict(type='LoadClip', num_frames=5), *augmentation(),
         dict(type='ClipPhotometricDistortion'), dict(type='ClipCoarseDropout'),
         dict(type='GenerateTarget', encoder=CODEC), dict(type='PackClipInputs')],
    )  # fmt: skip
    packed = data[2]
    assert packed['inputs'].shape == (5, 3, 128, 96)
    assert packed['inputs'].dtype == torch.uint8
    sample = packed['data_samples']
    assert sample.gt_fields.heatmaps.shape == (17, 32, 24)
    info = sample.metainfo
    assert isinstance(info['img_path'], str) and info['img_path'] == info['clip_paths'][2]
    assert info['keyframe_index'] == 2
    assert info['frame_offsets'] == (-2, -1, 0, 1, 2)
    assert info['clip_replicated'] == [False] * 5
    assert info['clip_decodes'] == 5 and info['clip_faults'] == []
    assert {'id', 'img_id', 'input_size', 'input_center', 'input_scale', 'flip_indices'} <= set(
        info
    )


def test_a_clip_of_one_frame_keeps_its_time_dimension(write_posetrack):
    """A list of one frame packed to (3, h, w) would reach the network as another thing."""
    data = persons(
        write_posetrack, [dict(type='LoadClip'), *augmentation(), dict(type='PackClipInputs')],
        frame_offsets=(0,),
    )  # fmt: skip
    assert data[0]['inputs'].shape == (1, 3, 128, 96)


def test_inputs_are_the_frames_in_temporal_order_and_bgr():
    frames = [np.full((4, 2, 3), (i, 10 + i, 20 + i), np.uint8) for i in range(3)]
    inputs = PackClipInputs()(dict(img=frames))['inputs']
    assert inputs[:, :, 0, 0].tolist() == [[0, 10, 20], [1, 11, 21], [2, 12, 22]]


def test_own_meta_keys_take_the_place_of_the_defaults():
    packed = PackClipInputs(meta_keys=('id',))(dict(img=[np.zeros((2, 2, 3))], id=3, img_id=4))
    assert packed['data_samples'].metainfo == dict(id=3)


def test_all_frames_get_the_same_warp(write_posetrack):
    """Were frames warped apart, the temporal neck would learn from motion that never was."""
    data = persons(write_posetrack, augmentation())
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    crops = set()
    for seed in range(10):
        np.random.seed(seed)
        info = data.get_data_info(2)
        info['img'] = [picture.copy() for _ in range(5)]
        info['img_shape'] = (240, 320)
        results = data.pipeline(info)
        for frame in results['img'][1:]:
            np.testing.assert_array_equal(frame, results['img'][0])
        crops.add(results['img'][0].tobytes())
    assert len(crops) == 10


@pytest.mark.parametrize('flip', [0, 1])
def test_pictures_and_keypoints_stay_together(write_posetrack, flip):
    """A disc at the left wrist has to lie at the wrist after flip and warp, and swap its side."""
    data = persons(write_posetrack, augmentation(flip))
    left, right = 9, 10
    found = 0
    for seed in range(20):
        np.random.seed(seed)
        info = data.get_data_info(2)
        black = np.zeros((240, 320, 3), np.uint8)
        centre = np.rint(info['keypoints'][0, left]).astype(int)
        info['keypoints'][0, left] = centre
        info['img'] = [cv2.circle(black.copy(), centre.tolist(), 4, (255,) * 3, -1)] * 5
        info['img_shape'] = (240, 320)
        results = data.pipeline(info)
        assert results['flip'] == bool(flip)
        at = results['transformed_keypoints'][0, right if flip else left]
        if (at > 8).all() and (at < (88, 120)).all():
            found += 1
            for frame in results['img']:
                rows, columns = np.nonzero(frame[..., 0] > 127)
                np.testing.assert_allclose([columns.mean(), rows.mean()], at, atol=0.7)
    assert found > 5


def test_transforms_leave_the_cached_frames_alone(write_posetrack):
    load = LoadClip()
    data = persons(
        write_posetrack,
        [load, *augmentation(flip=1), dict(type='ClipPhotometricDistortion'),
         dict(type='ClipCoarseDropout', prob=1.0), dict(type='PackClipInputs')],
    )  # fmt: skip
    data[2]
    before = {path: frame.copy() for path, frame in load._cache._frames.items()}
    for _ in range(3):
        for i in range(len(data)):
            data[i]
    for path, frame in load._cache._frames.items():
        np.testing.assert_array_equal(frame, before[path])
        np.testing.assert_array_equal(frame, cv2.imread(path))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_the_flip_is_mmposes(write_posetrack, direction):
    data = persons(write_posetrack, [])
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    outputs = []
    for flip in (ClipRandomFlip, RandomFlip):
        info = data.get_data_info(2)
        info.update(img=[picture, picture // 2], img_shape=(240, 320))
        info['bbox_center'] = np.array([[100.0, 50.0]])
        outputs.append(flip(prob=1.0, direction=direction)(info))
    ours, theirs = outputs
    assert ours.keys() == theirs.keys()
    for key in ours:
        np.testing.assert_equal(ours[key], theirs[key], err_msg=key)


def test_frames_pass_the_flip_untouched_where_it_does_not_happen(write_posetrack):
    frames = [np.zeros((4, 4, 3), np.uint8)]
    results = ClipRandomFlip(prob=0.0)(dict(img=frames, img_shape=(4, 4)))
    assert results['img'] is frames and results['flip'] is False


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 256, (16, 12, 3), dtype=np.uint8)


def distort(frames, seed=0, **kwargs):
    torch.manual_seed(seed)
    return ClipPhotometricDistortion(**kwargs)(dict(img=frames))['img']


def test_colours_change_alike_in_all_frames(picture):
    changed = 0
    for seed in range(20):
        frames = distort([picture, picture.copy(), picture], seed)
        np.testing.assert_array_equal(frames[0], frames[1])
        np.testing.assert_array_equal(frames[0], frames[2])
        assert frames[0].dtype == np.uint8 and frames[0].shape == picture.shape
        changed += not np.array_equal(frames[0], picture)
    assert changed >= 12


def test_colours_vary_from_clip_to_clip_and_follow_from_the_seed(picture):
    torch.manual_seed(3)
    transform = ClipPhotometricDistortion()
    runs = [transform(dict(img=[picture]))['img'][0].tobytes() for _ in range(8)]
    assert len(set(runs)) > 4
    torch.manual_seed(3)
    transform = ClipPhotometricDistortion()
    assert runs == [transform(dict(img=[picture]))['img'][0].tobytes() for _ in range(8)]


class Dice:
    """Stands in for a generator whose draws are known."""

    def __init__(self, apply, values):
        self.apply, self.values = np.array(apply), list(values)

    def random(self, size=None):
        return 0.0 if size is None else np.where(self.apply, 0.0, 1.0)

    def uniform(self, low, high):
        return self.values.pop(0)


def apply_draw(picture, apply, values):
    transform = ClipPhotometricDistortion()
    dice = Dice(apply, values)
    transform._generator = lambda: dice
    return transform(dict(img=[picture]))['img'][0]


@pytest.mark.parametrize(
    'apply, reference',
    [
        ((1, 0, 0, 0), lambda x: x + 20.4),
        ((0, 1, 0, 0), lambda x: (x - 128) * 1.3 + 128),
        ((1, 1, 0, 0), lambda x: (x + 20.4 - 128) * 1.3 + 128),
    ],
)
def test_brightness_and_contrast_are_what_they_say(picture, apply, reference):
    out = apply_draw(picture, apply, (20.4, 1.3, 0.5, 10))
    expected = np.clip(np.rint(reference(picture.astype(np.float64))), 0, 255)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize('saturation, turn', [(0.5, 0), (1.0, 16), (0.7, -12)])
def test_saturation_and_hue_are_what_they_say(saturation, turn):
    """Against Python's colorsys; cv2 rounds hue to two degrees and saturation to a 255th."""
    rng = np.random.default_rng(0)
    bright = rng.integers(60, 256, (8, 8, 3), dtype=np.uint8)
    out = apply_draw(bright, (0, 0, 1, 1), (0, 1, saturation, turn))
    for before, after in zip(bright.reshape(-1, 3), out.reshape(-1, 3)):
        h, s, v = colorsys.rgb_to_hsv(*(before[::-1] / 255))
        expected = colorsys.hsv_to_rgb((h + turn / 360) % 1, s * saturation, v)
        np.testing.assert_allclose(after[::-1] / 255, expected, atol=0.04)


def test_nothing_happens_at_probability_zero(picture):
    assert distort([picture], prob=0)[0] is picture
    assert ClipCoarseDropout(prob=0)(dict(img=[picture]))['img'][0] is picture


@pytest.mark.parametrize('transform', [ClipPhotometricDistortion(), ClipCoarseDropout()])
def test_single_images_and_floats_are_refused(transform, picture):
    for img in (picture, [picture.astype(np.float32)]):
        with pytest.raises(TypeError, match='list of uint8 HxWx3 frames.*LoadClip'):
            transform(dict(img=img))


@pytest.mark.parametrize('per_frame', [False, True])
def test_rectangles_hide_the_same_place_of_all_frames_unless_told_otherwise(per_frame):
    torch.manual_seed(0)
    transform = ClipCoarseDropout(max_holes=2, size=(0.3, 0.5), per_frame=per_frame, prob=1)
    black = np.zeros((64, 48, 3), np.uint8)
    black.flags.writeable = False
    same = 0
    for _ in range(10):
        frames = transform(dict(img=[black] * 3))['img']
        hidden = [frame.any(axis=2).mean() for frame in frames]
        assert all(0.08 < share < 0.55 for share in hidden)
        same += all(np.array_equal(frame, frames[0]) for frame in frames)
    assert same == (0 if per_frame else 10)
    assert not black.any()


def test_the_transforms_print_their_arguments():
    pipeline = Compose(
        [dict(type='LoadClip', cache_mb=7), dict(type='ClipPhotometricDistortion', hue=3),
         dict(type='ClipCoarseDropout', max_holes=4)]
    )  # fmt: skip
    assert all(text in repr(pipeline) for text in ('cache_mb=7', 'hue=3', 'max_holes=4'))


@pytest.mark.parametrize('name', ['PhotometricDistortion', 'YOLOXHSVRandomAug'])
def test_mmposes_own_augmentation_takes_no_clip(name):
    """The reason for clip_augment.py: broken when mmpose's transforms do, and ours can go."""
    transform = TRANSFORMS.build(dict(type=name))
    frames = [np.full((8, 8, 3), 90, np.uint8)] * 3
    with pytest.raises((AttributeError, cv2.error)):
        for _ in range(30):  # not every draw does something
            transform(dict(img=frames))


def test_scores_go_with_their_keypoints_into_the_weights():
    """Broken if a flip gave the left wrist the right one's score."""
    results = dict(
        img=[np.zeros((4, 6, 3), np.uint8)], img_shape=(4, 6), flip_indices=[0, 2, 1],
        keypoints=np.array([[[1, 1], [2, 1], [4, 1]]], np.float32),
        keypoints_visible=np.ones((1, 3), np.float32),
        keypoint_scores=np.array([[0.9, 0.5, 0.25]], np.float32),
    )  # fmt: skip
    flipped = ClipRandomFlip(prob=1.0, direction='horizontal')(results)
    assert flipped['keypoint_scores'][0].tolist() == pytest.approx([0.9, 0.25, 0.5])
    flipped['keypoint_weights'] = np.array([[1, 0, 2]], np.float32)
    weighted = WeightByScore(power=2)(flipped)['keypoint_weights']
    assert weighted[0].tolist() == pytest.approx([0.81, 0, 0.5])
    assert weighted.dtype == np.float32
    assert WeightByScore()(dict(keypoint_weights=1)) == dict(keypoint_weights=1)
    with pytest.raises(ValueError, match='after GenerateTarget'):
        WeightByScore()(dict(keypoint_scores=1))
    with pytest.raises(ValueError, match='power=-1'):
        WeightByScore(power=-1)
