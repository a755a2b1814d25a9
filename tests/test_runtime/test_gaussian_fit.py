"""GaussianFit where decoding is hard: two peaks, noise, borders; beside scipy, DARK and a loop."""

import numpy as np
import pytest
from hypothesis import strategies as st
from property_cases import cases
from scipy.optimize import least_squares

from diffpose_mm.codecs import DiffusionHeatmap
from diffpose_mm_runtime.gaussian_fit import GaussianFit

SIZE = WIDTH, HEIGHT = 48, 64


def gaussian(place, sigma=2.0, height=1.0):
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    squares = (x - place[0]) ** 2 + (y - place[1]) ** 2
    return height * np.exp(-squares / (2 * np.square(sigma)))


def refine(heatmaps, sigma=2.0):
    heatmaps = np.asarray(heatmaps, np.float32)
    peak = heatmaps.reshape(len(heatmaps), -1).argmax(1)
    return GaussianFit(SIZE, sigma)(heatmaps, np.stack([peak % WIDTH, peak // WIDTH], 1))


def dark(heatmaps):
    codec = DiffusionHeatmap((192, 256), SIZE, decoding='dark')
    return codec.decode(np.asarray(heatmaps, np.float32))[0][0] * (WIDTH - 1) / 191


def inner_places(seed, number):
    return np.random.default_rng(seed).uniform([15, 20], [33, 44], (number, 2))


def rms(found, true):
    return float(np.sqrt(np.square(found - true).sum(-1).mean()))


@cases(
    st.floats(12, 35),
    st.floats(14, 49),
    st.floats(3, 9),
    st.floats(0, 2 * np.pi),
    st.floats(0.3, 0.8),
)
def test_a_second_peak_beside_does_not_pull_the_joint(x, y, distance, angle, height):
    """A quarter of a heatmap pixel at the most (0.19 in 6000 cases), where DARK errs by 0.9."""
    place = np.array([x, y])
    second = place + distance * np.array([np.cos(angle), np.sin(angle)])
    heatmap = np.maximum(gaussian(place), gaussian(second, height=height))
    assert np.linalg.norm(refine([heatmap])[0] - place) < 0.25


@pytest.mark.parametrize(
    'distance, limit', [(3, 0.087), (4, 0.0257), (5, 0.0065), (6, 0.0009), (8, 0.0001)]
)
def test_second_peaks_are_ignored_as_a_narrow_blur_ignores_them(distance, limit):
    """The limits are what transformers' rule (a blur of sigma 0.8) errs by, in heatmap pixels."""
    places = inner_places(0, 200)
    heatmaps = [np.maximum(gaussian(p), gaussian(p + [distance, 0], height=0.8)) for p in places]
    error = np.linalg.norm(refine(heatmaps) - places, axis=1).mean()
    assert error < limit
    assert np.linalg.norm(dark(heatmaps) - places, axis=1).mean() > 4 * limit


@pytest.mark.parametrize('noise', [0.02, 0.08])
def test_noise_costs_no_more_than_with_the_wide_blur(noise):
    """Broken if the fit takes noise for a second peak; a blur of sigma 0.8 errs twice as much."""
    places = inner_places(1, 600)
    heatmaps = np.array([gaussian(p, height=0.8) for p in places])
    heatmaps += np.random.default_rng(2).normal(0, noise, heatmaps.shape)
    assert rms(refine(heatmaps), places) < 1.03 * rms(dark(heatmaps), places)


@pytest.mark.parametrize('sigma', [1.5, 2.0, 2.5, 3.0, (2.0, 3.0)])
def test_without_noise_the_width_does_not_matter(sigma):
    """The codec's own is 2; those of networks differ, and along x and y."""
    x, y = np.broadcast_to(sigma, 2)
    places = inner_places(3, 60)
    columns = np.exp(-((np.arange(WIDTH) - places[:, :1]) ** 2) / (2 * x**2))
    rows = np.exp(-((np.arange(HEIGHT) - places[:, 1:]) ** 2) / (2 * y**2))
    np.testing.assert_allclose(refine(rows[:, :, None] * columns[:, None]), places, atol=2e-3)


@cases(st.floats(0, WIDTH - 1), st.floats(0, HEIGHT - 1), st.floats(1e-6, 10))
def test_the_border_is_as_good_as_the_middle(x, y, height):
    """Pixels outside do not exist: no bias that a table would have to take off."""
    place = np.array([x, y])
    np.testing.assert_allclose(refine([gaussian(place, height=height)])[0], place, atol=1e-4)


def test_the_fit_is_that_of_scipy():
    """Least squares in float64 by another algorithm, of the same pixels; the noise is so small
    that none is left out and the prior of the width has no say."""
    rng = np.random.default_rng(4)
    places = inner_places(4, 12)
    heatmaps = np.array([gaussian(p, height=0.7) for p in places])
    heatmaps = (heatmaps + rng.normal(0, 1e-3, heatmaps.shape)).astype(np.float32)
    for found, heatmap in zip(refine(heatmaps), heatmaps):
        row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        kept = (x - column) ** 2 + (y - row) ** 2 <= 5.5**2
        x, y, values = x[kept], y[kept], heatmap[kept].astype(np.float64)

        def residual(p, x=x, y=y, values=values):
            dx, dy = x - p[1], y - p[2]
            return p[0] * np.exp(-(p[3] * dx**2 + p[4] * dx * dy + p[5] * dy**2)) - values

        start = [0.7, column, row, 0.125, 0, 0.125]
        reference = least_squares(residual, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).x[1:3]
        np.testing.assert_allclose(found, reference, atol=1e-3)


@pytest.mark.parametrize('number', [1, 2, 17, 255, 256, 257, 300])
def test_a_heatmap_is_refined_as_if_alone(number):
    """To the last bit, on either side of the size of a chunk."""
    rng = np.random.default_rng(5)
    heatmaps = np.array([gaussian(p) for p in rng.uniform(0, [47, 63], (number, 2))])
    heatmaps = (heatmaps + rng.normal(0, 0.05, heatmaps.shape)).astype(np.float32)
    together = refine(heatmaps)
    for index in {0, 1, number // 2, number - 1} & set(range(number)):
        np.testing.assert_array_equal(refine(heatmaps[index : index + 1])[0], together[index])


def test_a_heatmap_without_a_positive_value_keeps_its_peak():
    heatmaps = np.full((3, HEIGHT, WIDTH), -1.0)
    heatmaps[0] = 0
    heatmaps[1, 20, 30] = -0.5
    np.testing.assert_array_equal(refine(heatmaps), [[0, 0], [30, 20], [0, 0]])


def test_no_heatmaps_give_no_places():
    nothing = np.zeros((0, HEIGHT, WIDTH), np.float32), np.zeros((0, 2), int)
    assert GaussianFit(SIZE, 2.0)(*nothing).shape == (0, 2)
