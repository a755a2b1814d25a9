"""DiffPose head: loss, determinism of sampling, hypotheses, flip test, errors."""

import numpy as np
import pytest
import torch
from head_helpers import CODEC, FLIP, K, Oracle, make_head, make_sample, predict
from mmengine.structures import InstanceData

from diffpose_mm.codecs import consensus
from diffpose_mm.diffusion import NoiseSchedule
from diffpose_mm.models import DiffPoseHead, diffpose_head
from diffpose_mm.models.diffpose_head import noise_generators


def test_loss_of_a_perfect_network_is_zero_and_x_t_is_the_forward_process():
    """Broken if the target, the signal scale or the noise of a step were another's."""
    samples = [make_sample(i) for i in range(3)]
    x0 = torch.stack([s.gt_fields.heatmaps for s in samples])
    head = make_head(noise_draws=400)
    oracle = head.pose_decoder = Oracle(x0)
    losses = head.loss((torch.zeros(3, 8, 4, 3),), samples)
    assert float(losses['loss_kpt']) == 0
    assert float(losses['acc_pose']) == 1
    steps, x_t = oracle.steps[0], oracle.inputs[0]
    assert len(steps) == 1200
    # Uniform over 0..999: the mean of 1200 draws has a standard error of 8.3.
    assert abs(float(steps.float().mean()) - 499.5) < 40
    assert int(steps.min()) < 20 and int(steps.max()) > 980
    alphas = NoiseSchedule().alphas_cumprod[steps].view(-1, 1, 1, 1).float()
    signal = (2 * x0.repeat_interleave(400, dim=0) - 1) * head.decoder.signal_scale
    noise = (x_t - alphas.sqrt() * signal) / (1 - alphas).sqrt()
    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01


def test_loss_is_the_weighted_mse_of_unannotated_joints_without_weight():
    """Broken if joints that nobody annotated pulled the network to empty heatmaps."""
    visible = np.array([[1, 0, 1, 0]], dtype=np.float32)
    samples = [make_sample(i, visible=visible) for i in range(2)]
    x0 = torch.stack([s.gt_fields.heatmaps for s in samples])
    head = make_head()
    wrong = x0.clone()
    wrong[:, [1, 3]] += 5
    head.pose_decoder = Oracle(wrong)
    feats = (torch.zeros(2, 8, 4, 3),)
    assert float(head.loss(feats, samples)['loss_kpt']) == 0
    head.pose_decoder = Oracle(x0 + 0.5)
    expected = 0.25 * 2 / 4  # two of four joints count, the mean is over all
    assert float(head.loss(feats, samples)['loss_kpt']) == pytest.approx(expected, rel=1e-5)


def test_loss_reaches_the_features():
    """Broken if the backbone got no gradient through the prepared features."""
    head = make_head().train()
    feature = torch.randn(2, 8, 4, 3, requires_grad=True)
    head.loss((feature,), [make_sample(0), make_sample(1)])['loss_kpt'].backward()
    assert feature.grad.abs().sum() > 0


@pytest.mark.parametrize('eta', [0.0, 1.0])
def test_prediction_depends_on_the_sample_not_on_its_batch(eta):
    """Broken if shuffling, batch size or the number of processes changed a result."""
    head = make_head()
    samples, feature = [make_sample(i) for i in range(5)], torch.randn(5, 8, 4, 3)
    options = dict(sampling_steps=3, num_hypotheses=2, eta=eta, seed=7)
    together = predict(head, feature, samples, **options)
    order = [3, 0, 4]
    reordered = predict(head, feature[order], [samples[i] for i in order], **options)
    torch.manual_seed(99)  # the global generator must play no part
    for place, i in enumerate(order):
        alone = predict(head, feature[i : i + 1], [samples[i]], **options)[0]
        for other in (alone, reordered[place]):
            np.testing.assert_allclose(together[i].hypotheses, other.hypotheses, atol=1e-3)
            np.testing.assert_allclose(
                together[i].keypoint_scores, other.keypoint_scores, atol=1e-4
            )
    changed = predict(head, feature, samples, **{**options, 'seed': 8})
    assert np.abs(changed[0].hypotheses - together[0].hypotheses).max() > 1e-2


def test_hypotheses_are_independent_and_more_of_them_keep_the_first():
    """Broken if hypotheses shared noise, or N=4 were not N=2 and two more."""
    head, sample, feature = make_head(), [make_sample(0)], torch.randn(1, 8, 4, 3)
    two = predict(head, feature, sample, sampling_steps=2, num_hypotheses=2)[0]
    four = predict(head, feature, sample, sampling_steps=2, num_hypotheses=4)[0]
    assert four.hypotheses.shape == (1, 4, K, 2)
    assert four.keypoint_std.shape == (1, K, 2)
    np.testing.assert_allclose(two.hypotheses[0], four.hypotheses[0, :2], atol=1e-3)
    assert np.abs(np.diff(four.hypotheses[0], axis=0)).max(axis=(1, 2)).min() > 1e-3
    np.testing.assert_allclose(four.keypoint_std[0], four.hypotheses[0].std(axis=0), atol=1e-4)
    single = predict(head, feature, sample, sampling_steps=2)[0]
    assert 'hypotheses' not in single
    assert 'keypoint_std' not in single, 'one hypothesis is not certain, it says nothing of it'


def test_noise_does_not_depend_on_the_number_of_hypotheses_and_differs_between_samples():
    """Broken if two people of one image, or two images, were given the same noise."""
    draw = lambda g: torch.randn(3, generator=g).tolist()  # noqa: E731
    meta = dict(img_id=5, id=6)
    first = [draw(g) for g in noise_generators(meta, 0, 3)]
    assert [draw(g) for g in noise_generators(dict(meta), 0, 2)] == first[:2]
    others = [
        dict(img_id=5, id=7),
        dict(img_id=6, id=6),
        dict(img_id=5, input_center=np.array([1.0, 2.0])),
        dict(img_id=5, input_center=np.array([1.0, 3.0])),
    ]
    drawn = [draw(noise_generators(m, 0, 1)[0]) for m in [meta, *others]]
    drawn.append(draw(noise_generators(meta, 1, 1)[0]))
    assert len({tuple(d) for d in drawn}) == len(drawn)


@pytest.mark.parametrize('steps', [1, 2, 5])
def test_a_perfect_network_is_decoded_to_the_true_pose_for_any_number_of_steps(steps):
    """Broken if signal, sampler and codec did not fit together: the error would show here."""
    keypoints = np.random.RandomState(3).uniform(8, 40, (1, K, 2))
    sample = make_sample(0, keypoints)
    head = make_head()
    heatmaps = sample.gt_fields.heatmaps[None]
    head.pose_decoder.denoise = lambda x_t, t, prepared: heatmaps.expand(len(x_t), -1, -1, -1)
    result = predict(
        head, torch.zeros(1, 8, 4, 3), [sample], sampling_steps=steps, num_hypotheses=3
    )[0]
    np.testing.assert_allclose(result.keypoints, keypoints, atol=0.1)
    np.testing.assert_allclose(result.keypoint_std, 0, atol=0.05)
    assert result.keypoint_scores.min() > 0.9


def sized_sample(index):
    """A sample with a box of 60 x 40 image pixels, which are 30 x 20 input pixels, and sigmas."""
    sample = make_sample(index)
    sample.gt_instances = InstanceData(bboxes=np.array([[5.0, 10.0, 65.0, 50.0]]))
    sample.set_metainfo(dict(sigmas=np.array([0.03, 0.2, 0.05, 0.1])))
    return sample


def agreement(poses, sigmas, area):
    """Expected OKS of each pose, joint by joint."""
    return [
        np.mean(
            [
                np.mean(
                    [
                        np.exp(
                            -np.sum((poses[i, k] - poses[j, k]) ** 2) / (8 * area * sigmas[k] ** 2)
                        )
                        for k in range(K)
                    ]
                )
                for j in range(len(poses))
                if j != i
            ]
        )
        for i in range(len(poses))
    ]


def test_consensus_is_the_hypothesis_that_agrees_best(monkeypatch):
    """Broken if joints of several hypotheses were mixed, or the size of the person were wrong."""
    areas = []
    monkeypatch.setattr(
        diffpose_head,
        'consensus',
        lambda poses, area, sigmas: (areas.append(area), consensus(poses, area, sigmas))[1],
    )
    head, samples = make_head(), [sized_sample(i) for i in range(6)]
    feature, options = torch.randn(6, 8, 4, 3), dict(sampling_steps=3, num_hypotheses=5)
    means = predict(head, feature, samples, **options)
    chosen = set()
    for mean, result, sample in zip(
        means, predict(head, feature, samples, aggregate='consensus', **options), samples
    ):
        extent = head.decoder.input_extent / [96, 128]
        area = 60 * 40 * extent[0] * extent[1]
        best = int(np.argmax(agreement(mean.hypotheses[0], sample.sigmas, area)))
        chosen.add(best)
        np.testing.assert_array_equal(result.keypoints[0], mean.hypotheses[0, best])
        for field in ('keypoint_scores', 'keypoint_std', 'hypotheses', 'hypothesis_scores'):
            np.testing.assert_array_equal(result.get(field), mean.get(field))
        assert np.abs(result.keypoints - mean.keypoints).max() > 1e-3
    assert len(chosen) > 1
    np.testing.assert_allclose(areas, area)


def test_one_hypothesis_is_its_own_consensus():
    """Broken if aggregate changed anything where there is nothing to combine."""
    head, sample, feature = make_head(), make_sample(0), torch.randn(1, 8, 4, 3)
    mean = predict(head, feature, [sample])[0]
    alone = predict(head, feature, [sample], aggregate='consensus')[0]
    assert set(alone.keys()) == set(mean.keys())
    for field, value in mean.items():
        np.testing.assert_array_equal(alone.get(field), value)


def test_consensus_without_sigmas_says_what_is_missing():
    """Broken if data that another package packed ended in a KeyError."""
    feature, options = torch.randn(1, 8, 4, 3), dict(num_hypotheses=2, aggregate='consensus')
    with pytest.raises(ValueError, match="aggregate='consensus'.*'sigmas'.*PackClipInputs"):
        predict(make_head(), feature, [make_sample(0)], **options)


def test_number_of_decoder_calls_is_the_number_of_steps():
    """Broken if 𝔽 were prepared again in each step or hypotheses ran one after the other."""
    head, calls = make_head(), dict(prepare=0, denoise=0)
    for name in calls:
        method = getattr(head.pose_decoder, name)
        setattr(
            head.pose_decoder,
            name,
            lambda *args, n=name, m=method: (calls.__setitem__(n, calls[n] + 1), m(*args))[1],
        )
    predict(
        head,
        torch.randn(2, 8, 4, 3),
        [make_sample(0), make_sample(1)],
        sampling_steps=4,
        num_hypotheses=10,
    )
    assert calls == dict(prepare=1, denoise=4)


def test_flip_test_is_equivariant():
    """Broken if the mirrored view were put back wrong: both views must give one answer."""
    head, sample = make_head(), make_sample(0)
    cfg = head.check_test_cfg(dict(flip_test=True, sampling_steps=1))
    original, mirror = torch.randn(2, 1, 8, 4, 3).unbind(0)
    with torch.no_grad():
        prepared = [head.pose_decoder.prepare(f) for f in (original, mirror)]
        x, t = torch.randn(1, K, 16, 12), torch.tensor([999])
        one = head._denoise_heatmaps(x, t, prepared, FLIP)
        other = head._denoise_heatmaps(x[:, FLIP].flip(-1), t, prepared[::-1], FLIP)
        torch.testing.assert_close(one, other[:, FLIP].flip(-1), atol=1e-5, rtol=1e-4)
        heatmaps = head.sample([(original,), (mirror,)], [sample], cfg)
        plain = head.sample((original,), [sample], {**cfg, 'flip_test': False})
    assert heatmaps.shape == (1, 1, K, 16, 12)
    assert (heatmaps - plain).abs().max() > 1e-4


def test_heatmaps_on_request():
    """Broken if users who draw heatmaps got none, or those of one hypothesis."""
    head = make_head()
    feature, samples = torch.randn(2, 8, 4, 3), [make_sample(0), make_sample(1)]
    _, fields = predict(
        head, feature, samples, num_hypotheses=3, sampling_steps=1, output_heatmaps=True
    )
    cfg = head.check_test_cfg(dict(num_hypotheses=3, sampling_steps=1))
    with torch.no_grad():
        expected = head.sample((feature,), samples, cfg).mean(dim=1)
    torch.testing.assert_close(torch.stack([f.heatmaps for f in fields]), expected)


@pytest.mark.parametrize(
    'field, value',
    [
        ('sampling_steps', 0),
        ('sampling_steps', 1001),
        ('sampling_steps', 2.5),
        ('num_hypotheses', 0),
        ('num_hypotheses', '4'),
        ('sampler', 'euler'),
        ('sampler', None),
        ('eta', -0.1),
        ('eta', 1.5),
        ('aggregate', 'median'),
        ('aggregate', None),
    ],
)
def test_test_cfg_out_of_range_is_named(field, value):
    """Broken if S > T or N < 1 ended in a strange result or an error about tensors."""
    with pytest.raises(ValueError, match=f'test_cfg.{field} must'):
        make_head().check_test_cfg({field: value})


def test_the_sampler_is_chosen_by_name(monkeypatch):
    """Broken if a second sampler needed a change of the head."""
    head, sample, feature = make_head(), [make_sample(0)], torch.randn(1, 8, 4, 3)
    ddim = predict(head, feature, sample, sampling_steps=4)[0].keypoints
    assert np.array_equal(predict(head, feature, sample, sampler='ddim')[0].keypoints, ddim)
    other = predict(head, feature, sample, sampling_steps=4, sampler='dpmpp_2m')[0].keypoints
    assert np.abs(other - ddim).max() > 1e-3
    for name in ('ddim', 'dpmpp_2m'):
        one = predict(head, feature, sample, sampling_steps=1, sampler=name)[0].keypoints
        np.testing.assert_allclose(
            one, predict(head, feature, sample, sampling_steps=1)[0].keypoints, atol=1e-4
        )
    calls = []

    def mine(denoise, noise, schedule, steps, clip=None, generator=None, callback=None):
        calls.append((steps, clip, len(generator)))
        return denoise(noise, torch.full((len(noise),), 999))

    monkeypatch.setitem(diffpose_head.SAMPLERS, 'mine', mine)
    predict(head, feature, sample, sampling_steps=3, num_hypotheses=2, sampler='mine')
    assert calls == [(3, head.decoder.signal_scale, 2)]


def test_eta_of_a_sampler_without_noise_is_refused():
    """Broken if eta changed nothing without a word."""
    head = make_head()
    head.check_test_cfg(dict(sampler='dpmpp_2m'))
    with pytest.raises(ValueError, match="test_cfg.eta must be 0 with sampler='dpmpp_2m'"):
        head.check_test_cfg(dict(sampler='dpmpp_2m', eta=0.5))


def test_flip_test_is_off_unless_it_is_asked_for():
    """Broken if head, estimator and mmpose had different defaults: mmpose's is False."""
    assert make_head().check_test_cfg({})['flip_test'] is False


def test_heatmap_size_that_does_not_fit_the_feature_is_explained():
    """Broken if a backbone of another stride ended in an error about tensors."""
    with pytest.raises(ValueError, match='four times.*heatmap_size'):
        predict(make_head(), torch.randn(1, 8, 8, 6), [make_sample(0)])


def test_a_head_needs_a_codec_and_a_draw():
    """Broken if a config without codec failed only at the first test."""
    options = dict(in_channels=8, out_channels=K, pose_decoder=dict(type='PoseDecoder'))
    with pytest.raises(ValueError, match='DiffusionHeatmap'):
        DiffPoseHead(**options)
    with pytest.raises(ValueError, match='noise_draws'):
        DiffPoseHead(**options, decoder=CODEC, noise_draws=0)


def test_a_misspelt_setting_is_refused_with_the_one_that_is_meant():
    """Broken if `num_hypothesis=3` is taken, and changes nothing."""
    head = make_head()
    with pytest.raises(ValueError, match='test_cfg.num_hypothesis is read by nobody: is num_hypot'):
        head.check_test_cfg(dict(num_hypothesis=3))
    head.check_test_cfg(dict(flip_test=True, flip_mode='heatmap', output_keypoint_indices=[0]))
