"""The stand-in for xtcocotools gives xtcocotools' numbers."""

import importlib
import json

import numpy as np
import pytest
from real_numbers import RECORD, evaluate, evaluation_cases

from diffpose_mm_stand_ins.xtcocotools import coco, cocoeval, mask

RECORDED = json.loads(RECORD.read_text())['keypoints']


def implementations():
    """The stand-in, and whatever is called xtcocotools here: the real one or the same stand-in."""
    yield coco.COCO, cocoeval.COCOeval
    yield (
        importlib.import_module('xtcocotools.coco').COCO,
        importlib.import_module('xtcocotools.cocoeval').COCOeval,
    )


@pytest.mark.parametrize('name', evaluation_cases())
def test_numbers_are_those_of_xtcocotools(name, tmp_path):
    """Broken if AP depended on which of the two is installed."""
    for one in implementations():
        stats = evaluate(*one, tmp_path, *evaluation_cases()[name])
        np.testing.assert_allclose(stats, RECORDED[name], rtol=0, atol=1e-12)


def test_plain_pycocotools_would_give_other_numbers(tmp_path):
    """What the stand-in is for: without its rules these cases part from the record."""
    from pycocotools.cocoeval import COCOeval

    def plain(truth, found, iouType='keypoints', sigmas=None, use_area=True):
        return COCOeval(truth, found, iouType)

    parted = [
        name
        for name in ('ids_from_0', 'no_points_found', 'num_keypoints_0', 'bbox_area')
        if not np.allclose(
            evaluate(coco.COCO, plain, tmp_path, *evaluation_cases()[name]), RECORDED[name]
        )
    ]
    assert parted == ['ids_from_0', 'no_points_found', 'num_keypoints_0', 'bbox_area']


def test_what_was_loaded_is_not_changed(tmp_path):
    """Broken if an evaluation left numbers, areas or flags in the caller's annotations."""
    dataset, found, _ = evaluation_cases()['body17']
    (tmp_path / 'truth.json').write_text(json.dumps(dataset))
    truth = coco.COCO(str(tmp_path / 'truth.json'))
    cocoeval.COCOeval(truth, truth.loadRes(found), use_area=False).evaluate()
    assert truth.dataset == dataset


def test_points_can_be_chosen_and_data_handed_over(tmp_path):
    """`test_index` and `ann_data` are arguments that xtcocotools added."""
    dataset, found, _ = evaluation_cases()['body15']
    for one in implementations():
        data = json.loads(json.dumps(dataset))
        truth = one[0]('not read', [0, 2], data)
        chosen = np.reshape(dataset['annotations'][0]['keypoints'], (-1, 3))[[0, 2]]
        assert truth.anns[1]['keypoints'] == chosen.ravel().tolist()
        results = truth.loadRes('not read', json.loads(json.dumps(found)))
        assert len(results.anns) == len(found)
        assert truth.anno_file == ['not read', 'not read']


def test_whole_bodies_are_refused_in_words():
    """Broken if an evaluation that the stand-in lacks gave a number or a traceback instead."""
    with pytest.raises(NotImplementedError, match='not keypoints_wholebody: install xtcocotools'):
        cocoeval.COCOeval(iouType='keypoints_wholebody')


def test_masks_are_those_of_pycocotools():
    box = np.array([[0.0, 0, 10, 10]])
    assert mask.iou(box, box, [0]) == 1
    assert mask.decode(mask.encode(np.asfortranarray(np.eye(4, dtype=np.uint8)))).sum() == 4


def test_results_that_are_no_numbers_are_refused(tmp_path):
    """Broken if a joint that is NaN made a wrong pose count as exact, as in pycocotools 2.0.11."""
    dataset, found, _ = evaluation_cases()['body17']
    (tmp_path / 'truth.json').write_text(json.dumps(dataset))
    truth = coco.COCO(str(tmp_path / 'truth.json'))
    found = json.loads(json.dumps(found))
    found[1]['keypoints'][3] = float('nan')
    evaluation = cocoeval.COCOeval(truth, truth.loadRes(found))
    with pytest.raises(ValueError, match=rf'image_id {found[1]["image_id"]} has a keypoint that'):
        evaluation.evaluate()
