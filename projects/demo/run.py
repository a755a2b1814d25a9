"""The whole main job at small scale: ``make demo``.

Writes a synthetic PoseTrack, trains the small DiffPose from random weights, tests it, draws what it
does, and tests the checkpoints that come with the repository on the same clips. Everything goes
through mim, as a user would do it. Exit status 0 if all thresholds are met.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path('data/demo')
OUT = Path('work_dirs/demo')
CONFIG = 'configs/diffpose_synthetic.py'
BASELINE_CONFIG = 'configs/heatmap_synthetic.py'
SHIPPED_CHECKPOINT = Path('projects/demo/checkpoints/diffpose_synthetic.pth')
BASELINE_CHECKPOINT = Path('projects/demo/checkpoints/heatmap_synthetic.pth')

# The job, cut to fit 15 minutes on two cores. As the paper starts from a backbone trained on
# images, so does this: a frame costs a third of a clip, and most there is to learn is in it.
VIDEOS = dict(train=400, val=40, frames=16)
FRAME_EPOCHS = 2
CLIP_EPOCHS = 1
CLIP_LR = 1.5e-3

SCRATCH_AP = 40
SHIPPED_AP = 75
METRIC = 'posetrack/AP'
TITLE = 'PoseTrack AP (%)'
SCRATCH = 'DiffPose, trained just now'
SHIPPED = 'DiffPose, shipped'
BASELINE = 'single-frame baseline, shipped'

SHOWN = re.compile(r'Epoch\((train|test)\)(?!.*posetrack/)|^\||PoseTrack AP|Clips \(')
START = time.monotonic()


def say(text: str) -> None:
    """Print with the minutes since the start."""
    print(f'[demo {(time.monotonic() - START) / 60:4.1f} min] {text}', flush=True)


def mim(*args: str, log: Path | None = None) -> None:
    """Run a mim command, showing its progress and keeping all it says.

    Args:
        args: What comes after ``mim``.
        log: File for the output; without one the output goes to the terminal.

    Raises:
        RuntimeError: If the command fails.
    """
    command = [sys.executable, '-m', 'mim', *args]
    print('  $ mim ' + ' '.join(args), flush=True)
    if log is None:
        done = subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError('\n'.join([f'mim {args[0]} failed:', *last_words(done.stderr)]))
        return
    # One core computes and the other loads: two threads that wait for each other beside a loader
    # were slower, and many times slower on a machine that does other work.
    env = dict(os.environ, PYTHONUNBUFFERED='1', OMP_NUM_THREADS='1')
    lines = []
    with (
        open(log, 'w') as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            text=True,
            errors='replace',
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        for line in process.stdout:
            file.write(line)
            file.flush()
            lines.append(line.rstrip())
            if SHOWN.search(line):
                print('    ' + shorten(line), flush=True)
    if process.returncode:
        tail = last_words('\n'.join(lines))
        raise RuntimeError('\n'.join([f'mim {args[0]} failed; from {log}:', *tail]))


def last_words(output: str) -> list[str]:
    """The end of what a failed command said, without mim's own traceback after it."""
    said = output.partition('Traceback (most recent call last):\n  File "<frozen runpy>"')[0]
    return [line for line in said.splitlines() if line.strip()][-8:]


def shorten(line: str) -> str:
    """Leave out of a log line what is of no interest here."""
    line = line.strip().rpartition(' - INFO - ')[2]
    return re.sub(r'\s+(base_lr|lr|data_time|time|grad_norm|loss_kpt): \S+', '', line)


def write_data() -> None:
    """Write the synthetic PoseTrack, or go on with one begun with the same arguments."""
    sizes = ('--train-videos', VIDEOS['train'], '--val-videos', VIDEOS['val'])
    args = ['--out', DATA, *sizes, '--frames', VIDEOS['frames']]
    args = ['run', 'diffpose_mm', 'synthesize', *map(str, args)]
    try:
        mim(*args)
    except RuntimeError as error:
        if 'which is not the' not in str(error):
            raise
        say(f'{DATA} is of another version of the generator, and is written anew')
        shutil.rmtree(ROOT / DATA)
        mim(*args)


def train(name: str, config: str, epochs: int, *options: str) -> Path:
    """Train a config for some epochs without validation; returns the last checkpoint."""
    work_dir = OUT / name
    shutil.rmtree(ROOT / work_dir, ignore_errors=True)
    (ROOT / work_dir).mkdir(parents=True)
    settings = [f'train_cfg.max_epochs={epochs}', *options]
    settings += [f'param_scheduler.1.{key}={epochs}' for key in ('T_max', 'end')]
    settings += ['default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=1']
    mim(
        'train',
        'diffpose_mm',
        config,
        f'--work-dir={work_dir}',
        f'--data-root={DATA}',
        '--amp',
        '--no-validate',
        '--cfg-options',
        *settings,
        log=ROOT / OUT / f'{name}.log',
    )
    return Path((ROOT / work_dir / 'last_checkpoint').read_text().strip()).resolve()


def test(name: str, config: str, checkpoint: Path) -> dict:
    """Test a checkpoint on the held-out clips; returns the metrics."""
    result = ROOT / OUT / f'{name}.json'
    result.unlink(missing_ok=True)
    mim(
        'test',
        'diffpose_mm',
        config,
        '--checkpoint',
        str(checkpoint),
        f'--work-dir={OUT / "test"}',
        f'--data-root={DATA}',
        f'--out={result}',
        log=ROOT / OUT / f'{name}.log',
    )
    return json.loads(result.read_text())


def draw(checkpoints: dict[str, Path]) -> None:
    """Draw the pictures of the demo into the output folder."""
    from pictures import draw_curve, draw_denoising, draw_poses, load

    draw_curve(str(OUT / 'training_curve.png'), str(OUT / 'train'))
    for name, checkpoint in checkpoints.items():
        model, dataset = load(CONFIG, str(checkpoint), str(DATA))
        draw_poses(str(OUT / f'poses_{name}.png'), model, dataset)
        draw_denoising(str(OUT / f'denoising_{name}.png'), model, dataset)
    for picture in sorted(OUT.glob('*.png')):
        print(f'    {picture}')


def table(rows: dict[str, dict]) -> str:
    """Lay out PoseTrack AP by joint group, one model a row."""
    groups = ('Head', 'Shou', 'Elb', 'Wri', 'Hip', 'Knee', 'Ankl')
    width = max(map(len, [*rows, TITLE]))
    lines = [f'{TITLE:{width}} ' + ''.join(f'{group:>7}' for group in (*groups, 'Mean'))]
    for name, metrics in rows.items():
        values = [metrics[f'posetrack/{group} AP'] for group in groups] + [metrics[METRIC]]
        lines.append(f'{name:{width}} ' + ''.join(f'{value:7.1f}' for value in values))
    return '\n'.join(lines)


def main() -> int:
    """Run the demo; returns the exit status."""
    os.chdir(ROOT)
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob('*.png'):
        old.unlink()
    rows, checks = {}, {}

    say(f'1/5 synthetic PoseTrack: {VIDEOS["train"]} training and {VIDEOS["val"]} held-out videos')
    write_data()

    say(f'2/5 training from random weights: {FRAME_EPOCHS} epochs of the single-frame baseline')
    frames = train('train_frames', BASELINE_CONFIG, FRAME_EPOCHS)
    say(f'2/5 training DiffPose on clips from its backbone and neck: {CLIP_EPOCHS} epoch')
    options = (f'load_from={frames}', f'optim_wrapper.optimizer.lr={CLIP_LR}')
    trained = train('train', CONFIG, CLIP_EPOCHS, *options)
    say('3/5 testing it on the held-out clips')
    rows[SCRATCH] = test('scratch', CONFIG, trained)
    print(table(rows))
    checks[f'{SCRATCH}: AP at least {SCRATCH_AP}'] = rows[SCRATCH][METRIC] >= SCRATCH_AP

    say('4/5 testing the checkpoints that come with the repository on the same clips')
    try:
        rows[SHIPPED] = test('shipped', CONFIG, SHIPPED_CHECKPOINT)
        rows[BASELINE] = test('baseline', BASELINE_CONFIG, BASELINE_CHECKPOINT)
    except (RuntimeError, OSError) as error:
        say(str(error))
    ap = {name: metrics[METRIC] for name, metrics in rows.items()}
    checks[f'{SHIPPED}: AP at least {SHIPPED_AP}'] = ap.get(SHIPPED, 0) >= SHIPPED_AP
    checks[f'{SHIPPED}: above the baseline'] = ap.get(SHIPPED, 0) > ap.get(BASELINE, 100)

    say('5/5 pictures')
    drawn = dict(trained=trained)
    if SHIPPED in rows:
        drawn['shipped'] = SHIPPED_CHECKPOINT
    try:
        draw(drawn)
        checks['pictures written'] = True
    except Exception:
        # The results matter more than their pictures.
        traceback.print_exc()
        checks['pictures written'] = False

    print(
        f'\n{table(rows)}\n\n(Boxes are ground truth; the flags of the joints: see {OUT}/*.log.)\n'
    )
    for text, passed in checks.items():
        print(f'  {"pass" if passed else "FAIL"}  {text}')
    passed = all(checks.values())
    say('passed' if passed else 'FAILED')
    return 0 if passed else 1


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (RuntimeError, OSError) as error:
        say(f'FAILED: {error}')
        sys.exit(1)
