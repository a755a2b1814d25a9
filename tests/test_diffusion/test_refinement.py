"""Sampling that goes on from its own first answer, over tensors and arrays."""

import math

import numpy as np
import pytest
import torch

from diffpose_mm.diffusion import SAMPLERS, NoiseSchedule, ddim_sample, refined_sample
from diffpose_mm_runtime.ddim import ddim_array
from diffpose_mm_runtime.refinement import DEFAULTS, check_refinement, with_peaks_of

SCHEDULE = NoiseSchedule()
ALPHAS = SCHEDULE.alphas_cumprod.tolist()


def noise_of(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def bent(x, t):
    """A denoiser that depends on everything it is given."""
    return torch.tanh(0.7 * x + 0.001 * t.view(-1, *(1,) * (x.ndim - 1)).to(x.dtype))


@pytest.mark.parametrize('name', sorted(SAMPLERS))
@pytest.mark.parametrize('steps', [1, 2, 5])
def test_strength_1_is_the_sampler_itself(name, steps):
    """Broken if results without the new settings were no longer those of releases before."""
    noise = noise_of(2, 3, 4, 4)
    plain = SAMPLERS[name](bent, noise, SCHEDULE, steps, clip=0.5)
    refined = refined_sample(SAMPLERS[name], bent, noise, SCHEDULE, steps, clip=0.5)[1]
    assert torch.equal(plain, refined)


def test_one_step_is_the_first_answer_whatever_the_settings():
    """Broken if S = 1, the fastest setting, were changed by fields that are about later steps."""
    noise = noise_of(2, 3, 4, 4)
    plain = ddim_sample(bent, noise, SCHEDULE, 1)
    first, result = refined_sample(ddim_sample, bent, noise, SCHEDULE, 1, 0.3, 0.5, 0.4)
    assert torch.equal(plain, result) and torch.equal(plain, first)


def test_later_steps_start_from_the_noised_first_answer():
    """Broken if the restart had another step, other noise, or one call too many."""
    noise, calls = noise_of(2, 3, 4, 4), []

    def denoise(x, t):
        calls.append((int(t[0]), x.clone()))
        return bent(x, t)

    result = refined_sample(ddim_sample, denoise, noise, SCHEDULE, 3, 0.4, 0.5, clip=0.5)[1]
    assert [t for t, _ in calls] == [999, 399, 199]
    first = bent(noise, torch.full((2,), 999)).clamp(-0.5, 0.5)
    restart = math.sqrt(ALPHAS[399]) * first + 0.5 * math.sqrt(1 - ALPHAS[399]) * noise
    torch.testing.assert_close(calls[1][1], restart, atol=1e-6, rtol=0)
    # By hand from there: DDIM from 399 over 199 to no noise.
    x = restart
    for t, a_prev in ((399, ALPHAS[199]), (199, 1.0)):
        x0 = bent(x, torch.full((2,), t))
        eps = (x - math.sqrt(ALPHAS[t]) * x0) / math.sqrt(1 - ALPHAS[t])
        x = math.sqrt(a_prev) * x0.clamp(-0.5, 0.5) + math.sqrt(1 - a_prev) * eps
    torch.testing.assert_close(result, x, atol=1e-6, rtol=0)


@pytest.mark.parametrize('strength', [0.3, 0.6])
def test_a_gaussian_comes_out_as_wide_as_theory_says(strength):
    """Broken if the restart carried more or less noise than the schedule says.

    For x0 ~ N(0, v) the best answer is linear and the flow of DDIM scales its start: noise of
    variance 1 - a in place of a v + 1 - a ends at v (1 - a) / (a v + 1 - a).
    """
    variance = 0.25

    def denoise(x, t):
        a = ALPHAS[int(t[0])]
        return math.sqrt(a) * variance / (a * variance + 1 - a) * x

    noise = noise_of(1, 64).double()
    result = refined_sample(ddim_sample, denoise, noise, SCHEDULE, 101, strength)[1]
    a = ALPHAS[round(strength * 1000) - 1]
    expected = math.sqrt(variance * (1 - a) / (a * variance + 1 - a)) * noise
    torch.testing.assert_close(result, expected, rtol=0.02, atol=1e-3)


def test_the_first_answer_has_its_weight():
    """Broken if the average were of other steps, or the weights the wrong way round."""
    noise = noise_of(2, 3, 4, 4)
    first = ddim_sample(bent, noise, SCHEDULE, 1, clip=0.5)
    last = refined_sample(ddim_sample, bent, noise, SCHEDULE, 4, 0.5, clip=0.5)[1]
    mixed = refined_sample(ddim_sample, bent, noise, SCHEDULE, 4, 0.5, 1.0, 0.25, clip=0.5)[1]
    torch.testing.assert_close(mixed, 0.25 * first + 0.75 * last)
    assert not torch.allclose(first, last)


def test_the_callback_sees_all_steps_in_order():
    """Broken if the page with the slider showed the steps of the restart as the first ones."""
    seen = []
    refined_sample(
        ddim_sample,
        bent,
        noise_of(1, 2, 4, 4),
        SCHEDULE,
        4,
        0.5,
        callback=lambda i, t, x, x0: seen.append((i, t)),
    )
    assert [i for i, _ in seen] == [0, 1, 2, 3]
    assert [t for _, t in seen][:2] == [999, 499]


@pytest.mark.parametrize(
    'settings', [(1.0, 1.0, 0.0), (1.0, 1.0, 0.5), (0.4, 0.5, 0.0), (0.7, 1.0, 0.3)]
)
def test_arrays_are_sampled_as_tensors_are(settings):
    """Broken if an exported model answered otherwise than the model it was exported from."""
    noise = noise_of(2, 3, 4, 4)

    def denoise(x, t):
        return bent(torch.from_numpy(x), torch.from_numpy(t)).numpy()

    ours = ddim_array(denoise, noise.numpy(), ALPHAS, 4, 0.5, *settings)
    reference = refined_sample(ddim_sample, bent, noise, SCHEDULE, 4, *settings, clip=0.5)
    for array, tensor in zip(ours, reference):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, tensor.numpy(), atol=2e-6)


def test_peaks_of_others_keep_the_places():
    """Broken if scores of the first step moved a joint, or an empty heatmap became NaN."""
    maps = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(1))
    others = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    maps[0, 0] = 0
    scaled = with_peaks_of(maps, others)
    np.testing.assert_allclose(scaled, with_peaks_of(maps.numpy(), others.numpy()), atol=1e-7)
    assert not scaled[0, 0].any()
    for i, j in ((0, 1), (1, 2)):
        assert int(scaled[i, j].argmax()) == int(maps[i, j].argmax())
        assert float(scaled[i, j].max()) == pytest.approx(float(others[i, j].max()))
        torch.testing.assert_close(scaled[i, j] / scaled[i, j].max(), maps[i, j] / maps[i, j].max())


@pytest.mark.parametrize(
    'name, value',
    [('strength', 0), ('strength', 1.1), ('first_weight', 1), ('first_weight', -0.1)]
    + [('temperature', 1.5), ('first_scores', 1)],
)
def test_values_out_of_range_are_named(name, value):
    """Broken if a mistyped setting sampled something nobody asked for."""
    settings = {**DEFAULTS, 'strength': 0.5, name: value}
    with pytest.raises(ValueError, match=f'here.{name} must'):
        check_refinement(settings, 'here.')


def test_a_temperature_without_a_restart_is_refused():
    """Broken if a temperature were set and silently did nothing."""
    with pytest.raises(ValueError, match='strength below 1'):
        check_refinement({**DEFAULTS, 'temperature': 0.5})
