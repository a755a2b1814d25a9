#!/usr/bin/env bash
# pycocotools 2.0.11 and faster-coco-eval 1.8.0: a ground truth annotation with the id 0.
#
# One would guess: ids are names; the AP of detections that are the ground truth itself is 1, and
# numbering the annotations from 0 or from 1 makes no difference.
# What happens: 0 stands for "no match" in the table of matches, so the detection that matches
# annotation 0 counts as a false positive: the AP of a perfect result is 0.56 for four boxes.
# pycocotools says nothing; faster-coco-eval does the same and warns. Missed by the guess, made after
# reading pycocotools: that the faster rewrite keeps the number, and that it says so.
# Versions: Python 3.11, numpy 2. Who meets it: whoever numbers annotations with enumerate().
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check pycocotools==2.0.11 faster-coco-eval==1.8.0
cd "$work"
"$work/venv/bin/python" - << 'PY'
import contextlib
import copy
import importlib.metadata as metadata
import io
import warnings

import faster_coco_eval
import pycocotools.coco
import pycocotools.cocoeval

BOXES = [[10, 10, 50, 80], [100, 20, 40, 90], [200, 30, 60, 60], [300, 10, 50, 70]]


def average_precision(coco, coco_eval, first_id):
    truth = coco()
    truth.dataset = dict(
        info={}, images=[dict(id=1, width=400, height=200)], categories=[dict(id=1, name='box')],
        annotations=[
            dict(id=first_id + n, image_id=1, category_id=1, bbox=box, area=box[2] * box[3], iscrowd=0)
            for n, box in enumerate(BOXES)
        ],
    )
    found = [dict(image_id=1, category_id=1, bbox=box, score=0.9 - 0.1 * n) for n, box in enumerate(BOXES)]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        truth.createIndex()
        evaluation = coco_eval(truth, truth.loadRes(copy.deepcopy(found)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return round(float(evaluation.stats[0]), 4), any('id 0' in str(w.message) for w in said)


seen = {}
for name, coco, coco_eval in (
    ('pycocotools', pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    ('faster-coco-eval', faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
):
    seen[name] = average_precision(coco, coco_eval, 1), average_precision(coco, coco_eval, 0)
    for first, (ap, warned) in zip((1, 0), seen[name]):
        print(f'{name} {metadata.version(name)}: ids from {first}, AP {ap}, warned: {warned}')
wanted = {'pycocotools': False, 'faster-coco-eval': True}
for name, (one, zero) in seen.items():
    assert one == (1, False) and zero[0] < 1 and zero[1] == wanted[name], f'CHANGED: {name}'
PY
