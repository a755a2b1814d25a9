"""The stand-in for mmcv's operators: the same boxes stay, and what is missing says so."""

import importlib
import json

import pytest
import torch
from real_numbers import RECORD, kept, nms_cases

from diffpose_mm_stand_ins import mmcv_ext

RECORDED = json.loads(RECORD.read_text())['nms']


def implementations():
    """The stand-in, and whatever mmcv has here: compiled operators or the same stand-in."""
    return [mmcv_ext.nms, importlib.import_module('mmcv._ext').nms]


@pytest.mark.parametrize('name', nms_cases())
def test_the_boxes_that_stay_are_those_of_mmcv(name):
    """Broken if the people that a detector finds depended on how mmcv was installed."""
    for nms in implementations():
        assert kept(nms, *nms_cases()[name]) == RECORDED[name]


def test_cases_tell_right_from_wrong():
    """The record itself: boxes go, and the offset makes a difference."""
    assert all(
        len(RECORDED[name]) < len(boxes)
        for name, (boxes, *_) in nms_cases().items()
        if len(boxes) > 20
    )
    assert RECORDED['exact0'] != RECORDED['exact1']


def test_batched_nms_of_mmcv_runs_on_it():
    """Broken if mmdet's post-processing, which goes through batched_nms, could not run."""
    from mmcv.ops import batched_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [1, 1, 10, 10]])
    scores, labels = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1])
    found, indices = batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.5))
    assert indices.tolist() == [0, 2]
    assert torch.equal(found[:, 4], scores[indices])


def test_an_operator_without_stand_in_says_what_to_do():
    """Broken if a detector with more operators failed by an error that names no remedy."""
    with pytest.raises(NotImplementedError, match='roi_align_forward.*MMCV_OPS=1'):
        mmcv_ext.roi_align_forward(torch.zeros(1), output_size=1)
    with pytest.raises(AttributeError):
        _ = mmcv_ext.__path__
