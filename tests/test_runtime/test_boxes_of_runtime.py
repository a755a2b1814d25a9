"""Boxes from files."""

import json

import numpy as np
import pytest

from diffpose_mm_runtime.boxes import GivenBoxes, read_boxes

INSTANCE = dict(bbox=[[1, 2, 11, 22]], bbox_score=0.5, keypoints=[[3, 4]])


def written(tmp_path, content):
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize('first', [0, 1])
def test_predictions_of_mmpose(first, tmp_path):
    """Broken if mmpose's file were refused, or its frames, which count from 1, moved by one."""
    frames = [
        dict(frame_id=first, instances=[INSTANCE]),
        dict(frame_id=first + 1, instances=[]),
    ]
    boxes = GivenBoxes(read_boxes(written(tmp_path, dict(meta_info={}, instance_info=frames))))
    one, other = boxes([0, 1], [np.zeros((40, 30, 3))] * 2)
    assert [person.box.tolist() for person in one] == [[1, 2, 11, 22]] and other == []
    assert one[0].score == 0.5


@pytest.mark.parametrize(
    'content, message',
    [
        ([dict(frame_id=[0], instances=[])], r'boxes.json: .*\[0\] is no frame'),
        ([dict(frame_id=None, instances=[])], 'boxes.json: .*None is no frame'),
        ([dict(frame_id=float('inf'), instances=[])], 'boxes.json: .*inf is no frame'),
        (dict(a=[]), "boxes.json: .*'a' is no frame"),
        ([dict(bboxes=[[0, 0, 9, 9]], scores=5)], 'bboxes of frame 0 cannot be read'),
        ([[], dict(bboxes=[[0, 0, 9, 9]], track_ids=[{}])], 'bboxes of frame 1 cannot be read'),
        ([dict(bboxes=[[0, 0, 9, 9]], track_ids=[float('inf')])], 'bboxes of frame 0 cannot be'),
    ],
)
def test_what_is_no_box_is_named(content, message, tmp_path):
    """Broken if a TypeError came through, which the commands show as a traceback."""
    with pytest.raises(ValueError, match=message):
        GivenBoxes(read_boxes(written(tmp_path, content)))
