"""DiffPose head: sampling from its own first answer, training on it, a calibrated spread."""

import numpy as np
import torch
from head_helpers import K, make_head, make_sample, predict

from diffpose_mm.diffusion import ddim_sample, refined_sample
from diffpose_mm.models.diffpose_head import noise_generators


class Recorder(torch.nn.Module):
    """A network that answers with what it is given."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def forward(self, x_t, feature, t):
        self.steps.append(t)
        return x_t


def test_later_steps_go_on_from_the_first_answer():
    """Broken if fields of the restart were checked and then not passed on."""
    head, sample, feature = make_head(), [make_sample(0)], torch.randn(1, 8, 4, 3)
    settings = dict(sampling_steps=3, strength=0.4, temperature=0.5, first_weight=0.25)
    seen = []
    with torch.no_grad():
        cfg = head.check_test_cfg(settings)
        ours = head.sample((feature,), sample, cfg, lambda i, t, x, x0: seen.append(t))
    assert seen == [999, 399, 199]
    noise = torch.randn((1, K, 16, 12), generator=noise_generators(sample[0].metainfo, 0, 1)[0])

    def denoise(x_t, t):
        return head.decoder.to_signal(head.pose_decoder(x_t, feature, t))

    limit = head.decoder.signal_scale
    with torch.no_grad():
        _, signal = refined_sample(
            ddim_sample, denoise, noise, head.schedule, 3, 0.4, 0.5, 0.25, clip=limit
        )
    torch.testing.assert_close(ours[:, 0], head.decoder.to_heatmap(signal), atol=1e-5, rtol=0)


def test_scores_of_the_first_step_move_no_joint():
    """Broken if a field about scores changed the pose, or the scores were the last step's."""
    head, sample, feature = make_head(), [make_sample(0)], torch.randn(1, 8, 4, 3)
    torch.nn.init.normal_(head.pose_decoder.final_layer.weight, std=0.03)  # peaks below 1
    options = dict(sampling_steps=4, strength=0.3)
    first = predict(head, feature, sample, sampling_steps=1)[0]
    last = predict(head, feature, sample, **options)[0]
    ours = predict(head, feature, sample, **options, first_scores=True)[0]
    np.testing.assert_allclose(ours.keypoints, last.keypoints, atol=2e-2)
    np.testing.assert_allclose(ours.keypoint_scores, first.keypoint_scores, atol=1e-5)
    assert np.abs(ours.keypoint_scores - last.keypoint_scores).max() > 1e-3


def test_own_predictions_are_noised_in_training_only_where_asked_for():
    """Broken if the paper's training changed, or the field of the config did nothing."""
    samples = [make_sample(i) for i in range(4)]
    calls = {}
    for name, setting in (('paper', None), ('own', dict(share=0.5, steps=(100, 200)))):
        head = make_head(self_aligned=setting)
        oracle = head.pose_decoder = Recorder()
        torch.manual_seed(1)
        head.loss((torch.zeros(4, 8, 4, 3),), samples)
        calls[name] = oracle.steps
    assert len(calls['paper']) == 1 and len(calls['own']) == 2
    assert calls['own'][0].tolist() == [999, 999]
    assert all(100 <= t <= 200 for t in calls['own'][1][:2].tolist())
    assert calls['own'][1][2:].tolist() == calls['paper'][0][2:].tolist()


def test_a_calibration_replaces_the_spread_and_nothing_else():
    """Broken if one hypothesis were given a spread, or a calibration moved a joint."""
    head, sample, feature = make_head(), [make_sample(0)], torch.randn(1, 8, 4, 3)
    options = dict(sampling_steps=2, num_hypotheses=3)
    raw = predict(head, feature, sample, **options)[0]
    asked = []

    def calibration(spread, scores, number, steps):
        asked.append((spread, scores, number, steps))
        return spread + 7

    head.spread_calibration = calibration
    ours = predict(head, feature, sample, **options)[0]
    np.testing.assert_allclose(ours.keypoint_std, raw.keypoint_std + 7, rtol=1e-5)
    np.testing.assert_array_equal(ours.keypoints, raw.keypoints)
    assert asked[0][2:] == (3, 2)
    np.testing.assert_array_equal(asked[0][1], raw.keypoint_scores)
    assert 'keypoint_std' not in predict(head, feature, sample, sampling_steps=2)[0]
