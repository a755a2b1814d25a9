"""DiffusionHeatmap against plain loops, mmpose's UDPHeatmap and mmpose's pipeline."""

import numpy as np
import pytest
import torch
from mmpose.codecs import UDPHeatmap
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs, TopdownAffine
from mmpose.models.heads import HeatmapHead
from mmpose.registry import KEYPOINT_CODECS

from diffpose_mm.codecs import DiffusionHeatmap

SIZES = [((192, 256), (48, 64)), ((288, 384), (72, 96)), ((96, 128), (24, 32))]
SIGMAS = [0.75, 1.0, 1.5, 2.0, 3.0, 6.0]


def codec(input_size=(192, 256), heatmap_size=(48, 64), **kwargs):
    return DiffusionHeatmap(input_size, heatmap_size, **kwargs)


def random_pose(rng, extent, joints=17):
    return rng.uniform(0, 1, (1, joints, 2)) * extent


def noisy_heatmaps(rng, c, num, noise=0.05):
    """Predictions as networks make them: Gaussians of any height plus noise of both signs."""
    maps = [
        c.encode(random_pose(rng, c.input_extent))['heatmaps'] * rng.uniform(0.05, 1.2)
        for _ in range(num)
    ]
    return np.stack(maps) + rng.normal(0, noise, (num, *maps[0].shape)).astype(np.float32)


# ---------------------------------------------------------------------------------- precision


@pytest.mark.parametrize('input_size, heatmap_size', SIZES)
@pytest.mark.parametrize('sigma', SIGMAS)
def test_random_poses_survive_the_round_trip(input_size, heatmap_size, sigma):
    """The documented 0.02 input pixels (the requirement is 0.1)."""
    c = codec(input_size, heatmap_size, sigma=sigma)
    rng = np.random.default_rng(0)
    for _ in range(60):
        keypoints = random_pose(rng, c.input_extent)
        encoded = c.encode(keypoints)
        decoded, scores = c.decode(encoded['heatmaps'])
        assert (encoded['keypoint_weights'] == 1).all()
        np.testing.assert_allclose(decoded, keypoints, atol=0.02)
        assert (scores > np.exp(-0.5 * 0.5 / sigma**2) - 1e-3).all()


@pytest.mark.parametrize('input_size, heatmap_size', SIZES)
@pytest.mark.parametrize('sigma', SIGMAS)
def test_joints_at_the_very_border_survive_the_round_trip(input_size, heatmap_size, sigma):
    """DARK's blur sees zeros outside the crop and would pull these up to 7 input pixels inside."""
    c = codec(input_size, heatmap_size, sigma=sigma)
    w, h = c.input_extent
    depth = np.linspace(0, 40, 161)
    rng = np.random.default_rng(1)
    along_x, along_y = rng.uniform(0, w, depth.size), rng.uniform(0, h, depth.size)
    keypoints = np.concatenate(
        [
            np.stack([depth, along_y], -1),
            np.stack([w - depth, along_y], -1),
            np.stack([along_x, depth], -1),
            np.stack([along_x, h - depth], -1),
            np.stack([depth, depth], -1),
            np.stack([w - depth, h - depth], -1),
        ]
    )[None]
    encoded = c.encode(keypoints)
    assert (encoded['keypoint_weights'] == 1).all()
    np.testing.assert_allclose(c.decode(encoded['heatmaps'])[0], keypoints, atol=0.02)


def test_border_joints_stay_near_the_truth_when_the_prediction_is_noisy():
    """Taking the border's pull off must not amplify noise: well below plain DARK's 2 pixels."""
    c = codec()
    rng = np.random.default_rng(2)
    keypoints = random_pose(rng, c.input_extent, joints=500)
    keypoints[..., 0] = rng.uniform(0, 8, 500)
    heatmaps = c.encode(keypoints)['heatmaps']
    heatmaps = heatmaps + rng.normal(0, 0.05, heatmaps.shape).astype(np.float32)
    error = np.linalg.norm(c.decode(heatmaps)[0] - keypoints, axis=-1)
    assert np.sqrt((error**2).mean()) < 0.5


def test_a_joint_comes_back_to_its_image_pixel_through_the_crop():
    """UDP end to end: affine warp, encoding, decoding and the map of input_extent to the box."""
    c = codec()
    rng = np.random.default_rng(4)
    center, scale = np.array([[210.3, 155.7]], np.float32), np.array([[187.5, 250.0]], np.float32)
    joints = center[:, None] + (rng.uniform(-0.5, 0.5, (1, 17, 2)) * scale[:, None])
    results = TopdownAffine(input_size=(192, 256), use_udp=True)(
        {
            'img': np.zeros((400, 500, 3), np.uint8),
            'bbox_center': center,
            'bbox_scale': scale,
            'keypoints': joints.astype(np.float32),
            'keypoints_visible': np.ones((1, 17), np.float32),
        }
    )
    encoded = c.encode(results['transformed_keypoints'], np.ones((1, 17)))
    decoded, _ = c.decode(encoded['heatmaps'])
    image = decoded / c.input_extent * results['input_scale'] + results['input_center']
    image -= 0.5 * results['input_scale']
    used = encoded['keypoint_weights'][0] > 0
    assert used.sum() >= 16
    np.testing.assert_allclose(image[0, used], joints[0, used], atol=0.05)


def test_flipping_the_heatmap_flips_the_joints_in_the_crop():
    """UDP's point: a flipped heatmap is the heatmap of the flipped image, without any shift."""
    c = codec()
    keypoints = random_pose(np.random.default_rng(5), c.input_extent)
    mirrored = keypoints * [-1, 1] + [c.input_extent[0], 0]
    np.testing.assert_allclose(
        c.encode(keypoints)['heatmaps'][..., ::-1], c.encode(mirrored)['heatmaps'], atol=1e-6
    )


# ----------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize('sigma', [1.5, 2.0])
def test_encoding_is_a_gaussian_at_each_pixel(sigma):
    c = codec((96, 128), (24, 32), sigma=sigma)
    keypoints = random_pose(np.random.default_rng(6), c.input_extent, joints=5)
    heatmaps = c.encode(keypoints, np.ones((1, 5)))['heatmaps']
    assert heatmaps.dtype == np.float32 and heatmaps.shape == (5, 32, 24)
    for k, (x, y) in enumerate(keypoints[0]):
        for row in range(32):
            for column in range(24):
                squared = (column - x * 23 / 95) ** 2 + (row - y * 31 / 127) ** 2
                expected = np.exp(-squared / (2 * sigma**2))
                assert abs(heatmaps[k, row, column] - expected) < 1e-6


def test_encoding_equals_mmposes_up_to_its_cut_at_three_sigma():
    c, reference = codec(sigma=2.0), UDPHeatmap((192, 256), (48, 64), sigma=2)
    keypoints = random_pose(np.random.default_rng(7), c.input_extent)
    ours, theirs = c.encode(keypoints), reference.encode(keypoints.astype(np.float32))
    kept = theirs['heatmaps'] > 0
    np.testing.assert_allclose(ours['heatmaps'][kept], theirs['heatmaps'][kept], atol=1e-4)
    assert ours['heatmaps'][~kept].max() < 0.0112
    np.testing.assert_array_equal(ours['keypoint_weights'], theirs['keypoint_weights'])


def test_joints_that_cannot_be_learnt_from_weigh_nothing():
    c = codec()
    keypoints = np.array(
        [
            [
                [0, 0],
                [191, 255],
                [-0.1, 9],
                [191.1, 9],
                [9, -0.1],
                [9, 255.1],
                [-900, 9],
                [9, 9],
                [9, 9],
                [np.nan, 9],
                [9, np.inf],
                [0, 0],
                [9, 9],
            ]
        ]
    )
    visible = np.ones((1, 13))
    visible[0, [7, 8, 11, 12]] = [0, 0.3, 0, 0.8]
    with np.errstate(all='raise', under='ignore'):
        encoded = c.encode(keypoints, visible)
    weights, heatmaps = encoded['keypoint_weights'], encoded['heatmaps']
    expected = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.8]
    np.testing.assert_allclose(weights, [expected], atol=1e-6)
    assert weights.dtype == np.float32
    assert (heatmaps[weights[0] == 0] == 0).all()
    assert (heatmaps[weights[0] > 0].max((1, 2)) > 0.9).all()
    assert visible[0, 8] == 0.3, "the caller's array was changed"


def test_the_pipeline_of_mmpose_packs_the_target():
    """The keys and mapping tables are those which GenerateTarget and PackPoseInputs look for."""
    keypoints = random_pose(np.random.default_rng(8), (191, 255)).astype(np.float32)
    visible = np.ones((1, 17), np.float32)
    visible[0, 3:5] = 0
    results = {
        'img': np.zeros((256, 192, 3), np.uint8),
        'transformed_keypoints': keypoints,
        'keypoints_visible': visible,
        'dataset_keypoint_weights': np.ones(17, np.float32),
    }
    encoder = {
        'type': 'DiffusionHeatmap',
        'input_size': (192, 256),
        'heatmap_size': (48, 64),
        'sigma': 2,
        'signal_scale': 0.3,
    }
    packed = PackPoseInputs()(GenerateTarget(encoder=encoder)(results))
    sample = packed['data_samples']
    assert sample.gt_fields.heatmaps.shape == (17, 64, 48)
    np.testing.assert_array_equal(sample.gt_instance_labels.keypoint_weights, visible)


# -------------------------------------------------------------------------------------- signal


@pytest.mark.parametrize('scale', [0.1, 0.5, 2.0])
@pytest.mark.parametrize('convert', [np.asarray, torch.from_numpy])
def test_signal_fills_its_range_and_comes_back(scale, convert):
    c = codec(signal_scale=scale)
    heatmaps = convert(np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4))
    signal = c.to_signal(heatmaps)
    assert type(signal) is type(heatmaps) and signal.dtype == heatmaps.dtype
    assert abs(float(signal.min()) + scale) < 1e-6 and abs(float(signal.max()) - scale) < 1e-6
    np.testing.assert_allclose(c.to_heatmap(signal), heatmaps, atol=1e-6)
    beyond = c.to_heatmap(signal * 3)
    assert beyond.min() == 0 and beyond.max() == 1
    assert type(beyond) is type(heatmaps)


# ------------------------------------------------------------------------------------ decoding


@pytest.mark.parametrize('num', [1, 2, 10])
def test_hypotheses_are_decoded_as_a_loop_would(num):
    """Equal to the last bit, so that a batch of hypotheses changes nothing."""
    c = codec()
    heatmaps = noisy_heatmaps(np.random.default_rng(9), c, num)
    out = c.decode_hypotheses(heatmaps)
    loop = [c.decode(h) for h in heatmaps]
    np.testing.assert_array_equal(out['hypotheses'], np.stack([k for k, _ in loop], 1))
    np.testing.assert_array_equal(out['hypothesis_scores'], np.stack([s for _, s in loop], 1))
    mean_keypoints, mean_scores = c.decode(heatmaps.mean(0))
    np.testing.assert_array_equal(out['keypoints'], mean_keypoints)
    np.testing.assert_array_equal(out['keypoint_scores'], mean_scores)
    np.testing.assert_allclose(
        out['keypoint_std'][0], np.std(out['hypotheses'][0].astype(float), axis=0), atol=1e-4
    )
    assert {k: v.shape for k, v in out.items()} == {
        'keypoints': (1, 17, 2),
        'keypoint_scores': (1, 17),
        'keypoint_std': (1, 17, 2),
        'hypotheses': (1, num, 17, 2),
        'hypothesis_scores': (1, num, 17),
    }
    assert all(v.dtype == np.float32 for v in out.values())


def test_spread_is_in_input_pixels_and_zero_when_all_agree():
    c = codec()
    at = np.array([[[40.0, 60.0], [100.0, 200.0]], [[48.0, 60.0], [100.0, 200.0]]])
    heatmaps = np.stack([c.encode(pose[None])['heatmaps'] for pose in at])
    np.testing.assert_allclose(
        c.decode_hypotheses(heatmaps)['keypoint_std'], [[[4, 0], [0, 0]]], atol=0.01
    )
    assert (c.decode_hypotheses(heatmaps[:1])['keypoint_std'] == 0).all()


def test_a_batch_is_decoded_as_its_samples_are():
    c = codec((96, 128), (24, 32))
    heatmaps = noisy_heatmaps(np.random.default_rng(10), c, 6)
    for batch in (heatmaps, torch.from_numpy(heatmaps).requires_grad_()):
        keypoints, scores = c.batch_decode(batch)
        assert len(keypoints) == len(scores) == 6
        for one, k, s in zip(heatmaps, keypoints, scores):
            np.testing.assert_array_equal(k, c.decode(one)[0])
            np.testing.assert_array_equal(s, c.decode(one)[1])


def test_decoding_leaves_its_input_alone():
    c = codec()
    heatmaps = noisy_heatmaps(np.random.default_rng(11), c, 3)
    heatmaps.setflags(write=False)
    before = heatmaps.copy()
    c.decode(heatmaps[0])
    c.decode_hypotheses(heatmaps)
    c.batch_decode(heatmaps)
    np.testing.assert_array_equal(heatmaps, before)


def test_the_height_of_a_heatmap_sets_its_score_and_not_its_place():
    c = codec()
    keypoints = random_pose(np.random.default_rng(12), c.input_extent)
    heatmaps = c.encode(keypoints)['heatmaps']
    for height in (1e-6, 1e-3, 0.3, 1.0, 30.0):
        decoded, scores = c.decode(heatmaps * height)
        np.testing.assert_allclose(decoded, keypoints, atol=0.05)
        expected = (heatmaps.max((1, 2)) * height).clip(0, 1)
        np.testing.assert_allclose(scores[0], expected, rtol=1e-5)


@pytest.mark.parametrize('kind', ['zero', 'constant', 'negative', 'spike', 'noise', 'ridge', 'big'])
def test_anything_a_network_may_output_decodes_to_a_place_in_the_crop(kind):
    c = codec()
    rng = np.random.default_rng(13)
    shape = (17, 64, 48)
    heatmaps = {
        'zero': np.zeros(shape),
        'constant': np.full(shape, 0.4),
        'negative': rng.uniform(-2, -1, shape),
        'spike': np.zeros(shape),
        'noise': rng.normal(0, 1, shape),
        'ridge': np.broadcast_to(np.exp(-((np.arange(48) - 20.0) ** 2) / 8), shape),
        'big': rng.uniform(-1e30, 1e30, shape),
    }[kind].astype(np.float32)
    if kind == 'spike':
        places = rng.integers(0, [64, 48], (17, 2))
        heatmaps[np.arange(17), places[:, 0], places[:, 1]] = 1
    with np.errstate(all='raise', under='ignore'):
        keypoints, scores = c.decode(heatmaps)
    assert np.isfinite(keypoints).all()
    assert (keypoints >= 0).all() and (keypoints <= c.input_extent).all()
    np.testing.assert_allclose(scores[0], heatmaps.max((1, 2)).clip(0, 1))
    if kind == 'spike':
        np.testing.assert_allclose(keypoints[0], places[:, ::-1] * 191 / 47, atol=4.1)


def test_heatmap_head_of_mmpose_decodes_with_this_codec():
    """The single-frame baseline keeps mmpose's head and only names this codec."""
    config = {'type': 'DiffusionHeatmap', 'input_size': (96, 128), 'heatmap_size': (24, 32)}
    head = HeatmapHead(4, 17, deconv_out_channels=None, decoder=config)
    assert isinstance(head.decoder, DiffusionHeatmap)
    heatmaps = noisy_heatmaps(np.random.default_rng(14), head.decoder, 3)
    predictions = head.decode(torch.from_numpy(heatmaps))
    for one, prediction in zip(heatmaps, predictions):
        keypoints, scores = head.decoder.decode(one)
        np.testing.assert_array_equal(prediction.keypoints, keypoints)
        np.testing.assert_array_equal(prediction.keypoint_scores, scores)


# ------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    'kwargs, match',
    [
        ({'heatmap_size': (64, 48)}, r'heatmap_size=\(64, 48\) has not the aspect.*\(48, 64\)'),
        ({'heatmap_size': (48, 63)}, 'has not the aspect of input_size'),
        ({'heatmap_size': (48, 64, 1)}, r'heatmap_size=.* must be \(width, height\)'),
        ({'input_size': (0, 0)}, r'input_size=\(0, 0\) must be \(width, height\)'),
        ({'input_size': (192.5, 256)}, 'input_size=.*two integers'),
        ({'sigma': 0}, 'sigma=0 must be at least 0.1'),
        ({'sigma': -2.0}, 'sigma=-2.0 must be at least'),
        ({'signal_scale': 0.0}, 'signal_scale=0.0 must be positive'),
        ({'decoding': 'argmax'}, "decoding='argmax' must be one of gaussian_fit, dark"),
        ({'blur_kernel_size': 10}, 'blur_kernel_size=10 must be odd'),
        ({'blur_kernel_size': 1}, 'blur_kernel_size=1 must be odd and at least 3'),
    ],
)
def test_a_bad_field_is_named(kwargs, match):
    config = {'type': 'DiffusionHeatmap', 'input_size': (192, 256), 'heatmap_size': (48, 64)}
    with pytest.raises(ValueError, match=match):
        KEYPOINT_CODECS.build({**config, **kwargs})


@pytest.mark.parametrize(
    'keypoints, visible, match',
    [
        (np.zeros((2, 17, 2)), None, r'shape \(2, 17, 2\).*\(1, K, 2\)'),
        (np.zeros((17, 2)), None, r'shape \(17, 2\).*\(1, K, 2\)'),
        (np.zeros((1, 17, 2)), np.ones((1, 15)), r'keypoints_visible has shape \(1, 15\)'),
    ],
)
def test_arrays_of_another_shape_are_not_encoded(keypoints, visible, match):
    with pytest.raises(ValueError, match=match):
        codec().encode(keypoints, visible)


def test_heatmaps_of_another_shape_or_without_values_are_not_decoded():
    c = codec()
    with pytest.raises(ValueError, match=r'shape \(17, 48, 64\).*\(K, 64, 48\)'):
        c.decode(np.zeros((17, 48, 64)))
    with pytest.raises(ValueError, match=r'shape \(17, 64, 48\).*\(S, K, 64, 48\)'):
        c.decode_hypotheses(np.zeros((17, 64, 48)))
    with pytest.raises(ValueError, match='S must be >= 1'):
        c.decode_hypotheses(np.zeros((0, 17, 64, 48)))
    with pytest.raises(ValueError, match='NaN or infinite.*diverged'):
        c.decode(np.full((17, 64, 48), np.nan))
