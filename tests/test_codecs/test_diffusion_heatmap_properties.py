"""DiffusionHeatmap on random sizes, joints, visibilities and heatmaps."""

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from property_cases import cases

from diffpose_mm.codecs import DiffusionHeatmap


@st.composite
def codecs(draw, smallest=3):
    heatmap = draw(st.integers(smallest, 60)), draw(st.integers(smallest, 60))
    stride = draw(st.sampled_from([1, 2, 3, 4, 8]))
    sigmas = [0.75, 1.0, 1.5, 2.0, 3.0, 6.0]
    sigma = draw(st.sampled_from([s for s in sigmas if s <= max(heatmap)]))
    scale = draw(st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    size = heatmap[0] * stride, heatmap[1] * stride
    return DiffusionHeatmap(size, heatmap, sigma=sigma, signal_scale=scale)


@st.composite
def poses(draw, codec):
    """Joints inside, on the border, outside and nowhere, of every visibility."""
    joints = draw(st.integers(1, 5))
    anywhere = st.floats(allow_nan=True, allow_infinity=True)
    columns = [
        [
            draw(st.one_of(st.floats(0, extent), st.sampled_from([0.0, extent]), anywhere))
            for _ in range(joints)
        ]
        for extent in codec.input_extent.tolist()
    ]
    weights = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
    visible = draw(hnp.arrays(np.float32, joints, elements=weights))
    return np.array(columns).T[None], visible[None]


@cases(st.data())
def test_every_joint_that_is_used_survives_the_round_trip(data):
    """Half a hundredth of a heatmap pixel, to the very border; no other joint leaves a trace."""
    codec = data.draw(codecs(smallest=8))
    keypoints, visible = data.draw(poses(codec))
    encoded = codec.encode(keypoints, visible)
    heatmaps, weights = encoded['heatmaps'], encoded['keypoint_weights']
    with np.errstate(invalid='ignore'):
        inside = ((keypoints >= 0) & (keypoints <= codec.input_extent)).all(-1)
    used = inside & (visible >= 0.5)
    np.testing.assert_array_equal(weights, np.where(used, visible, 0))
    assert heatmaps.dtype == weights.dtype == np.float32
    assert heatmaps.min() >= 0 and heatmaps.max() <= 1
    assert not heatmaps[~used[0]].any()

    decoded, scores = codec.decode(heatmaps)
    stride = codec.input_extent / (np.array(codec.heatmap_size) - 1)
    error = np.abs(decoded - keypoints) / stride
    assert (error[used] < 0.005).all(), error[used]
    assert (scores[used] > 0).all() and (scores[~used] == 0).all()


@cases(st.data())
def test_whatever_the_heatmap_the_joint_lies_in_the_crop(data):
    """Predictions are neither Gaussian nor positive; and a batch is its samples one by one."""
    codec = data.draw(codecs())
    width, height = codec.heatmap_size
    values = st.one_of(
        st.floats(-2, 2, width=32), st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
    heatmaps = data.draw(
        hnp.arrays(np.float32, (2, 2, height, width), elements=values, fill=values)
    )
    before = heatmaps.copy()
    keypoints, scores = codec.batch_decode(heatmaps)
    for maps, points, score in zip(heatmaps, keypoints, scores):
        assert points.shape == (1, 2, 2) and score.shape == (1, 2)
        assert np.isfinite(points).all()
        assert ((points >= 0) & (points <= codec.input_extent + 1e-4)).all()
        assert ((score >= 0) & (score <= 1)).all()
        alone = codec.decode(maps)
        np.testing.assert_array_equal(alone[0], points)
        np.testing.assert_array_equal(alone[1], score)
    np.testing.assert_array_equal(heatmaps, before)


@cases(st.data())
def test_hypotheses_are_decoded_as_if_alone(data):
    codec = data.draw(codecs())
    width, height = codec.heatmap_size
    number, joints = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    seed = data.draw(st.integers(0, 2**32 - 1))
    heatmaps = np.random.default_rng(seed).normal(0, 1, (number, joints, height, width))
    heatmaps = heatmaps.astype(np.float32)
    result = codec.decode_hypotheses(heatmaps)
    for index, maps in enumerate(heatmaps):
        points, scores = codec.decode(maps)
        np.testing.assert_array_equal(result['hypotheses'][:, index], points)
        np.testing.assert_array_equal(result['hypothesis_scores'][:, index], scores)
    points, scores = codec.decode(heatmaps.mean(0))
    np.testing.assert_array_equal(result['keypoints'], points)
    np.testing.assert_array_equal(result['keypoint_scores'], scores)
    deviations = result['hypotheses'][0].astype(np.float64).std(0)
    np.testing.assert_allclose(result['keypoint_std'][0], deviations, atol=1e-3)


@cases(st.data())
def test_the_signal_is_a_heatmap_in_another_unit(data):
    codec = data.draw(codecs())
    heatmaps = data.draw(
        hnp.arrays(np.float64, hnp.array_shapes(max_dims=4), elements=st.floats(0, 1))
    )
    signal = codec.to_signal(heatmaps)
    assert np.abs(signal).max(initial=0) <= codec.signal_scale
    np.testing.assert_allclose(codec.to_heatmap(signal), heatmaps, atol=1e-12)


@cases(st.integers(-3, 40), st.integers(-3, 40), st.integers(-3, 300), st.integers(-3, 300),
       st.floats(allow_nan=True), st.one_of(st.none(), st.integers(-3, 99)))  # fmt: skip
def test_a_codec_works_or_its_sizes_are_refused(width, height, input_w, input_h, sigma, blur):
    """Broken if a size that cannot be decoded is found out only in the middle of a test."""
    stride = input_w if 0 < input_w < 5 else 4
    sizes = ((width * stride, height * stride), (input_w, input_h))
    for input_size in sizes:
        try:
            codec = DiffusionHeatmap(
                input_size, (width, height), sigma=sigma, blur_kernel_size=blur
            )
        except ValueError as error:
            assert 'DiffusionHeatmap' in str(error)
            continue
        center = codec.input_extent[None, None] / 2
        decoded, scores = codec.decode(codec.encode(center)['heatmaps'])
        assert np.isfinite(decoded).all() and np.isfinite(scores).all()


@cases(st.data())
def test_a_heatmap_that_is_not_finite_is_refused(data):
    codec = data.draw(codecs())
    width, height = codec.heatmap_size
    heatmaps = np.zeros((2, height, width), np.float32)
    place = data.draw(st.integers(0, heatmaps.size - 1))
    heatmaps.flat[place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    assume(not np.isfinite(heatmaps).all())
    with pytest.raises(ValueError, match='NaN or infinite'):
        codec.decode(heatmaps)
