"""Processor time of a streamed person-frame by torch and by exported models, one thread.

Random or given weights, one person whose crop is held, causal, no flip test; median of the frames
after the first window.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from diffpose_mm.apis import DiffPoseInferencer, FrameWindows, StreamingPoser
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.tools import export
from diffpose_mm_runtime import Person, StreamingExportedPoser
from diffpose_mm_runtime.windows import as_frame


def times(poser, offsets, frames):
    """Milliseconds of processor time of each frame but those of the first window."""
    windows, spent = FrameWindows(offsets, 'causal'), []
    generator = np.random.default_rng(0)
    for index in range(frames + len(offsets)):
        frame = as_frame(generator.integers(0, 256, (240, 320, 3), dtype=np.uint8), index)
        frame.people = [Person(np.float32([100, 20, 190, 220]), 1.0, 0)]
        (window,) = windows.push(frame)
        start = time.process_time()
        poser([(window, frame.people[0])])
        spent.append(1000 * (time.process_time() - start))
    return spent[len(offsets) :]


def main():
    parser = argparse.ArgumentParser(prog='engines', description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--checkpoint', help='default: random weights')
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 4])
    parser.add_argument('--hypotheses', type=int, nargs='+', default=[1])
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = args.checkpoint
        if checkpoint is None:
            first = DiffPoseInferencer(args.config, device='cpu', det_model='whole_image')
            checkpoint = str(Path(folder) / 'random.pth')
            torch.save(dict(state_dict=first.model.state_dict(), meta={}), checkpoint)
            del first
        inferencer = DiffPoseInferencer(
            args.config, checkpoint, device='cpu', det_model='whole_image'
        )
        exported = Path(folder) / 'exported'
        export.main([args.config, '--checkpoint', checkpoint, '--out', str(exported)])
        model, offsets = inferencer.model, clip_offsets(inferencer.cfg)
        rows = []
        for steps in args.steps:
            for hypotheses in args.hypotheses:
                settings = dict(sampling_steps=steps, num_hypotheses=hypotheses, flip_test=False)
                cfg = {**model.test_cfg, **settings}
                posers = dict(
                    torch=StreamingPoser(model, inferencer.pipeline, offsets, test_cfg=cfg)
                )
                for engine in ('onnxruntime', 'openvino'):
                    posers[engine] = StreamingExportedPoser(exported, engine, 1, **settings)
                for name, poser in posers.items():
                    median = statistics.median(times(poser, offsets, args.frames))
                    rows.append(f'| {name} | {steps} | {hypotheses} | {median:.1f} |')
    print('| engine | steps S | hypotheses | ms of a streamed person-frame |\n|---|---:|---:|---:|')
    print('\n'.join(rows))


if __name__ == '__main__':
    main()
