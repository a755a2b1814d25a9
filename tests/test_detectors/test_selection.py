"""Who of a network's boxes is a person: one rule for every detector, beside a plain loop."""

import numpy as np
import pytest

from diffpose_mm.detectors import Detections, DetectorError, person_labels, select_persons


def found(rows):
    """From rows x1, y1, x2, y2, score, label."""
    rows = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(int))


def overlap(a, b):
    """IoU by mmpose's rule, in which the last pixel counts."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    area_a, area_b = ((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b))
    return width * height / (area_a + area_b - width * height)


def by_loop(rows, labels, size, bbox_thr, nms_thr):
    kept = []
    for x1, y1, x2, y2, score, label in sorted(rows, key=lambda row: -row[4]):
        if label not in labels or score <= bbox_thr:
            continue
        if size is not None:
            x1, x2 = (min(max(x, 0), size[1]) for x in (x1, x2))
            y1, y2 = (min(max(y, 0), size[0]) for y in (y1, y2))
        box = (x1, y1, x2, y2, score)
        if x1 < x2 and y1 < y2 and all(overlap(box, other) <= nms_thr for other in kept):
            kept.append(box)
    return np.array(kept, np.float32).reshape(-1, 5)


@pytest.mark.parametrize('size', [(80, 100), None])
@pytest.mark.parametrize('nms_thr', [0.3, 0.65, 1.0])
def test_rows_are_those_of_a_plain_loop(size, nms_thr):
    """Broken if labels, thresholds, clipping, doubles or the order went wrong."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(-30, 110, (300, 2))
    boxes = np.hstack((corners, corners + rng.uniform(-3, 60, (300, 2))))
    boxes[200:] = boxes[:100] + rng.uniform(-2, 2, (100, 4))
    rows = np.hstack((boxes, rng.permutation(300)[:, None] / 300, rng.integers(0, 3, (300, 1))))
    rows = rows.astype(np.float32)
    expected = by_loop(rows.tolist(), (0, 2), size, 0.2, nms_thr)
    selected = select_persons(found(rows), (0, 2), size, 0.2, nms_thr)
    assert selected.dtype == np.float32 and 5 < len(selected) < 200
    np.testing.assert_allclose(selected, expected, atol=1e-4)
    best = select_persons(found(rows), (0, 2), size, 0.2, nms_thr, 3)
    np.testing.assert_array_equal(best, selected[:3])


def test_boxes_beyond_the_frame_go_and_those_across_its_edge_are_cut():
    rows = [[-32, -5, 40, 432, 0.9, 1], [-50, 10, -1, 50, 0.8, 1], [700, 0, 800, 50, 0.7, 1]]
    selected = select_persons(found(rows), (1,), (360, 640), 0.0, 1.0)
    np.testing.assert_allclose(selected, [[0, 0, 40, 360, 0.9]])


def test_a_box_without_numbers_suppresses_nobody():
    rows = [[np.nan, 0, 40, 43, 0.9, 1], [1, 1, 50, 50, 0.8, 1], [5, 5, 5, 50, 0.9, 1]]
    selected = select_persons(found(rows), (1,), (60, 60), 0.0, 0.3)
    np.testing.assert_allclose(selected, [[1, 1, 50, 50, 0.8]])


def test_nobody_is_an_empty_array():
    for rows in ([], [[0, 0, 9, 9, 0.9, 2]]):
        assert select_persons(found(rows), (1,), (60, 60), 0.0, 0.3).shape == (0, 5)


@pytest.mark.parametrize(
    'names, cat_ids, fallback, labels',
    [
        ({0: 'person', 1: 'car'}, None, None, (0,)),
        ({0: '__background__', 1: 'person'}, None, None, (1,)),
        ({0: 'no person', 1: 'person'}, None, None, (1,)),
        ({3: ' Person '}, None, 0, (3,)),
        ({0: 'pedestrian'}, None, 0, (0,)),
        ({0: 'pedestrian', 4: 'rider'}, [0, 4], None, (0, 4)),
        (None, None, 0, (0,)),
        (None, [7], None, (7,)),
    ],
)
def test_labels_are_chosen_by_their_name(names, cat_ids, fallback, labels):
    assert person_labels(names, cat_ids, fallback) == labels


@pytest.mark.parametrize(
    'names, cat_ids, message',
    [
        (None, None, 'they are not named.: say which mean people'),
        ({0: 'no person'}, None, '0 no person.: say which'),
        ({0: 'person'}, [1], 'no label 1; it has 0 person'),
        ({i: f'thing {i}' for i in range(99)}, None, 'thing 7, ...'),
    ],
)
def test_without_a_person_the_user_is_asked(names, cat_ids, message):
    with pytest.raises(DetectorError, match=message):
        person_labels(names, cat_ids)
