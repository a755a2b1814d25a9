"""Predictions of one version of the package as JSON, in every way to run it.

compare.py runs this file with the old package and with the new one; only what both have in common
is used. Arguments: the checkpoint, the folder to write to, videos.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.utils import get_installed_path

from diffpose_mm.apis import DiffPoseInferencer

MAX_FRAMES = 40


def given_boxes(count, width, height):
    """Two people: one who walks across the picture, and one who comes and goes."""
    boxes = {}
    for t in range(count):
        x = width * (0.1 + 0.5 * t / count)
        people = [[x, 0.1 * height, x + 0.25 * width, 0.95 * height]]
        if t % 11 < 8:
            people.append([0.6 * width, 0.2 * height, 0.85 * width, 0.9 * height])
        boxes[t] = people if t % 2 else people[::-1]
    return boxes


def tiny_detector():
    """RTMDet cut down, random weights: boxes that depend on the picture."""
    folder = Path(get_installed_path('mmdet')) / '.mim/configs/rtmdet'
    config = Config.fromfile(folder / 'rtmdet_tiny_8xb32-300e_coco.py')
    config.model.backbone.update(widen_factor=0.125, deepen_factor=0.167, init_cfg=None)
    config.model.neck.update(in_channels=[32, 64, 128], out_channels=16)
    config.model.bbox_head.update(in_channels=16, feat_channels=16)
    config.model.test_cfg.max_per_img = 4
    return config


def records(results):
    """What a run gave, without what only one of the versions says."""
    out = []
    for result in results:
        (frame,) = result['frames']
        people = [
            {key: person[key] for key in ('keypoints', 'keypoint_scores', 'bbox', 'track_id')}
            | {'bbox_score': person['bbox_score']}
            for person in result['predictions'][0]
        ]
        out.append(
            dict(frame_id=frame['frame_id'], frames_used=frame['frames_used'], people=people)
        )
    return out


def read_frames(path):
    import cv2

    capture, frames = cv2.VideoCapture(path), []
    while len(frames) < MAX_FRAMES:
        good, frame = capture.read()
        if not good:
            break
        frames.append(frame)
    return frames


def main(checkpoint, out, *videos):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    inferencer = DiffPoseInferencer(
        'diffpose_synthetic', checkpoint, device='cpu', det_model='whole_image'
    )
    seconds = {}

    def run(name, model, inputs, **options):
        before = time.process_time()
        results = records(model(inputs, **options))
        seconds[name] = time.process_time() - before
        (out / f'{name}.json').write_text(json.dumps(results))

    for path in videos:
        stem = Path(path).stem
        frames = read_frames(path)
        height, width = frames[0].shape[:2]
        boxes = given_boxes(len(frames), width, height)
        clip = dict(as_clip=True)
        run(f'{stem}-offline', inferencer, frames, bboxes=boxes, batch_size=4, **clip)
        run(f'{stem}-causal', inferencer, frames, bboxes=boxes, mode='causal', **clip)
        run(f'{stem}-streaming', inferencer, frames, bboxes=boxes, streaming=True, **clip)
        run(
            f'{stem}-streaming_causal', inferencer, frames, bboxes=boxes, streaming=True,
            mode='causal', batch_size=3, **clip,
        )  # fmt: skip
        run(f'{stem}-oks', inferencer, frames, bboxes=boxes, use_oks_tracking=True, **clip)
        run(f'{stem}-hypotheses', inferencer, frames[:8], bboxes=boxes, num_hypotheses=3,
            sampling_steps=2, **clip)  # fmt: skip
        run(f'{stem}-whole_image', inferencer, frames[:12], **clip)
        run(f'{stem}-file', inferencer, path, bboxes={0: boxes[0], 5: boxes[5]}, batch_size=8)
        folder = out / f'resumed-{stem}'
        half = inferencer(path, bboxes=boxes, pred_out_dir=str(folder), streaming=True)
        for _ in range(min(len(frames) // 2, 9)):
            next(half)
        half.close()
        run(f'{stem}-resumed', inferencer, path, bboxes=boxes, pred_out_dir=str(folder),
            streaming=True, resume=True)  # fmt: skip
    torch.manual_seed(0)
    np.random.seed(0)
    detecting = DiffPoseInferencer(
        'diffpose_synthetic', checkpoint, device='cpu', det_model=tiny_detector(),
        det_cat_ids=list(range(80)),
    )  # fmt: skip
    torch.manual_seed(0)
    network = detecting.detector.network
    network.prepare()
    for layer in network.inferencer.model.bbox_head.rtm_reg:
        layer.bias.data.fill_(2)
    stem, frames = Path(videos[0]).stem, read_frames(videos[0])
    run(f'{stem}-detector', detecting, frames[:16], as_clip=True, bbox_thr=0.0, batch_size=4)
    (out / 'seconds').write_text(json.dumps(seconds))


if __name__ == '__main__':
    main(*sys.argv[1:])
