"""What a frame costs: to decode, to find its people, to pose one of them; what docs/scale.md needs.

    python projects/archive/per_frame.py walk.mp4 [--device cuda:0] [--frames 200]

Prints milliseconds, by the clock and of the processor. On a GPU, run it with --batch-size 32 or
more, and alone.
"""

import argparse
import json
import time
from itertools import islice

import torch

from diffpose_mm.apis import pipeline
from diffpose_mm.apis.windows import Frame
from diffpose_mm.archive.engine import model_engine
from diffpose_mm.archive.stages import tracker_of
from diffpose_mm.video_reader import VideoReader


def timed(work, device):
    """Milliseconds by the clock and of this process's processor time, and what the work gave."""
    start, busy = time.perf_counter(), time.process_time()
    found = work()
    if device.startswith('cuda'):
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start), 1e3 * (time.process_time() - busy), found


def plan(costs, hours, fps, people, processors, decodings):
    """What an archive comes to, in lines; docs/scale.md has the formulas.

    Args:
        costs: decode, find, pose to (by the clock, of the processor), milliseconds.
        hours, fps, people, processors, decodings: See the help of the options.
    """
    frames = 3600 * fps * hours
    decode = decodings * costs['decode'][1] / 1e3
    model = (costs['find'][1] + people * costs['pose'][1]) / 1e3
    limit = processors / decode
    yield f'{frames:.3g} frames'
    yield f'decoding: {frames * decode / 3600:.3g} hours of one processor'
    yield f'model, on this device: {frames * model / 3600:.3g} hours of one processor'
    yield (
        f'{processors} processors decode {limit:.0f} frames/s: a GPU that poses more of them waits '
        f'for the decoder, at {frames / limit / 3600:.3g} GPU hours or more for the archive'
    )
    for count in (8, 64, 512):
        yield f'{count} GPUs, bound by decoding: {frames / limit / count / 86400:.3g} days'


def main(argv=None):
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('video')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--frames', type=int, default=100)
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--det-model', default='movenet-multipose')
    parser.add_argument('--hours', type=float, default=1e6, help='of the archive')
    parser.add_argument('--fps', type=float, default=25)
    parser.add_argument('--people', type=float, default=1, help='in a frame')
    parser.add_argument('--processors', type=int, default=20, help='that a GPU comes with')
    parser.add_argument('--decodings', type=float, default=1, help='of a frame; 2 where it is cut')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    decoded = timed(lambda: list(islice(VideoReader(args.video), args.frames)), 'cpu')
    shots = [shot for shot in decoded[2] if shot.image is not None]
    options = dict(batch_size=args.batch_size, streaming=True)
    engine = model_engine(device=args.device, det_model=args.det_model, options=options)
    settings = engine.settings

    def find(count):
        frames = [Frame(s.number, f'{s.number:06d}.jpg', s.image, s.time) for s in shots[:count]]
        return list(pipeline.with_people(frames, engine.finder, args.batch_size))

    def pose(frames):
        windows = pipeline.windowed(
            pipeline.tracked(frames, tracker_of(settings)), settings.offsets, settings.mode
        )
        results = pipeline.posed(
            windows, engine.make_poser(None), args.batch_size, settings.mode, engine.keypoints
        )
        return sum(len(result.samples) for result in results)

    pose(find(args.batch_size))  # warm
    found = timed(lambda: find(len(shots)), args.device)
    posed = timed(lambda: pose(found[2]), args.device)
    each = dict(
        decode=[value / len(decoded[2]) for value in decoded[:2]],
        find=[value / len(shots) for value in found[:2]],
        pose=[value / max(posed[2], 1) for value in posed[:2]],
    )
    print(
        json.dumps(
            dict(
                milliseconds={k: [round(v, 2) for v in values] for k, values in each.items()},
                size=list(shots[0].image.shape[1::-1]),
                frames=len(shots),
                people=round(posed[2] / len(shots), 2),
                device=args.device,
                threads=args.threads,
                batch_size=args.batch_size,
            )
        )
    )
    told = (args.hours, args.fps, args.people, args.processors, args.decodings)
    print('\n'.join(plan(each, *told)))


if __name__ == '__main__':
    main()
