"""Test and train with one process and with more, by ``mim``, and compare to the last digit.

    python projects/reliability/two_processes.py --data-root data/synthetic --out work_dirs/two

The test: the shipped checkpoint on a number of samples that the processes do not divide, in batches
of one and as configured. The training: ten steps with a batch of 16, and of 8 in each of two
processes. There nothing may be random but what the head draws, and the batch statistics of the
backbone are held still, as each process has those of its own part.
Exit status 0 if metrics are the same and weights agree within 1e-4.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from diffpose_mm.engine import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'diffpose_synthetic.py'
CHECKPOINT = ROOT / 'projects/demo/checkpoints/diffpose_synthetic.pth'
STEPS, TOLERANCE = 10, 1e-4
TESTED = """
_base_ = [{config!r}]
model = dict(test_cfg=dict(num_hypotheses=2))
test_dataloader = dict(batch_size={batch}, dataset=dict(indices={samples}))
test_evaluator = [
    dict(type='PoseTrackAP', outfile_prefix={folder!r} + '/any'), dict(type='HypothesisQuality')]
"""
TRAINED = """
_base_ = [{config!r}]
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=(96, 128), use_udp=True),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackClipInputs'),
]
model = dict(backbone=dict(norm_eval=True))
train_cfg = dict(max_epochs=1)
train_dataloader = dict(
    batch_size={batch},
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(indices={samples}, pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = None
default_hooks = dict(checkpoint=dict(interval=1, by_epoch=False, max_keep_ckpts=-1))
"""


def mim(command: str, processes: int, folder: Path, config: str, *arguments: str) -> None:
    """Run a tool by mim in some processes; its output goes to a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'run.py'
    path.write_text(config)
    launcher = ['--launcher', 'pytorch', '--gpus', str(processes)] if processes > 1 else []
    with open(folder / 'output.txt', 'w') as file:
        subprocess.run(
            [sys.executable, '-m', 'mim', command, 'diffpose_mm', str(path), *arguments]
            + [*launcher, '--work-dir', str(folder)],
            cwd=ROOT, stdout=file, stderr=file, check=True,
        )  # fmt: skip


def scored(out: Path, data: list[str], processes: int, batch: int, samples: int) -> tuple:
    """Metrics, and the submission's numbers in order."""
    folder = out / f'test_{batch}x{processes}'
    submission = folder / 'submission'
    config = TESTED.format(config=str(CONFIG), batch=batch, samples=samples, folder=str(submission))
    more = ['--checkpoint', str(CHECKPOINT), '--out', str(folder / 'metrics.json'), *data]
    mim('test', processes, folder, config, *more)
    numbers = []
    for file in sorted(submission.glob('*.json')):
        for person in json.loads(file.read_text())['annotations']:
            numbers += [*person['keypoints'], *person['scores']]
    return json.loads((folder / 'metrics.json').read_text()), numbers


def compare_tests(out: Path, data: list[str], samples: int, several: list[int]) -> bool:
    """Whether several processes give the metrics of one."""
    same = True
    for batch in (1, 32):
        metrics, numbers = scored(out, data, 1, batch, samples)
        for processes in several:
            others, other_numbers = scored(out, data, processes, batch, samples)
            differ = [key for key in metrics if metrics[key] != others.get(key)]
            largest = max(abs(a - b) for a, b in zip(numbers, other_numbers))
            print(
                f'| {samples} samples, batch {batch} | {processes} | {len(metrics)} metrics, '
                f'differing: {differ or "none"}; AP {metrics["posetrack/AP"]} | {len(numbers)} '
                f'numbers predicted, largest difference {largest:.1e} |',
                flush=True,
            )
            same &= len(numbers) == len(other_numbers)
            same &= not [key for key in differ if key.startswith('posetrack') or batch == 1]
    return same


def compare_trainings(out: Path, data: list[str]) -> bool:
    """Whether two processes with half the batch have the weights of one, after each step."""
    folders = []
    for processes in (1, 2):
        folders.append(out / f'train_{processes}')
        config = TRAINED.format(config=str(CONFIG), batch=16 // processes, samples=16 * STEPS)
        mim('train', processes, folders[-1], config, '--no-validate', *data)
    largest = 0.0
    for step in range(1, STEPS + 1):
        one, two = (read_checkpoint(str(f / f'iter_{step}.pth'))['state_dict'] for f in folders)
        apart = max(float((one[key] - two[key]).abs().max()) for key in one)
        largest = max(largest, apart)
        if step == 1:
            first = one
    moved = max(float((one[key] - first[key]).abs().max()) for key in one)
    print(f'| {STEPS} steps | 2 | weights moved {moved:.1e}, at most {largest:.1e} apart |')
    return largest <= TOLERANCE < moved


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data-root', required=True, help='a synthetic data set')
    parser.add_argument('--out', required=True, type=Path, help='folder of all runs')
    parser.add_argument('--samples', type=int, default=203, help='that are tested')
    parser.add_argument(
        '--processes', type=int, nargs='+', default=[2, 3], help='of the tests, beside one'
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    data, out = ['--data-root', args.data_root], args.out.absolute()
    same = compare_trainings(out, data)
    same &= compare_tests(out, data, args.samples, args.processes)
    raise SystemExit(0 if same else 1)


if __name__ == '__main__':
    main()
