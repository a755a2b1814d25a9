import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from diffpose_mm.datasets import (
    ClipCompression,
    ClipDefocus,
    ClipDroppedFrames,
    ClipExposure,
    ClipMotionBlur,
    ClipMovingOccluder,
    LoadClip,
    PackClipInputs,
    PoseTrack18ClipDataset,
)
from diffpose_mm.datasets.transforms.clip_damage import disk_kernel, line_kernel, motion_of
from diffpose_mm.datasets.transforms.clip_occlusion import covered

IN_PLACE = [ClipMotionBlur, ClipDefocus, ClipExposure, ClipCompression]
ALL = [*IN_PLACE, ClipDroppedFrames, ClipMovingOccluder]
SIZE = (96, 128)


def noise(seed=0, size=SIZE):
    """A picture with structure at every length, so that its motion can be told."""
    rng = np.random.default_rng(seed)
    picture = sum(
        cv2.resize(rng.uniform(0, 255 / 3, (size[1] // n, size[0] // n, 3)), size)
        for n in (2, 8, 32)
    )
    return picture.astype(np.uint8)


def clip(frames=5, motion=(0, 0), id=0):
    picture = noise(size=(2 * SIZE[0], 2 * SIZE[1]))
    width, height = SIZE
    offsets = tuple(range(-(frames // 2), frames - frames // 2))
    shown = []
    for offset in offsets:
        x, y = np.array((48, 64)) - np.multiply(motion, offset)
        shown.append(picture[y : y + height, x : x + width].copy())
    keypoints = np.random.default_rng(1).uniform((20, 20), (76, 108), (17, 2))
    return dict(
        img=shown,
        id=id,
        frame_offsets=offsets,
        keyframe_index=frames // 2,
        transformed_keypoints=keypoints[None].astype(np.float32),
        keypoints_visible=np.ones((1, 17), np.float32),
        skeleton_links=[(0, 5), (5, 7), (7, 9), (11, 13), (13, 15)],
    )


def changed(before, after):
    return [bool((a != b).any()) for a, b in zip(before['img'], after['img'])]


@pytest.mark.parametrize('transform', ALL)
def test_nothing_happens_at_probability_zero(transform):
    before, after = clip(), transform(prob=0)(clip())
    assert changed(before, after) == [False] * 5


@pytest.mark.parametrize('transform', IN_PLACE)
def test_keyframe_is_hit_more_often_than_its_neighbours_and_stretches_are_whole(transform):
    """Broken if the damage did not begin and end in the clip, or spared the keyframe."""
    damage = transform(prob=1, keyframe_share=0.7, duration=(1, 3), seed=3)
    hits = np.array([changed(clip(), damage(clip(id=id))) for id in range(120)])
    for hit in hits:
        places = np.flatnonzero(hit)
        assert (np.diff(places) == 1).all() and 1 <= len(places) <= 3
    rates = hits.mean(0)
    assert rates[2] > 0.7 and rates[2] > rates.max() - 1e-9
    assert 0.02 < rates[0] < 0.4 and 0.02 < rates[4] < 0.4


def test_length_of_a_stretch_is_in_frames_of_the_video():
    """Broken if a clip of every fourth frame lost its neighbours with its keyframe."""
    damage = ClipDefocus(prob=1, keyframe_share=1, duration=(3, 3))
    results = clip()
    results['frame_offsets'] = (-8, -4, 0, 4, 8)
    assert changed(clip(), damage(results)) == [False, False, True, False, False]
    assert changed(clip(), damage(clip())) == [False, True, True, True, False]


@pytest.mark.parametrize('transform', ALL)
def test_same_seed_and_sample_same_damage(transform):
    """Broken if two models that are compared saw different damage."""
    runs = []
    for order in ((1, 2, 3), (3, 2, 1)):
        damage = transform(prob=1, seed=7)
        runs.append({id: damage(clip(id=id, motion=(3, 1)))['img'] for id in order})
    for id in (1, 2, 3):
        assert all((a == b).all() for a, b in zip(runs[0][id], runs[1][id]))
    assert any((a != b).any() for a, b in zip(runs[0][1] * 2, runs[0][2] + runs[0][3]))


@pytest.mark.parametrize('transform', ALL)
def test_frames_of_the_cache_are_left_alone(transform):
    results = clip()
    kept = [frame.copy() for frame in results['img']]
    given = results['img']
    for frame in given:
        frame.flags.writeable = False
    transform(prob=1)(results)
    assert all((a == b).all() for a, b in zip(given, kept))


@pytest.mark.parametrize('kernel', [line_kernel(5.3, -2.2), line_kernel(0, 0), disk_kernel(2.6)])
def test_kernels_keep_brightness_and_place(kernel):
    """Broken if blur moved the picture, and with it the person away from the labels."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - (kernel.shape[0] - 1) / 2
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-5)
    assert (kernel * y).sum() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize('way', [(6.0, 0.0), (3.0, 4.0), (0.0, -2.5)])
def test_variance_of_a_line_is_that_of_its_length(way):
    """A path of length L has variance L*L/12 along itself; bilinear sharing adds up to 1/4."""
    kernel = line_kernel(*way)
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - (kernel.shape[0] - 1) / 2
    length = np.hypot(*way)
    along = (x * way[0] + y * way[1]) / length
    assert (kernel * along**2).sum() == pytest.approx(length**2 / 12, abs=0.26)


def test_variance_of_a_disk_is_that_of_its_radius():
    """A disk of radius r has variance r*r/4 along each axis."""
    kernel = disk_kernel(6.3)
    x = np.arange(kernel.shape[1]) - (kernel.shape[1] - 1) / 2
    assert (kernel.sum(0) * x**2).sum() == pytest.approx(6.3**2 / 4, rel=0.03)


@pytest.mark.parametrize('motion', [(3, 0), (0, -4), (2, 5)])
def test_blur_follows_the_motion_of_the_crop(motion):
    """Broken if a person who runs to the right were blurred upwards."""
    frames = clip(motion=motion)['img']
    assert motion_of(frames[1], frames[2]) == pytest.approx(motion, abs=0.3)
    damage = ClipMotionBlur(prob=1, keyframe_share=1, length=(0.2, 0.2))
    blurred = damage(clip(motion=motion))['img'][2].astype(float)
    unit = np.array(motion) / np.hypot(*motion)
    gradients = [cv2.Sobel(blurred[..., 1], cv2.CV_64F, *axis) for axis in ((1, 0), (0, 1))]
    along = np.abs(unit[0] * gradients[0] + unit[1] * gradients[1]).mean()
    across = np.abs(unit[1] * gradients[0] - unit[0] * gradients[1]).mean()
    assert along < 0.6 * across


def test_no_motion_is_told_of_a_cut():
    assert motion_of(noise(0), noise(5)) is None


def test_exposure_is_in_linear_light():
    """One stop more is twice the light: 2.2 * log2 of the levels' ratio."""
    damage = ClipExposure(prob=1, keyframe_share=1, stops=(1, 1), duration=(1, 1), seed=0)
    before = clip()['img'][2].astype(float)
    seen = set()
    for id in range(8):
        after = damage(clip(id=id))['img'][2].astype(float)
        chosen = (before > 60) & (after < 254)
        stops = 2.2 * np.log2(after[chosen].mean() / before[chosen].mean())
        seen.add(round(stops, 1))
    assert seen == {1.0, -1.0}


def test_compression_is_what_opencv_writes():
    damage = ClipCompression(prob=1, keyframe_share=1, quality=(9, 9), duration=(1, 1))
    picture = clip()['img'][2]
    expected = cv2.imdecode(cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 9])[1], 1)
    assert (damage(clip())['img'][2] == expected).all()


def test_lost_frames_are_replaced_by_the_nearest_that_is_left():
    """Broken if a lost neighbour were replaced by the keyframe while a nearer frame was there."""
    damage = ClipDroppedFrames(prob=1, share=0.6, seed=1)
    for id in range(30):
        results = clip(motion=(3, 0), id=id)
        originals = list(results['img'])
        results = damage(results)
        lost = results['clip_replicated']
        assert not lost[2]
        for i, frame in enumerate(results['img']):
            distances = [(abs(i - j), abs(j - 2)) for j in range(5) if not lost[j]]
            kept = [j for j in range(5) if not lost[j]]
            assert frame is originals[kept[distances.index(min(distances))]]


@pytest.mark.parametrize('kind', ['bar', 'piece', 'person'])
def test_occluder_hides_the_keyframe_and_moves_on(kind):
    """Broken if it stood still, missed the joint, or said that it hid what can be seen."""
    damage = ClipMovingOccluder(
        prob=1, keyframe_share=1, kinds=(kind,), size=(0.2, 0.3), speed=(0.1, 0.1), seed=0
    )
    hidden_sets = []
    for id in range(20):
        before, after = clip(id=id), damage(clip(id=id))
        masks = [(a != b).any(-1) for a, b in zip(before['img'], after['img'])]
        hidden_sets.append(after['keypoints_occluded'])
        x, y = np.rint(before['transformed_keypoints'][0]).astype(int).T
        # What was painted over with its own colour does not count as changed.
        assert (masks[2][y, x] <= after['keypoints_occluded']).all()
        assert any((masks[i] != masks[2]).any() for i in (0, 4))
    counts = np.array(hidden_sets).sum(1)
    assert counts.max() < 17
    assert (counts > 0).mean() > (0.5 if kind == 'person' else 0.95)


def test_speed_is_the_way_between_frames():
    damage = ClipMovingOccluder(
        prob=1, keyframe_share=1, kinds=('piece',), size=(0.2, 0.2), speed=(0.05, 0.05), seed=2
    )
    ways = []
    for id in range(12):
        before, after = clip(id=id), damage(clip(id=id))
        masks = [(a != b).any(-1) for a, b in zip(before['img'], after['img'])]
        centres = [np.argwhere(mask).mean(0) for mask in masks[1:4] if mask.sum() > 30]
        whole = [not (m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any()) for m in masks]
        if all(whole[1:4]) and len(centres) == 3:
            ways += [np.hypot(*(b - a)) for a, b in zip(centres, centres[1:])]
    assert len(ways) >= 4
    assert np.mean(ways) == pytest.approx(0.05 * 96, abs=0.8)


def test_only_labelled_joints_are_aimed_at_and_counted():
    damage = ClipMovingOccluder(prob=1, keyframe_share=1, seed=0)
    for id in range(10):
        results = clip(id=id)
        results['keypoints_visible'][0, 1:] = 0
        occluded = damage(results)['keypoints_occluded']
        assert not occluded[1:].any()
    results = clip()
    results['keypoints_visible'][:] = 0
    assert changed(clip(), damage(results)) == [False] * 5


def test_covered_leaves_out_what_is_outside():
    mask = np.ones((4, 6), bool)
    points = np.array([(0, 0), (5, 3), (6, 3), (-1, 0), (2, 4)], float)
    assert covered(mask, points).tolist() == [True, True, False, False, False]


def test_pictures_of_a_folder_are_used(tmp_path):
    (tmp_path / 'deep').mkdir()
    cv2.imwrite(str(tmp_path / 'deep/red.png'), np.full((30, 40, 3), (0, 0, 200), np.uint8))
    damage = ClipMovingOccluder(prob=1, keyframe_share=1, pictures=str(tmp_path), seed=0)
    reds = 0
    for id in range(10):
        after = damage(clip(id=id))['img'][2]
        reds += bool(((after[..., :2] == 0).all(-1) & (after[..., 2] > 90)).any())
    assert reds >= 5


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: ClipDefocus(prob=2), 'prob=2 has to be from 0 to 1'),
        (lambda: ClipMotionBlur(length=(0.3, 0.1)), r'length=\(0.3, 0.1\)'),
        (lambda: ClipExposure(duration=(-1, 2)), r'duration=\(-1, 2\)'),
        (lambda: ClipDroppedFrames(share=-1), 'share=-1'),
        (lambda: ClipMovingOccluder(kinds=('tree',)), "kinds=.*'tree'"),
        (lambda: ClipMovingOccluder(pictures='nowhere'), 'no pictures .* under nowhere'),
    ],
)
def test_arguments_that_mean_nothing_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize('transform', ALL)
def test_single_pictures_are_refused(transform):
    results = clip()
    results['img'] = results['img'][0]
    with pytest.raises(TypeError, match='list of uint8'):
        transform(prob=1)(results)


@pytest.mark.parametrize('transform', ALL)
def test_clips_of_one_frame_pass(transform):
    assert len(transform(prob=1)(clip(frames=1))['img']) == 1


def test_registered_and_packed(write_posetrack):
    """Broken if a config could not name them, or the model were not told what was hidden."""
    root = write_posetrack(num_videos=1, nframes=5, persons=1, size=(320, 240))
    codec = dict(type='UDPHeatmap', input_size=SIZE, heatmap_size=(24, 32), sigma=2)
    assert all(t.__name__ in TRANSFORMS.module_dict for t in (LoadClip, PackClipInputs, *ALL))
    data = PoseTrack18ClipDataset(
        ann_file='annotations/posetrack18_val.json', data_root=str(root),
        pipeline=[
            dict(type='LoadClip'), dict(type='GetBBoxCenterScale', padding=1.25),
            dict(type='TopdownAffine', input_size=SIZE, use_udp=True),
            *(dict(type=t.__name__, prob=1) for t in ALL),
            dict(type='GenerateTarget', encoder=codec), dict(type='PackClipInputs'),
        ],
    )  # fmt: skip
    packed = data[2]
    assert packed['inputs'].shape == (5, 3, 128, 96)
    assert packed['data_samples'].metainfo['keypoints_occluded'].any()
