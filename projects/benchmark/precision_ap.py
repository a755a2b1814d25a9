"""What a number format does to the joints: AP on annotated videos, and how far joints move.

    python projects/benchmark/precision_ap.py --data-root work_dirs/val --rows torch:bfloat16 \
        openvino:float32=work_dirs/ov openvino:bfloat16=work_dirs/ov openvino:float32=work_dirs/int8

Every row sees the people that the config's model in float32 sees, in the same windows with the same
noise. A row is ENGINE:PRECISION, of an exported model with its folder. Joints are compared with
those in float32, in input pixels; a jump is a joint that is further off than a peak is wide.
docs/export.md holds the results.
"""

import argparse
import copy
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.registry import DATASETS, METRICS
from streaming import DEMO, DEMO_WEIGHTS, annotated_videos
from timing import describe_run

from diffpose_mm.apis import ClipPoser
from diffpose_mm.apis.precision import set_precision
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.engine.launch import set_data_root
from diffpose_mm_runtime import ExportedPoser

REFERENCE = 'torch:float32'


class Row:
    """A way to pose, its AP and its distances."""

    def __init__(self, pose, metric):
        self.pose, self.metric, self.distances = pose, metric, []

    def take(self, jobs, infos, reference):
        """Pose people; ``reference`` are the samples in float32, None where these are they."""
        samples = self.pose(jobs, reference)
        for sample, info in zip(samples, infos):
            sample.set_metainfo(dict(id=info['id'], img_id=info['img_id']))
            self.metric.process([], [sample.to_dict()])
        for own, other in zip(samples, reference or ()):
            moved = own.pred_instances.keypoints - other.pred_instances.keypoints
            extent = np.asarray(own.metainfo['input_size']) - 1
            zoom = extent / np.asarray(own.metainfo['input_scale'])
            self.distances.append(np.linalg.norm(moved[0] * zoom, axis=-1))
        return samples


def by_torch(model, pipeline):
    """Pose by a model of torch."""
    poser = ClipPoser(model, pipeline)
    return lambda jobs, reference: poser(jobs)


def by_engine(folder, engine, precision):
    """Pose by an exported model; samples are those of the reference with other joints."""
    poser = ExportedPoser(folder, engine, 1, precision)

    def pose(jobs, reference):
        samples = [copy.deepcopy(sample) for sample in reference]
        for sample, found in zip(samples, poser(jobs)):
            for name in ('keypoints', 'keypoint_scores'):
                sample.pred_instances.set_field(found[name], name)
        return samples

    return pose


def measure(cfg, checkpoint, wanted, videos=None, progress=lambda line: None):
    """A dict a row: ``row``, metrics of PoseTrackAP and, but for the first, distances.

    Args:
        cfg: Its test data set has annotated boxes; its settings are used.
        checkpoint: Weights of its model.
        wanted: Rows as the command line has them.
        videos: How many of the videos; all by default.
        progress: Called with a line of text.
    """
    init_default_scope('mmpose')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    offsets, pipeline = clip_offsets(cfg), Compose(cfg.test_dataloader.dataset.pipeline)
    codec = cfg.model.head.decoder
    jump = codec.sigma * codec.input_size[0] / codec.heatmap_size[0]
    rows = {}
    for name in (REFERENCE, *wanted):
        way, _, folder = name.partition('=')
        engine, precision = way.split(':')
        if engine == 'torch':
            model = init_model(copy.deepcopy(cfg), str(checkpoint), device='cpu')
            set_precision(model, precision)
            pose = by_torch(model, pipeline)
        else:
            pose = by_engine(folder, engine, precision)
        metric = METRICS.build(dict(type='PoseTrackAP', ann_file=dataset.ann_file))
        metric.dataset_meta = dataset.metainfo
        rows[name] = Row(pose, metric)
    for number, steps in enumerate(annotated_videos(dataset, offsets, 'offline', 0.0)):
        if number == videos:
            break
        for jobs, infos in steps:
            reference = None
            for row in rows.values():
                samples = row.take(jobs, infos, reference)
                reference = samples if reference is None else reference
        progress(f'video {number + 1}')
    return [summary(name, row, jump) for name, row in rows.items()]


def summary(name, row, jump):
    """What the table says of a row."""
    found = dict(row=name, **row.metric.compute_metrics(row.metric.results))
    if row.distances:
        moved = np.concatenate(row.distances)
        found.update(
            mean=moved.mean(), median=np.median(moved), at_95=np.percentile(moved, 95),
            jumps=(moved > jump).mean(),
        )  # fmt: skip
    return {key: value if isinstance(value, str) else float(value) for key, value in found.items()}


def table(rows):
    """In Markdown."""
    lines = [
        '| | AP | change | mean | median | 95 % | jumps |',
        '|---|---:|---:|---:|---:|---:|---:|',
    ]
    for row in rows:
        moved = ' | | | |'
        if 'mean' in row:
            moved = (
                f' {row["AP"] - rows[0]["AP"]:+.2f} | {row["mean"]:.3f} | {row["median"]:.3f} | '
                f'{row["at_95"]:.3f} | {100 * row["jumps"]:.2f} % '
            )
        lines.append(f'| {row["row"]} | {row["AP"]:.2f} |{moved}|')
    return '\n'.join(lines)


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog='precision_ap', description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default=str(DEMO))
    parser.add_argument('checkpoint', nargs='?', default=str(DEMO_WEIGHTS))
    parser.add_argument('--data-root', help="in place of the config's")
    parser.add_argument('--rows', nargs='+', default=['torch:bfloat16'], metavar='ENGINE:PRECISION')
    parser.add_argument('--videos', type=int, help='the first so many (default: all)')
    parser.add_argument('--json', type=Path, help='also write all numbers to this file')
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cfg = Config.fromfile(args.config)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    rows = measure(
        cfg, args.checkpoint, args.rows, args.videos,
        lambda line: print(f'\r\033[K{line}', end='', file=sys.stderr, flush=True),
    )  # fmt: skip
    run = describe_run(argparse.Namespace(device='cpu', amp=None, compile=False, clock='cpu'))
    print(', '.join(f'{key} {value}' for key, value in run.items()) + '\n\n' + table(rows))
    if args.json:
        args.json.write_text(json.dumps(dict(run=run, rows=rows), indent=1) + '\n')


if __name__ == '__main__':
    main()
