"""Streaming: what a person-frame costs beside ViTPose, and what it costs in accuracy.

``cost`` follows one walking person through a synthetic video, live: processor time of a
person-frame on one core, as a ratio to single-frame ViTPose on the same frame. ``accuracy`` tests
a checkpoint on annotated videos with and without streaming. README.md beside this file holds the
results.
"""

import argparse
import copy
import json
import os.path as osp
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.evaluator import BaseMetric
from mmengine.registry import init_default_scope
from mmpose.apis import init_model
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, METRICS
from parts import build_models
from timing import describe_run, quartiles
from vitpose import build_vitpose
from walk import walking_person, write_walk

from diffpose_mm.apis import ClipPoser, Frame, FrameWindows, StreamingPoser, iterate_windows
from diffpose_mm.apis.people import Person
from diffpose_mm.apis.poser import Job
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.engine.launch import set_data_root

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/diffpose_posetrack18.py'
DEMO = ROOT / 'configs/diffpose_synthetic.py'
DEMO_WEIGHTS = ROOT / 'projects/demo/checkpoints/diffpose_synthetic.pth'
VITPOSE, STREAM, FULL = 'ViTPose, one frame', 'streaming, S={}', 'whole window, S={}'


def measure_cost(
    cfg: Config,
    frames: int = 300,
    steps: Sequence[int] = (1, 4),
    seed: int = 6,
    full_every: int = 50,
    size: tuple[int, int] = (640, 480),
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict]:
    """Processor time of a live stream with one walking person, beside ViTPose on its frames.

    There is one stream; its S changes from frame to frame, as nothing that it keeps depends on S.
    On every ``full_every``-th frame the window goes through the model as a whole, too. Interrupted
    by the user, it tells of the frames until then.

    Returns:
        list[dict]: A row each for ViTPose, the stream with each S and the whole window.
        ``frames``: how many were timed; ``seconds``: their median; ``ratio``: their sum over
        ViTPose's on the same frames; ``median``, ``spread``: median and quartiles of the ratios
        frame by frame. For the stream ``renewed`` and ``passes``: renewals of the crop and
        backbone passes a person-frame.
    """
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model, _ = build_models(cfg)
    model.test_cfg = dict(copy.deepcopy(cfg.model.test_cfg), flip_test=False, num_hypotheses=1)
    dataset = cfg.test_dataloader.dataset
    model.dataset_meta = parse_pose_metainfo(DATASETS.get(dataset.type).METAINFO)
    vitpose, vitpose_pipeline = build_vitpose(cfg)
    vitpose.dataset_meta = model.dataset_meta
    offsets = clip_offsets(cfg)
    pipeline = Compose(dataset.pipeline)
    stream, full = StreamingPoser(model, pipeline, offsets), ClipPoser(model, pipeline)

    def run_vitpose(job: Job) -> None:
        window, person = job
        data = dict(
            img=window.frame.image,
            img_path=window.frame.name,
            bbox=person.box[None],
            bbox_score=np.ones(1, np.float32),
            **vitpose.dataset_meta,
        )
        with torch.no_grad():
            vitpose.test_step(pseudo_collate([vitpose_pipeline(data)]))

    def run(poser: ClipPoser, count: int) -> Callable[[Job], None]:
        def run_poser(job: Job) -> None:
            model.test_cfg['sampling_steps'] = count
            poser([job])

        return run_poser

    windows = FrameWindows(offsets, 'causal')
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    turn = 0
    for index, (frame, box) in enumerate(walking_person(frames, size, seed)):
        people = [] if box is None else [Person(box, 1.0, 0)]
        (window,) = windows.push(Frame(index, f'{index:06d}.jpg', frame, people=people))
        if box is None:
            continue
        job = window, people[0]
        count = steps[turn % len(steps)]
        parts = {VITPOSE: run_vitpose, STREAM.format(count): run(stream, count)}
        if turn % full_every == 0:
            parts[FULL.format(count)] = run(full, count)
        # Each goes first as often as the other.
        names = list(parts) if turn // len(steps) % 2 else list(parts)[::-1]
        if turn == 0:
            run_vitpose(job)
            run(StreamingPoser(model, pipeline, offsets), count)(job)
        taken = {}
        try:
            for name in names:
                start = time.process_time()
                parts[name](job)
                taken[name] = time.process_time() - start
        except KeyboardInterrupt:
            progress(f'stopped by the user after {index} frames')
            break
        for name in parts:
            times[name].append((taken[name], taken[VITPOSE]))
        turn += 1
        progress(f'frame {index + 1}/{frames}')

    rows = []
    for name in [VITPOSE, *(kind.format(s) for kind in (STREAM, FULL) for s in steps)]:
        if not times[name]:
            continue
        seconds, reference = zip(*times[name])
        ratios = [own / other for own, other in times[name]]
        rows.append(
            dict(
                path=name,
                frames=len(seconds),
                seconds=statistics.median(seconds),
                ratio=sum(seconds) / sum(reference),
                median=statistics.median(ratios),
                spread=quartiles(ratios),
            )
        )
        if name.startswith(STREAM.split(',')[0]):
            rows[-1].update(_shares(stream))
    return rows


def measure_accuracy(
    cfg: Config,
    checkpoint: str,
    mode: str = 'offline',
    jitter: float = 0.0,
    progress: Callable[[str], None] = lambda line: None,
) -> list[dict]:
    """PoseTrack AP with and without streaming, at the config's own test settings.

    Args:
        cfg: Its test data set has annotated boxes.
        checkpoint: Weights of its model.
        mode: 'offline' or 'causal'.
        jitter: Standard deviation of the noise on every side of every box, as a share of the
            box's size along it. The same noise for both paths.
        progress: Called with a line of text.

    Returns:
        list[dict]: Two rows, ``path``, the metrics of :class:`PoseTrackAP`, and for the stream
        ``renewed`` and ``passes`` as in :func:`measure_cost`.
    """
    init_default_scope('mmpose')
    model = init_model(cfg, str(checkpoint), device='cpu')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    offsets, pipeline = clip_offsets(cfg), Compose(cfg.test_dataloader.dataset.pipeline)
    full, stream = ClipPoser(model, pipeline), StreamingPoser(model, pipeline, offsets)
    posers = {'whole window': full, 'streaming': stream}
    metrics: dict[str, BaseMetric] = {}
    for path in posers:
        metrics[path] = METRICS.build(dict(type='PoseTrackAP', ann_file=dataset.ann_file))
        metrics[path].dataset_meta = dataset.metainfo
    totals: dict[str, int] = defaultdict(int)
    for number, steps in enumerate(annotated_videos(dataset, offsets, mode, jitter)):
        stream.state.reset()
        for jobs, infos in steps:
            for path, poser in posers.items():
                for sample, info in zip(poser(jobs), infos):
                    sample.set_metainfo(dict(id=info['id'], img_id=info['img_id']))
                    metrics[path].process([], [sample.to_dict()])
        for name in ('person_frames', 'renewals', 'backbone_passes'):
            totals[name] += getattr(stream.state, name)
        progress(f'video {number + 1}')
    for name, value in totals.items():
        setattr(stream.state, name, value)
    rows = [
        dict(path=path, **metric.compute_metrics(metric.results))
        for path, metric in metrics.items()
    ]
    rows[1].update(_shares(stream))
    return rows


def _shares(stream: StreamingPoser) -> dict[str, float]:
    state = stream.state
    return dict(
        renewed=state.renewals / state.person_frames,
        passes=state.backbone_passes / state.person_frames,
    )


def annotated_videos(
    dataset: torch.utils.data.Dataset, offsets: Sequence[int], mode: str, jitter: float
) -> Iterator[list[tuple[list[Job], list[dict]]]]:
    """By video, the jobs of every frame with people, and what the data set knows of them."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    rng = np.random.default_rng(0)
    for info in infos:
        sides = np.tile(info['bbox'][0, 2:] - info['bbox'][0, :2], 2)
        info['bbox'] = info['bbox'] + (jitter * sides * rng.standard_normal(4)).astype(np.float32)
    for folder, video in groupby(infos, key=lambda info: osp.dirname(info['img_path'])):
        people: dict[int, list[dict]] = defaultdict(list)
        for info in video:
            people[info['frame_number']].append(info)
        first, last = info['frame_range']
        extension = osp.splitext(info['img_path'])[1]
        digits = len(osp.splitext(osp.basename(info['img_path']))[0])
        paths = [f'{folder}/{n:0{digits}d}{extension}' for n in range(first, last + 1)]
        frames = [
            Frame(
                index,
                path,
                cv2.imread(path),
                people=[
                    Person(info['bbox'][0], 1.0, info['track_id']) for info in people[first + index]
                ],
            )
            for index, path in enumerate(paths)
        ]
        steps = []
        for window in iterate_windows(frames, offsets, mode):
            jobs = [(window, person) for person in window.frame.people]
            steps.append((jobs, people[first + window.frame_id]))
        yield steps


def format_cost(rows: list[dict]) -> str:
    """Markdown table of :func:`measure_cost`."""
    lines = [
        '| path | frames | ms | x ViTPose | median | quartiles | crop renewed | backbone passes |',
        '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ]
    for row in rows:
        low, high = row['spread']
        shares = f'{row["renewed"]:.3f} | {row["passes"]:.3f}' if 'passes' in row else ' | '
        lines.append(
            f'| {row["path"]} | {row["frames"]} | {row["seconds"] * 1e3:.0f} | {row["ratio"]:.3f} '
            f'| {row["median"]:.3f} | {low:.3f} {high:.3f} | {shares} |'
        )
    return '\n'.join(lines)


def format_accuracy(rows: list[dict]) -> str:
    """Markdown table of :func:`measure_accuracy`."""
    names = [name for name in rows[0] if name == 'AP' or name.startswith('AP (')]
    lines = [
        f'| path | {" | ".join(names)} | crop renewed | backbone passes |',
        f'| --- | {"---: | " * len(names)}---: | ---: |',
    ]
    for row in rows:
        shares = f'{row["renewed"]:.3f} | {row["passes"]:.3f}' if 'passes' in row else ' | '
        lines.append(
            f'| {row["path"]} | {" | ".join(f"{row[name]:.2f}" for name in names)} | {shares} |'
        )
    return '\n'.join(lines)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line."""
    style = dict(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser = argparse.ArgumentParser(description=__doc__, **style)
    commands = parser.add_subparsers(dest='command', required=True)
    cost = commands.add_parser('cost', help='time of a person-frame beside ViTPose', **style)
    cost.add_argument('config', nargs='?', default=str(CONFIG), help='random weights are used')
    cost.add_argument('--frames', type=int, default=300)
    cost.add_argument('--steps', type=int, nargs='+', default=[1, 4], metavar='S')
    cost.add_argument('--seed', type=int, default=6, help='of the walk')
    cost.add_argument(
        '--full-every',
        type=int,
        default=50,
        metavar='N',
        help='send the whole window of every N-th frame through the model, too, for comparison',
    )
    cost.add_argument('--video', type=Path, help='only write the walk to this .mp4 file')
    accuracy = commands.add_parser('accuracy', help='AP with and without streaming', **style)
    accuracy.add_argument('config', nargs='?', default=str(DEMO))
    accuracy.add_argument('checkpoint', nargs='?', default=str(DEMO_WEIGHTS))
    accuracy.add_argument('--data-root', help="in place of the config's")
    accuracy.add_argument('--mode', choices=['offline', 'causal'], default='offline')
    accuracy.add_argument(
        '--jitter', type=float, default=0.0, help="noise on the boxes' sides, share of the size"
    )
    for command in (cost, accuracy):
        command.add_argument('--json', type=Path, help='also write all numbers to this file')
    args = parser.parse_args(argv)
    if args.command == 'cost':
        for name in ('frames', 'full_every', 'steps'):
            if np.min(getattr(args, name)) < 1:
                parser.error(f'--{name.replace("_", "-")} must be at least 1')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Run a benchmark and print its table."""
    args = parse_args(argv)
    if args.command == 'cost' and args.video:
        write_walk(args.video, args.frames, args.seed)
        return
    # On one core processor time is the time that passes on an idle machine.
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = describe_run(argparse.Namespace(device='cpu', amp=None, compile=False, clock='cpu'))
    cfg = Config.fromfile(args.config)

    def progress(line: str) -> None:
        print(f'\r\033[K{args.command}: {line}', end='', file=sys.stderr, flush=True)

    if args.command == 'cost':
        rows = measure_cost(
            cfg, args.frames, args.steps, args.seed, args.full_every, progress=progress
        )
        table = format_cost(rows)
    else:
        if args.data_root:
            set_data_root(cfg, args.data_root)
        rows = measure_accuracy(cfg, args.checkpoint, args.mode, args.jitter, progress)
        table = format_accuracy(rows)
    print('\r\033[K', end='', file=sys.stderr, flush=True)
    print(', '.join(f'{key} {value}' for key, value in run.items()) + '\n\n' + table, flush=True)
    if args.json:
        args.json.write_text(json.dumps(dict(run=run, rows=rows), indent=1) + '\n')


if __name__ == '__main__':
    main()
