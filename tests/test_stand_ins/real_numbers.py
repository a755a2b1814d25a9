"""Cases for the stand-ins, and what the real packages made of them.

``python tests/test_stand_ins/real_numbers.py`` writes real_numbers.json anew, where xtcocotools
and a compiled mmcv are installed. The cases come from the standard library's random numbers, which
are the same everywhere.
"""

import contextlib
import copy
import io
import json
import random
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

RECORD = Path(__file__).with_suffix('.json')
SIGMAS = dict(body17=None, body15=0.05 + 0.01 * np.arange(15))


def nms_cases():
    """Name -> boxes (N, 4), scores (N,), threshold, offset."""
    draw = random.Random(0)
    cases = {}
    for number in range(12):
        boxes, scores = [], []
        for _ in range(1 + 12 * number):
            x, y, w, h = (draw.uniform(40 * (place > 1), 100) for place in range(4))
            boxes += [[x, y, x + w, y + h]] * draw.choice((1, 1, 2))
        scores = draw.sample(range(10000), len(boxes))
        threshold = draw.choice((0.3, 0.5, 0.65, 0.9))
        cases[f'random{number}'] = boxes, [s / 10000 for s in scores], threshold, number % 2
    touching = [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 5, 5], [30, 30, 30, 30]]
    for offset in (0, 1):  # IoU is the threshold itself, and a box without an area
        cases[f'exact{offset}'] = touching, [0.9, 0.8, 0.7, 0.6], 0.5, offset
    cases['none'] = [], [], 0.5, 0
    return cases


def kept(nms, boxes, scores, threshold, offset):
    """Indices that a function like ``mmcv._ext.nms`` lets stay."""
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    scores = torch.tensor(scores, dtype=torch.float32)
    return nms(boxes, scores, iou_threshold=threshold, offset=offset).tolist()


def person(draw, points, image, number, box=None):
    """An annotation with some of its points labelled."""
    x, y, w, h = box or [draw.uniform(0, 200), draw.uniform(0, 200)] + [
        draw.uniform(20, 180) for _ in range(2)
    ]
    keypoints = []
    for _ in range(points):
        seen = draw.choice((0, 1, 2, 2, 2))
        keypoints += [draw.uniform(x, x + w), draw.uniform(y, y + h), seen] if seen else [0, 0, 0]
    return dict(
        id=number, image_id=image, category_id=1, bbox=[x, y, w, h], area=w * h * 0.6, iscrowd=0,
        keypoints=keypoints, num_keypoints=sum(v > 0 for v in keypoints[2::3]),
    )  # fmt: skip


def detection(draw, truth, spread, score):
    """A person with its points moved about, all of them found."""
    keypoints = []
    x, y, w, h = truth['bbox']
    for px, py, seen in zip(*(truth['keypoints'][place::3] for place in range(3))):
        px, py = (px, py) if seen else (draw.uniform(x, x + w), draw.uniform(y, y + h))
        keypoints += [px + draw.gauss(0, spread), py + draw.gauss(0, spread), 1]
    return dict(image_id=truth['image_id'], category_id=1, keypoints=keypoints, score=score)


def evaluation_cases():
    """Name -> ground truth, detections, arguments of COCOeval beyond these."""
    cases = {}
    for name, sigmas in SIGMAS.items():
        points = 17 if sigmas is None else len(sigmas)
        draw = random.Random(points)
        truths = [person(draw, points, 1 + n // 3, 1 + n) for n in range(60)]
        found = [
            detection(draw, truth, draw.choice((1, 3, 9)), draw.random())
            for truth in truths
            for _ in range(draw.choice((0, 1, 1, 2)))
        ]
        found += [
            detection(draw, person(draw, points, 1 + n, 0), 0, draw.random()) for n in range(20)
        ]
        dataset = dict(
            images=[dict(id=1 + n, width=640, height=480) for n in range(20)],
            annotations=truths,
            categories=[dict(id=1, name='person', keypoints=[str(n) for n in range(points)])],
        )
        cases[name] = dataset, found, dict(sigmas=sigmas)
    dataset, found, more = cases['body17']

    def change(change_truth=None, change_found=None, **options):
        new = copy.deepcopy(dataset), copy.deepcopy(found), {**more, **options}
        for index, truth in enumerate(new[0]['annotations']):
            change_truth and change_truth(index, truth)
        for index, one in enumerate(new[1]):
            change_found and change_found(index, one)
        return new

    cases['bbox_area'] = change(use_area=False)
    cases['bbox_area_without_area'] = change(lambda _, t: t.pop('area'), use_area=False)
    cases['ids_from_0'] = change(lambda _, t: t.update(id=t['id'] - 1))
    cases['score_ties'] = change(None, lambda _, f: f.update(score=round(f['score'], 1)))
    cases['no_points_found'] = change(
        None, lambda i, f: i % 4 or f.update(keypoints=[*f['keypoints'][:2], 0] * 17)
    )
    cases['num_keypoints_0'] = change(lambda i, t: i % 3 or t.update(num_keypoints=0))
    cases['num_keypoints_17'] = change(lambda i, t: t.update(num_keypoints=17))
    cases['no_num_keypoints'] = change(lambda _, t: t.pop('num_keypoints'))
    cases['nobody_labelled'] = change(
        lambda i, t: i % 3 or t.update(keypoints=[0] * 51, num_keypoints=0)
    )
    cases['crowds'] = change(lambda i, t: t.update(iscrowd=int(i % 5 == 0)))
    cases['no_iscrowd'] = change(lambda _, t: t.pop('iscrowd'))
    cases['nothing_found'] = dataset, [], more
    cases['boxes'] = change(None, with_box, iouType='bbox')
    cases['boxes_ids_from_0'] = change(
        lambda _, t: t.update(id=t['id'] - 1), with_box, iouType='bbox'
    )
    return cases


def with_box(_, found):
    """The box around the points of a detection."""
    x, y = found['keypoints'][0::3], found['keypoints'][1::3]
    found['bbox'] = [min(x), min(y), max(x) - min(x), max(y) - min(y)]


def evaluate(coco, coco_eval, folder, dataset, found, options):
    """The numbers of ``summarize``; the same index is evaluated twice, as in a training run."""
    path = Path(folder, 'truth.json')
    path.write_text(json.dumps(dataset))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco(str(path))
        stats = []
        for _ in range(2):
            evaluation = coco_eval(truth, truth.loadRes(copy.deepcopy(found)), **options)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            stats.append(np.asarray(evaluation.stats).tolist())
    assert stats[0] == stats[1]
    return stats[0]


if __name__ == '__main__':
    import tempfile

    from mmcv import _ext
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    assert _ext.__file__.endswith('.so'), 'this mmcv is not compiled'
    with tempfile.TemporaryDirectory() as folder:
        numbers = dict(
            versions={name: version(name) for name in ('mmcv', 'xtcocotools', 'numpy', 'torch')},
            nms={name: kept(_ext.nms, *case) for name, case in nms_cases().items()},
            keypoints={
                name: evaluate(COCO, COCOeval, folder, *case)
                for name, case in evaluation_cases().items()
            },
        )
    RECORD.write_text(json.dumps(numbers, indent=1) + '\n')
