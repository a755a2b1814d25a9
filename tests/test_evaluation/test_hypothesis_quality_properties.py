"""HypothesisQuality on random people, against loops and against what must hold."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from property_cases import cases
from test_hypothesis_quality import measured, sample

POINTS = st.integers(0, 100).map(float)


@st.composite
def people(draw, most=4):
    """Samples of 4 joints, some of them annotated, with the same number of hypotheses."""
    number = draw(st.integers(2, 6))
    samples = []
    for index in range(draw(st.integers(1, most))):
        hypotheses = draw(hnp.arrays(float, (number, 4, 2), elements=POINTS))
        true = draw(hnp.arrays(float, (4, 2), elements=POINTS))
        visible = draw(st.lists(st.sampled_from([0, 1]), min_size=4, max_size=4))
        occluded = draw(st.one_of(st.none(), st.just([1, 0, 1, 0])))
        one = sample(hypotheses, true=true, visible=visible, occluded=occluded)
        samples.append(one | dict(id=index, img_id=0))
    samples[0]['gt_instances']['keypoints_visible'][0, 0] = 1
    return samples


def loops(samples, n, threshold):
    """Best-of-n PCK: of the n first hypotheses the one with the highest OKS."""
    sigmas = [0.03, 0.05, 0.05, 0.09]
    right = annotated = 0
    for one in samples:
        true = one['gt_instances']['keypoints'][0]
        visible = one['gt_instances']['keypoints_visible'][0]
        joints = [j for j in range(4) if visible[j]]
        if not joints:
            continue
        best, highest = None, -1
        for pose in one['pred_instances']['hypotheses'][0][:n]:
            similar = np.mean(
                [
                    np.exp(
                        -((pose[j] - true[j]) ** 2).sum() / (2 * 100 * 100 * (2 * sigmas[j]) ** 2)
                    )
                    for j in joints
                ]
            )
            if similar > highest + 1e-12:
                best, highest = pose, similar
        annotated += len(joints)
        right += sum(np.hypot(*(best[j] - true[j])) < threshold * 100 for j in joints)
    return 100 * right / annotated


@cases(people(), st.integers(1, 6), st.sampled_from([0.055, 0.105, 0.205]))
def test_best_of_n_equals_loops(samples, n, threshold):
    number = len(samples[0]['pred_instances']['hypotheses'][0])
    found = measured(samples, numbers=(n,), pck_thr=threshold)
    assert (f'best-of-{n} PCK' in found) == (n <= number)
    if n <= number:
        np.testing.assert_allclose(found[f'best-of-{n} PCK'], loops(samples, n, threshold))


@cases(people(), st.randoms(use_true_random=False))
def test_numbers_are_shares_and_do_not_depend_on_the_order(samples, random):
    """And more hypotheses never make the best of them worse."""
    numbers = (1, 2, 3, 6)
    found = measured(samples, numbers=numbers)
    for name, value in found.items():
        low, high = (-1, 1) if 'Spearman' in name else (0, 100 + 1e-9)
        assert name == 'error/spread' or low <= value <= high, name
    best = [found[f'best-of-{n} OKS'] for n in numbers if f'best-of-{n} OKS' in found]
    assert best == sorted(best)
    mixed = random.sample(samples, len(samples))
    assert measured(mixed, numbers=numbers) == found


@cases(people(most=1), st.integers(0, 3))
def test_hypotheses_that_agree_are_worth_one(samples, first):
    """Best, consensus and single are the same, and there is no spread to be wrong about."""
    one = samples[0]
    pose = one['pred_instances']['hypotheses'][0, 0]
    same = sample(
        np.repeat(pose[None], 3, 0), true=one['gt_instances']['keypoints'][0],
        visible=one['gt_instances']['keypoints_visible'][0],
    )  # fmt: skip
    found = measured([same | dict(img_id=0)], numbers=(1, 3))
    for kind in ('PCK', 'OKS'):
        assert found[f'best-of-1 {kind}'] == found[f'best-of-3 {kind}']
    assert found['best-of-3 PCK'] == found['consensus-of-3 PCK'] == found['mean PCK']
    for rate in ('duplicate rate', 'inversion rate'):
        assert found[f'single {rate}'] == found[f'consensus {rate}'] == found[f'mean {rate}']
    assert found['Spearman'] == 0 and 'error/spread' not in found
