#!/usr/bin/env bash
# xtcocotools 1.14.3 and pycocotools 2.0.11: results whose keypoints have 0 as the third number throughout.
#
# One would guess: a result's third number is a place-holder. COCO compares places and ranks by the person's `score`, so
# 0, 1 or a confidence there is the same, and xtcocotools, an extended pycocotools, gives the same AP.
# What happens: pycocotools gives 1.0 for a perfect result. xtcocotools drops each person whose third numbers are
# all 0, before matching: an AP of 0 where all are so, of 0.5 where half of the people are. That points
# are dropped was known from others. Missed: it is the whole person, and one joint with 0.001 is enough to count.
# Versions: xtcocotools 1.14.3, pycocotools 2.0.11, numpy 1.26.4, Python 3.11. Who meets it: whoever writes places from
# a tool without confidences and has them scored by MMPose, or compares the two evaluators.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check xtcocotools==1.14.3 \
    pycocotools==2.0.11 numpy==1.26.4 setuptools==79.0.1
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY'
import contextlib
import copy
import importlib.metadata as metadata
import io

import numpy as np
import pycocotools.coco
import pycocotools.cocoeval
import xtcocotools.coco
import xtcocotools.cocoeval

SIGMAS = np.array([.26, .25, .25, .35, .35, .79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89]) / 10
people = np.random.default_rng(0).uniform(0, 200, (4, 17, 2)) + [100, 100]


def evaluate(module, evaluation, third):
    truth = module.COCO()
    truth.dataset = dict(
        info={}, images=[dict(id=n + 1, width=640, height=480) for n in range(4)], categories=[dict(id=1, name='person')],
        annotations=[
            dict(id=n + 1, image_id=n + 1, category_id=1, bbox=[100, 100, 200, 200], area=40000, iscrowd=0, num_keypoints=17,
                 keypoints=np.c_[places, np.full(17, 2)].ravel().tolist())
            for n, places in enumerate(people)
        ],
    )
    results = [
        dict(image_id=n + 1, category_id=1, score=0.9, keypoints=np.c_[places, third[n]].ravel().tolist())
        for n, places in enumerate(people)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        arguments = (SIGMAS, True) if module is xtcocotools.coco else ()
        run = evaluation.COCOeval(truth, truth.loadRes(copy.deepcopy(results)), 'keypoints', *arguments)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return round(float(run.stats[0]), 3)


zeros, one_joint, half = np.zeros((4, 17)), np.zeros((4, 17)), np.zeros((4, 17))
one_joint[:, 0] = 0.001
half[:2] = 1
seen = {}
for name, third in (
    ('all 1', np.ones((4, 17))), ('all 0', zeros), ('0.001 in one joint, else 0', one_joint), ('two people of four with 1', half),
):
    seen[name] = (
        evaluate(pycocotools.coco, pycocotools.cocoeval, third), evaluate(xtcocotools.coco, xtcocotools.cocoeval, third),
    )
    print(f'third numbers {name}: AP of a perfect result by pycocotools {metadata.version("pycocotools")} {seen[name][0]}, '
          f'by xtcocotools {metadata.version("xtcocotools")} {seen[name][1]}')
assert all(first == 1 for first, _ in seen.values()), 'CHANGED: pycocotools'
assert seen['all 1'][1] == seen['0.001 in one joint, else 0'][1] == 1, 'CHANGED'
assert seen['all 0'][1] <= 0 and 0 < seen['two people of four with 1'][1] < 0.6, 'CHANGED: xtcocotools counts them'
PY
