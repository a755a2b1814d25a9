"""Predictions in, smoothed predictions out: what changes, what stays, what is refused."""

import copy
import json

import numpy as np
import pytest
from smoothing_cases import JOINTS, person, places, walk

from diffpose_mm.smoothing import RTS, CausalSmoother, OneEuro, smooth_predictions

METHODS = ['rts', 'one-euro']


def roughness(entries, track=0):
    x = np.array(list(places(entries, track).values()))
    return np.abs(np.diff(x, 2)).mean()


@pytest.mark.parametrize('method', METHODS)
def test_joints_change_and_nothing_else(method):
    """Broken if boxes, scores, ids, times or what a file has beside them were lost or changed."""
    raw = walk()
    raw[3]['mode'], raw[3]['instances'][0]['hypotheses'] = 'offline', [[[0, 0]] * JOINTS]
    raw[3]['instances'][0]['mine'] = 'kept'
    given = copy.deepcopy(raw)
    done = smooth_predictions(raw, method)
    assert raw == given
    assert roughness(done) < (0.6 if method == 'rts' else 0.9) * roughness(raw)
    assert done[0]['run']['smoothing']['method'] == method
    assert done[0]['run']['input'] == raw[0]['run']['input']
    # Hypotheses are of the raw pose, and would lie beside the smoothed one.
    assert 'hypotheses' not in done[3]['instances'][0]
    for before, after in zip(raw, done, strict=True):
        assert {k: v for k, v in before.items() if k not in ('instances', 'run')} == {
            k: v for k, v in after.items() if k not in ('instances', 'run')
        }
        for one, other in zip(before['instances'], after['instances'], strict=True):
            for name in set(one) - {'keypoints', 'hypotheses'}:
                assert other[name] == one[name]
    json.dumps(done, allow_nan=False)


@pytest.mark.parametrize('method', METHODS)
def test_people_keep_to_themselves(method):
    """Broken if two people, or two tracks, were smoothed into each other."""
    both, alone = walk(tracks=(0, 7)), walk(tracks=(0, 7))
    for entry in alone:
        entry['instances'] = entry['instances'][:1]
    assert places(smooth_predictions(both, method), 0) == pytest.approx(
        places(smooth_predictions(alone, method), 0)
    )


@pytest.mark.parametrize('method', METHODS)
def test_mmpose_form(method):
    """Broken if a file of mmpose's own inferencer were refused: no tracks, times, spread, meta."""
    entries = [
        dict(frame_id=e['frame_id'] + 1, instances=e['instances'])
        for e in walk(tracks=(None, None), std=None, timed=False)
    ]
    for entry in entries:
        for found in entry['instances']:
            assert 'track_id' not in found
            found['bbox'] = tuple(found['bbox'])
    done = smooth_predictions(dict(meta_info=dict(x=1), instance_info=entries), method)
    assert done['meta_info'] == dict(x=1)
    frames = done['instance_info']
    x = [[e['instances'][n]['keypoints'][0][0] for e in frames] for n in (0, 1)]
    raw = [[e['instances'][n]['keypoints'][0][0] for e in entries] for n in (0, 1)]
    assert np.abs(np.diff(x, 2)).mean() < 0.9 * np.abs(np.diff(raw, 2)).mean()
    assert 'by overlap' not in json.dumps(frames) and 'track_id' not in frames[0]['instances'][0]
    assert frames[0]['run']['smoothing']['times'] == '25 frames a second'


def test_people_without_numbers_are_followed_when_their_order_changes():
    """Broken if people were taken by their place in the list."""
    entries = walk(tracks=(None, None), noise=0)
    for entry in entries[::2]:
        entry['instances'].reverse()
    done = smooth_predictions(entries)
    for before, after in zip(entries, done):
        for one, other in zip(before['instances'], after['instances']):
            np.testing.assert_allclose(other['keypoints'], one['keypoints'], atol=0.5)


def test_gaps_are_filled_marked_and_bounded():
    """Broken if what nobody saw looked as if it had been seen, or a long gap were invented."""
    raw = walk(30, noise=0)
    for frame in (10, 11):
        del raw[frame]['instances'][0]
    for frame in range(20, 26):
        del raw[frame]['instances'][1]
    raw[5]['instances'][0]['keypoints'][2] = [float('nan')] * 2
    raw[5]['instances'][0]['keypoint_scores'][2] = 0.0
    done = smooth_predictions(raw, max_gap=5)
    assert [len(entry['instances']) for entry in done[20:26]] == [1] * 6
    (filled,) = [p for p in done[10]['instances'] if p['track_id'] == 0]
    assert filled['filled'] is True and filled['keypoint_filled'] == [True] * JOINTS
    assert filled['keypoints'][0][0] == pytest.approx(50 + 30, abs=1)
    assert filled['bbox'][0][0] == pytest.approx(40 + 30, abs=1e-6)
    assert filled['keypoint_scores'] == [0.9] * JOINTS
    assert filled['keypoint_std'][0][0] > 1
    joint = done[5]['instances'][0]
    assert joint['keypoint_filled'] == [k == 2 for k in range(JOINTS)] and 'filled' not in joint
    assert joint['keypoints'][2][0] == pytest.approx(50 + 15 + 10, abs=1)
    counts = done[0]['run']['smoothing']
    assert (counts['filled_people'], counts['filled_joints']) == (2, 2 * JOINTS + 1)
    marked = [e['frame_id'] for e in done for p in e['instances'] if 'keypoint_filled' in p]
    assert marked == [5, 10, 11]
    # Frames that are not in the file at all count as missing, and stay so.
    holed = [e for e in walk(30, noise=0) if not 12 <= e['frame_id'] < 18]
    assert [e['frame_id'] for e in smooth_predictions(holed)] == [e['frame_id'] for e in holed]


def test_nothing_is_extrapolated_and_one_euro_fills_nothing():
    """Broken if people were added before they come, after they go, or by a filter."""
    raw = walk(12)
    for frame in (0, 1, 10, 11):
        raw[frame]['instances'].pop(0)
    del raw[5]['instances'][0]
    numbers = [[p['track_id'] for p in e['instances']] for e in smooth_predictions(raw)]
    assert numbers == [[1]] * 2 + [[0, 1]] * 3 + [[1, 0]] + [[0, 1]] * 4 + [[1]] * 2
    causal = smooth_predictions(raw, 'one-euro')
    assert [len(e['instances']) for e in causal] == [len(e['instances']) for e in raw]


@pytest.mark.parametrize('method', METHODS)
def test_absent_joints_come_back_as_they_were(method):
    """Broken if joints that a model does not have, (0, 0) of score 0, or null, were moved."""
    raw = walk()
    for entry in raw:
        found = entry['instances'][0]
        found['keypoints'][1], found['keypoint_scores'][1] = [0.0, 0.0], 0.0
        found['keypoints'][3] = [None, None]
    done = smooth_predictions(raw, method)
    for entry in done:
        assert entry['instances'][0]['keypoints'][1] == [0.0, 0.0]
        assert entry['instances'][0]['keypoints'][3] == [None, None]
    json.dumps(done, allow_nan=False)


@pytest.mark.parametrize('method', METHODS)
def test_one_frame_and_nobody(method):
    """Broken if a video of one frame, or without people, were an error."""
    one = smooth_predictions(walk(1), method)
    np.testing.assert_allclose(
        one[0]['instances'][0]['keypoints'], walk(1)[0]['instances'][0]['keypoints'], atol=1e-9
    )
    nobody = [dict(frame_id=n, instances=[]) for n in range(3)]
    assert [e['instances'] for e in smooth_predictions(nobody, method)] == [[]] * 3


def test_times_count_and_not_rows():
    """Broken if frames at uneven times were smoothed as if they were even."""
    raw = walk(20, noise=0, tracks=(0,))
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.2, 20))
    for entry, time in zip(raw, times):
        entry['time'] = float(time)
        entry['instances'] = [person([50 + 300 * time, 40], 0, 2.0)]
    done = smooth_predictions(raw, settings=RTS(sway=0))
    moved = np.subtract(list(places(done, 0).values()), list(places(raw, 0).values()))
    assert np.abs(moved).max() < 1.5
    for entry in raw:
        del entry['time']
    even = smooth_predictions(raw, settings=RTS(sway=0))
    assert (
        np.abs(np.subtract(list(places(even, 0).values()), list(places(done, 0).values()))).max()
        > 3
    )


def test_causal_is_what_comes_of_frames_one_by_one():
    """Broken if one-euro looked at later frames."""
    raw = walk()
    whole, half = smooth_predictions(raw, 'one-euro'), smooth_predictions(raw[:9], 'one-euro')
    assert whole[8]['instances'] == half[8]['instances']
    causal = CausalSmoother(OneEuro())
    for entry, wanted in zip(raw, whole):
        assert causal.people(entry['frame_id'], entry['time'], entry) == wanted['instances']


def damaged(change):
    entries = walk(4)
    change(entries)
    return entries


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda e: e.clear(), 'no frames'),
        (lambda e: e[2].update(frame_id=1), 'entry 2 has frame_id 1, which does not come after 1'),
        (lambda e: e[2].update(frame_id='2'), "frame_id '2'"),
        (lambda e: e[2].update(time=0.0), 'frame 2 has time 0 s, which does not come after'),
        (lambda e: e[2].update(time='now'), "time 'now'"),
        (lambda e: e[2].pop('instances'), 'entry 2 is no frame'),
        (lambda e: e[2]['instances'].append(3), 'person 2 of frame 2 is int'),
        (lambda e: e[2]['instances'][1].pop('keypoint_scores'), 'person 1 of frame 2 has no'),
        (lambda e: e[2]['instances'][1]['keypoints'].pop(), '6 keypoint_scores for 5'),
        (lambda e: e[2]['instances'][1].update(keypoints=[[1, 2, 3]] * 6), r'shape \(6, 3\)'),
        (lambda e: e[2]['instances'][1].update(keypoints=[[1, 2], [3]]), 'not numbers in rows'),
        (lambda e: e[2]['instances'][1].update(keypoint_std=[[-1, 2]] * 6), 'negative'),
        (lambda e: e[2]['instances'][1].update(bbox=[1, 2]), 'bbox has 2 numbers'),
        (lambda e: e[2]['instances'][1].update(track_id=0), 'frame 2 has two people with track_id'),
        (lambda e: e[2]['instances'][1].update(track_id='a'), "track_id 'a'"),
        (lambda e: e[2]['instances'].__setitem__(
            0, dict(keypoints=[[1, 2]] * 5, keypoint_scores=[1] * 5, track_id=0)),
         'track_id 0 has .* keypoints'),
        (lambda e: e[0]['meta'].update(fps='fast'), "meta.fps is 'fast'"),
        (lambda e: e[0]['run'].update(smoothing={}), 'smoothed already'),
    ],
)  # fmt: skip
@pytest.mark.parametrize('method', METHODS)
def test_what_cannot_be_used_is_named(method, change, message):
    """Broken if a damaged file gave a traceback, or poses of nonsense."""
    if method == 'one-euro' and 'keypoints' in message and 'track_id 0' in message:
        message = 'track_id 0 has another number of keypoints in frame 2'
    with pytest.raises(ValueError, match=message):
        smooth_predictions(damaged(change), method)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(method='median'), 'method'),
        (dict(max_gap=-1), 'max_gap'),
        (dict(max_gap=1.5), 'max_gap'),
        (dict(fps=0), 'fps'),
        (dict(min_score=1), 'min_score'),
        (dict(settings=OneEuro()), 'OneEuro has no settings'),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    """Broken if they were found out by nobody."""
    with pytest.raises(ValueError, match=message):
        smooth_predictions(walk(3), **options)
    with pytest.raises(ValueError, match='without instance_info'):
        smooth_predictions(dict(a=1))


@pytest.mark.parametrize('method', METHODS)
def test_nothing_passes_from_one_frame_size_to_another(method):
    """Broken if joints of a large picture were put into a small one beside it."""
    raw = walk()
    other = copy.deepcopy(raw)
    for entry in other[5:]:
        entry['image_size'] = [64, 48]
    parts = smooth_predictions(raw[:5], method), smooth_predictions(raw[5:], method)
    done = smooth_predictions(other, method)
    for track in (0, 1):
        expected = [*places(parts[0], track).values(), *places(parts[1], track).values()]
        np.testing.assert_allclose(list(places(done, track).values()), expected)
    once = copy.deepcopy(raw)
    once[4].update(image_size=[64, 48], instances=[])
    done = smooth_predictions(once, method)
    assert done[4]['instances'] == [], 'bridged over a picture of another size'


@pytest.mark.parametrize('method', METHODS)
def test_what_comes_out_is_json(method):
    """Broken if NaN, which browsers and jq refuse, were written where it was read."""
    raw = walk()
    raw[2]['instances'][0]['keypoints'][1] = [float('nan'), 5.0]
    raw[2]['instances'][0]['mine'] = dict(values=[float('nan'), 0.0, float('inf')])
    done = smooth_predictions(raw, method)
    json.dumps(done, allow_nan=False)
    assert done[2]['instances'][0]['mine'] == dict(values=[None, 0.0, None])


@pytest.mark.parametrize('given', [None, 3, 'frames'])
def test_something_else_than_frames_is_named(given):
    """Broken if another JSON ended in an error of Python."""
    with pytest.raises(ValueError, match='in place of a list of frames'):
        smooth_predictions(given)
