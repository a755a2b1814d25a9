#!/usr/bin/env bash
# pycocotools 2.0.11 and faster-coco-eval 1.8.0: results of people in which one joint is NaN.
#
# One would guess: NaN is refused, or the joint counts as missed, or the person does; the AP can only fall.
# What happens: pycocotools counts each such person as a perfect match. The similarity is NaN, "less than the threshold" is
# false for NaN, and so people 100 pixels beside the truth have an AP of 1.0 if one of 17 joints of each is NaN, and 0.0
# without. faster-coco-eval counts the same people as missed, wherever they are. Nobody warns. Expected before the
# run: an error, or a lower AP. Missed: it is the other way round, so a model that fails scores better.
# Versions: as above, numpy 2.2.6, Python 3.11. Who meets it: whoever marks joints that are not found by NaN (tables of
# DeepLabCut, SLEAP and movement do, and Python's json writes and reads it) or decodes empty heatmaps to NaN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" - << 'PY' 2> said || { cat said; exit 1; }
import contextlib
import importlib.metadata as metadata
import io
import json
import warnings

import faster_coco_eval
import numpy as np
import pycocotools.coco
import pycocotools.cocoeval

warnings.simplefilter('always')
people = np.random.default_rng(0).uniform(100, 300, (8, 17, 2))
truth = dict(
    info={}, images=[dict(id=n + 1, width=640, height=480) for n in range(8)], categories=[dict(id=1, name='person')],
    annotations=[
        dict(id=n + 1, image_id=n + 1, category_id=1, bbox=[100, 100, 200, 200], area=40000, iscrowd=0, num_keypoints=17,
             keypoints=np.c_[places, np.full(17, 2)].ravel().tolist())
        for n, places in enumerate(people)
    ],
)


def average_precision(coco, coco_eval, off, missing):
    results = []
    for n, places in enumerate(people):
        places = places + off
        places[:missing] = np.nan
        keypoints = np.c_[places, np.ones(17)].ravel().tolist()
        results.append(dict(image_id=n + 1, category_id=1, score=0.9, keypoints=keypoints))
    with open('results.json', 'w') as file:
        json.dump(results, file)
    with contextlib.redirect_stdout(io.StringIO()):
        ground = coco()
        ground.dataset = json.loads(json.dumps(truth))
        ground.createIndex()
        run = coco_eval(ground, ground.loadRes('results.json'), 'keypoints')
        run.evaluate()
        run.accumulate()
        run.summarize()
    return round(float(run.stats[0]), 3)


seen = {}
for name, coco, coco_eval in (
    ('pycocotools', pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval),
    ('faster-coco-eval', faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
):
    for off in (0, 100):
        for missing in (0, 1):
            seen[name, off, missing] = value = average_precision(coco, coco_eval, off, missing)
            print(f'{name} {metadata.version(name)}: people {off} pixels beside the truth, {missing} joint of 17 NaN: AP {value}')
for name in ('pycocotools', 'faster-coco-eval'):
    assert (seen[name, 0, 0], seen[name, 100, 0]) == (1, 0), 'CHANGED without NaN'
assert seen['pycocotools', 0, 1] == seen['pycocotools', 100, 1] == 1, 'CHANGED: pycocotools'
assert seen['faster-coco-eval', 0, 1] == seen['faster-coco-eval', 100, 1] == 0, 'CHANGED: faster-coco-eval'
PY
echo "warnings: $(grep -c -i nan said || true)"
[ "$(grep -c -i nan said || true)" = 0 ] || { echo 'CHANGED: a warning'; exit 1; }
