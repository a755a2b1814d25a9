"""A streamed person-frame by engine, precision and merge, beside single-frame ViTPose.

    python projects/benchmark/engines.py                    # ViT-B 256x192, 300 frames
    python projects/benchmark/engines.py --frames 60 --engines openvino:bfloat16 --merges paper

One person who walks through a synthetic video (walk.py), live, one thread, flip test off, random
weights; every path sees every frame and takes its turn. Processor time from the frame and its box
to the keypoints, as a ratio to ViTPose in eager float32 on the same frame; steps S and hypotheses N
change from frame to frame. README.md beside this file holds the results.
"""

import argparse
import functools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from timing import describe_run, quartiles
from vitpose import build_vitpose
from walk import walking_person

from diffpose_mm.apis import ClipPoser, DiffPoseInferencer, FrameWindows, StreamingPoser
from diffpose_mm.apis.precision import set_precision
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.exporting.quantising import quantise
from diffpose_mm.exporting.writing import export_part
from diffpose_mm.tools import export
from diffpose_mm_runtime import ExportedPoser, Person, StreamingExportedPoser
from diffpose_mm_runtime.engines import load_part
from diffpose_mm_runtime.windows import as_frame

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/diffpose_posetrack18.py'
MERGES = {
    'paper': {},
    'keyframe queries': dict(type='KeyframeQueryNeck', num_layers=2),
    'joint queries': dict(type='JointQueryNeck', num_layers=2),
}
ENGINES = (
    'torch:float32',
    'torch:bfloat16',
    'onnxruntime:float32',
    'openvino:float32',
    'openvino:bfloat16',
    'onnxruntime:int8',
    'openvino:int8',
)
CALIBRATION_FRAMES = 64
"""Of another walk, on which int8 learns its ranges."""
SETTINGS = ((1, 1), (4, 1), (4, 10))
"""S and N of the frames in turn."""
WHOLE_EVERY = 10
REFERENCE = 'ViTPose, torch:float32'


@functools.cache
def other_walk():
    """Images and boxes of the walk that int8 learns its ranges on."""
    return list(walking_person(CALIBRATION_FRAMES, seed=7))


def resident():
    """MiB of memory that this process holds."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * 4096 / 2**20


class SingleFrame:
    """ViTPose on one frame, its network by torch or by an engine."""

    def __init__(self, cfg, meta, engine, precision, folder):
        torch.manual_seed(0)
        self.model, self.pipeline = build_vitpose(cfg)
        self.model.dataset_meta = meta
        self.part = None
        if engine == 'torch':
            set_precision(self.model, precision)
            return

        class Network(torch.nn.Module):
            def __init__(self, model):
                super().__init__()
                self.backbone, self.head = model.backbone, model.head

            def forward(self, crops):
                return self.head.forward(self.backbone(crops))

        rounded = precision == 'int8'
        ending = 'onnx' if engine == 'onnxruntime' else 'xml'
        path = Path(folder) / f'vitpose{"-int8" if rounded else ""}.{ending}'
        if not path.exists():
            width, height = cfg.model.head.decoder.input_size
            change = self.round if rounded else None
            export_part(
                Network(self.model).eval(), (torch.randn(2, 3, height, width),), path, change
            )
        self.part = load_part(path, engine, 1, 'float32' if rounded else precision)

    def round(self, path):
        """Make a file of it int8, with ranges of another walk."""
        crops = [
            self.model.data_preprocessor(self.batch(image, box), False)['inputs'].numpy()[0]
            for image, box in other_walk()
            if box is not None
        ]
        quantise(path, np.stack(crops))

    def batch(self, image, box):
        """A person of an image, as the model takes it."""
        data = dict(
            img=image,
            img_path='',
            bbox=np.float32(box)[None],
            bbox_score=np.ones(1, np.float32),
            **self.model.dataset_meta,
        )
        return pseudo_collate([self.pipeline(data)])

    @torch.no_grad()
    def __call__(self, frame, person):
        """Keypoints of a person of a frame."""
        batch = self.batch(frame.image, person.box)
        if self.part is None:
            return self.model.test_step(batch)
        inputs = self.model.data_preprocessor(batch, False)['inputs'].numpy()
        return self.model.head.decoder.decode(self.part(inputs)[0][0])


class Paths:
    """All paths of a run, each a function of a window and a person."""

    def __init__(self, cfg, args, folder):
        self.calls, self.memory = {}, {}
        self.cfg, self.args, self.folder = cfg, args, folder
        engines = [tuple(name.split(':')) for name in args.engines]
        first = self.model_of('paper')
        self.offsets, meta = clip_offsets(first.cfg), first.model.dataset_meta
        for engine, precision in [('torch', 'float32'), *engines]:
            name = f'ViTPose, {engine}:{precision}'
            if name not in self.calls:
                single = self.loaded(
                    name, lambda e=engine, p=precision: SingleFrame(cfg, meta, e, p, folder)
                )
                self.calls[name] = lambda w, p, s=single: s(w.frame, p)
        for merge in args.merges:
            inferencer = first if merge == 'paper' else self.model_of(merge)
            for engine, precision in engines:
                self.add(merge, inferencer, engine, precision)

    def model_of(self, merge):
        """The model of a merge, with random weights, which stand in the folder as well."""
        cfg = Config.fromfile(self.args.config)
        cfg.model.neck.update(MERGES[merge])
        if merge != 'paper' and merge != 'keyframe queries':
            cfg.model.neck.update(num_keypoints=cfg.model.head.out_channels)
        cfg.model.backbone.pop('init_cfg', None)
        name = merge.replace(' ', '-')
        cfg.dump(self.folder / f'{name}.py')
        torch.manual_seed(0)
        inferencer = DiffPoseInferencer(cfg, device='cpu', det_model='whole_image')
        path = self.folder / f'{name}.pth'
        torch.save(dict(state_dict=inferencer.model.state_dict(), meta={}), path)
        return inferencer

    def loaded(self, name, make):
        """What `make` gives; what memory it took is noted."""
        before = resident()
        made = make()
        self.memory[name] = resident() - before
        return made

    def add(self, merge, inferencer, engine, precision):
        """The stream of a merge by an engine, and its whole window."""
        name = f'{merge}, {engine}:{precision}'
        if engine == 'torch':
            if precision != 'float32':
                inferencer = self.model_of(merge)
                set_precision(inferencer.model, precision)
            cfg = dict(inferencer.model.test_cfg, flip_test=False)
            arguments = (inferencer.model, inferencer.pipeline)
            stream = StreamingPoser(*arguments, self.offsets, test_cfg=cfg)
            whole = ClipPoser(*arguments, cfg)
        else:
            kind = 'onnx' if engine == 'onnxruntime' else 'openvino'
            short = merge.replace(' ', '-')
            rounded = precision == 'int8'
            out = self.folder / f'{short}-{kind}{"-int8" if rounded else ""}'
            if not out.exists():
                config, weights = (self.folder / f'{short}.{end}' for end in ('py', 'pth'))
                export.main([
                    str(config), '--checkpoint', str(weights), '--out', str(out),
                    '--format', kind, '--bound', '1', *(self.calibration() if rounded else ()),
                ])  # fmt: skip
            options = dict(precision='float32' if rounded else precision, flip_test=False)
            stream = self.loaded(name, lambda: StreamingExportedPoser(out, engine, 1, **options))
            whole = None
            if merge == 'paper':
                whole = ExportedPoser(out, engine, 1, **options)
        self.calls[name] = lambda w, p: self.run(stream, w, p)
        if whole is not None and merge == 'paper':
            self.calls[f'{name}, whole window'] = lambda w, p: self.run(whole, w, p)

    def calibration(self):
        """What an export in int8 is told: a walk that is not the measured one, and its boxes."""
        video, boxes = self.folder / 'other_walk', self.folder / 'other_walk.json'
        if not boxes.exists():
            video.mkdir()
            found = []
            for index, (image, box) in enumerate(other_walk()):
                cv2.imwrite(str(video / f'{index:04d}.png'), image)
                found.append([] if box is None else [box.tolist()])
            boxes.write_text(json.dumps(found))
        return '--precision', 'int8', '--calibration', str(video), '--boxes', str(boxes)

    def run(self, poser, window, person):
        """One call with the settings of the frame."""
        poser.test_cfg.update(self.settings)
        return poser([(window, person)])


def measure(paths, frames):
    """Seconds by path and setting, each with ViTPose's on the same frame."""
    windows = FrameWindows(paths.offsets, 'causal')
    times = defaultdict(list)
    turn = 0
    for index, (image, box) in enumerate(walking_person(frames, (640, 480), 6)):
        frame = as_frame(image, index)
        frame.people = [] if box is None else [Person(np.float32(box), 1.0, 0)]
        (window,) = windows.push(frame)
        if box is None:
            continue
        steps, count = SETTINGS[turn % len(SETTINGS)]
        paths.settings = dict(sampling_steps=steps, num_hypotheses=count)
        names = [
            n for n in paths.calls
            if not n.endswith('whole window') or (turn % WHOLE_EVERY == 0)
        ]  # fmt: skip
        taken = {}
        for name in names if turn % 2 else names[::-1]:
            start = time.process_time()
            paths.calls[name](window, frame.people[0])
            taken[name] = time.process_time() - start
        turn += 1
        if turn <= len(paths.offsets):
            continue  # the first windows fill the memory of the streams
        for name, seconds in taken.items():
            setting = '' if name.startswith('ViTPose') else f'S={steps} N={count}'
            times[name, setting].append((seconds, taken[REFERENCE]))
        print(f'frame {index + 1}/{frames}', end='\r', flush=True)
    return times


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog='engines', description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default=str(CONFIG))
    parser.add_argument('--frames', type=int, default=300)
    parser.add_argument('--engines', nargs='+', choices=ENGINES, default=list(ENGINES))
    parser.add_argument('--merges', nargs='+', choices=list(MERGES), default=list(MERGES))
    args = parser.parse_args()
    args.device, args.amp, args.compile, args.clock = 'cpu', None, False, 'cpu'
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Config.fromfile(args.config), args, Path(folder))
        times = measure(paths, args.frames)
    print(describe_run(args))
    print('| path | | frames | ms | x ViTPose | quartiles | MiB when loaded |')
    print('|---|---|---:|---:|---:|---:|---:|')
    for (name, setting), taken in sorted(times.items(), key=lambda item: item[0]):
        ratios = [own / other for own, other in taken]
        low, high = quartiles(ratios)
        memory = f'{paths.memory[name]:.0f}' if name in paths.memory else ''
        median = 1000 * statistics.median(own for own, _ in taken)
        print(
            f'| {name} | {setting} | {len(taken)} | {median:.0f} | {statistics.median(ratios):.2f} '
            f'| {low:.2f} {high:.2f} | {memory} |'
        )


if __name__ == '__main__':
    main()
