"""What this package writes, read by every evaluator that is installed, which have to agree.

    python projects/evaluators/read_back.py

Writes a synthetic PoseTrack, and its annotated poses with noise as a submission, to a temporary
folder. Each of pycocotools, xtcocotools and faster-coco-eval evaluates them by OKS, twice: the
synthetic file as ground truth, and the submission itself, whose persons then need every field.
"""

import contextlib
import importlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np

from diffpose_mm.evaluation.posetrack_files import load_ground_truth
from diffpose_mm.evaluation.posetrack_submissions import write_submission
from diffpose_mm.keypoint_sets import keypoint_set
from diffpose_mm.synthetic import synthesize

SIGMAS = np.array(keypoint_set('posetrack17').sigmas)
# Package -> module and class of annotations, module and class of the evaluation.
EVALUATORS = {
    'pycocotools': ('pycocotools.coco', 'COCO', 'pycocotools.cocoeval', 'COCOeval'),
    'xtcocotools': ('xtcocotools.coco', 'COCO', 'xtcocotools.cocoeval', 'COCOeval'),
    'faster-coco-eval': ('faster_coco_eval', 'COCO', 'faster_coco_eval', 'COCOeval_faster'),
}


def noisy_poses(content, rng):
    poses = {}
    for annotation in content['annotations']:
        triples = np.reshape(annotation['keypoints'], (17, 3)).astype(float)
        there = triples.any(1)
        points = np.where(there[:, None], triples[:, :2] + rng.normal(0, 3, (17, 2)), 0)
        pose = dict(
            keypoints=points,
            keypoint_scores=np.where(there, rng.uniform(0, 1, 17).round(1), 0),
            keypoints_present=there,
            score=float(rng.uniform()),
            bbox=annotation['bbox'],
            track_id=annotation['track_id'],
        )
        poses.setdefault(annotation['image_id'], []).append(pose)
    return poses


def evaluate(name, truth, results):
    """AP, AP50, AP75, AR by OKS."""
    files, annotations, evaluations, evaluation = EVALUATORS[name]
    coco_class = getattr(importlib.import_module(files), annotations)
    eval_class = getattr(importlib.import_module(evaluations), evaluation)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class(str(truth))
        found = truth.loadRes(results)
        if name == 'xtcocotools':
            run = eval_class(truth, found, 'keypoints', SIGMAS)
        elif name == 'faster-coco-eval':
            run = eval_class(truth, found, 'keypoints', kpt_oks_sigmas=SIGMAS)
        else:
            run = eval_class(truth, found, 'keypoints')
            run.params.kpt_oks_sigmas = SIGMAS
        run.evaluate()
        run.accumulate()
        run.summarize()
    return np.array(run.stats)[[0, 1, 2, 5]]


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        synthesize(root / 'set', 0, 3, 4, size=(160, 120))
        truth = root / 'set' / 'annotations' / 'posetrack18_val.json'
        poses = noisy_poses(json.loads(truth.read_text()), np.random.default_rng(0))
        files = write_submission(root / 'submission', poses, load_ground_truth(truth))
        contents = [json.loads(file.read_text()) for file in files]
        results = [
            {key: a[key] for key in ('image_id', 'category_id', 'keypoints', 'score')}
            for content in contents
            for a in content['annotations']
        ]
        print('| evaluator | ground truth | AP | AP50 | AP75 | AR |')
        print('|---|---|---:|---:|---:|---:|')
        for name in EVALUATORS:
            for what, file in (('synthetic', truth), ('a submission', files[0])):
                images = {image['id'] for image in json.loads(file.read_text())['images']}
                chosen = [result for result in results if result['image_id'] in images]
                try:
                    stats = evaluate(name, file, chosen)
                except ImportError as error:
                    print(f'| {name} | {what} | not installed: {error} |')
                    continue
                print(f'| {name} | {what} |', ' | '.join(f'{v:.4f}' for v in stats), '|')


if __name__ == '__main__':
    main()
