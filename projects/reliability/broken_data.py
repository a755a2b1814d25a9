"""Train and test on a data set that was damaged on purpose, and see that every damage is reported.

    python projects/reliability/broken_data.py --out work_dirs/broken_data --seed 0

Writes a synthetic PoseTrack, damages a copy of it (JPEGs cut at a random byte or overwritten,
missing files, files of zero bytes, videos whose frame numbers jump) and runs ``mim train`` and
``mim test`` on the copy. Only some frames of the validation are labelled there, so that first
neighbours alone and then keyframes too can be damaged. Exit status 0 if everything was as it
should be.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

CONFIG = 'diffpose_synthetic.py'
LABELLED_EVERY = 4
SHARES = dict(truncated=0.01, overwritten=0.01, empty=0.01, missing=0.05)
KIND_OF = dict(truncated='broken', overwritten='broken', empty='empty', missing='missing')
JUMP = 7
OPTIONS = (
    'train_dataloader.batch_size=8',
    'train_dataloader.num_workers=2',
    'train_dataloader.sampler.batch_size=8',
    'train_dataloader.sampler.num_workers=2',
    'val_dataloader.num_workers=2',
    'test_dataloader.num_workers=2',
    'model.test_cfg.flip_test=False',
    'default_hooks.checkpoint.interval=1',
    'train_cfg.val_interval=1',
)


class Checks:
    """What was expected, and whether it was so."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, what: str, passed: bool, seen: object = '') -> None:
        self.failed += not passed
        print(f'{"ok    " if passed else "FAILED"} {what}: {seen}', flush=True)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def label_some(root: Path) -> None:
    """Leave every fourth frame of the validation labelled; persons elsewhere are taken out."""
    path = root / 'annotations/posetrack18_val.json'
    content = read(path)
    for image in content['images']:
        image['is_labeled'] = int(Path(image['file_name']).stem) % LABELLED_EVERY == 0
    kept = {image['id'] for image in content['images'] if image['is_labeled']}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]
    path.write_text(json.dumps(content))


def let_numbers_jump(root: Path, split: str, video: str) -> set[str]:
    """Number the second half of a video later; returns the files that never were."""
    path = root / f'annotations/posetrack18_{split}.json'
    content = read(path)
    frames = [i for i in content['images'] if i['file_name'].split('/')[-2] == video]
    half = len(frames) // 2
    for image in reversed(frames[half:]):
        source = root / image['file_name']
        number = int(source.stem) + JUMP
        image['file_name'] = str(Path(image['file_name']).with_name(f'{number:06d}.jpg'))
        source.rename(root / image['file_name'])
    path.write_text(json.dumps(content))
    folder = (root / frames[0]['file_name']).parent
    return {str(folder / f'{half + n:06d}.jpg') for n in range(JUMP)}


def damage(path: Path, how: str, rng: np.random.Generator) -> None:
    if how == 'missing':
        path.unlink()
    elif how == 'empty':
        path.write_bytes(b'')
    elif how == 'overwritten':
        path.write_bytes(rng.bytes(path.stat().st_size))
    else:
        data = path.read_bytes()
        path.write_bytes(data[: rng.integers(1, len(data))])


def damage_shares(paths: list[Path], rng: np.random.Generator) -> dict[str, str]:
    """Damage shares of the files; returns the kind of each."""
    counts = {how: max(round(share * len(paths)), 1) for how, share in SHARES.items()}
    chosen = rng.permutation(len(paths))[: sum(counts.values())]
    hows = [how for how, count in counts.items() for _ in range(count)]
    for index, how in zip(chosen, hows):
        damage(paths[index], how, rng)
    return {str(paths[index]): KIND_OF[how] for index, how in zip(chosen, hows)}


def mim(log: Path, *args: str) -> tuple[int, str]:
    """Exit status and output of a mim command."""
    with open(log, 'w') as file:
        print(f'       mim {" ".join(args)}', flush=True)
        status = subprocess.run(
            [sys.executable, '-m', 'mim', *args], stdout=file, stderr=subprocess.STDOUT
        ).returncode
    return status, log.read_text(errors='replace')


def named(work_dir: Path, mode: str) -> dict[str, str]:
    """Files and kinds of the newest list of a run."""
    lists = sorted(work_dir.glob(f'*/frames_{mode}.txt'))
    lines = lists[-1].read_text().splitlines() if lists else []
    return {path: kind for kind, path, _ in (line.split('\t') for line in lines)}


def compare(check: Checks, what: str, found: dict[str, str], made: dict[str, str]) -> None:
    """All that was damaged is named with its kind, and nothing else."""
    kinds = ', '.join(f'{n} {kind}' for kind, n in sorted(Counter(made.values()).items()))
    wrong = {p: (made.get(p), found.get(p)) for p in made.keys() | found.keys()}
    wrong = {path: pair for path, pair in wrong.items() if pair[0] != pair[1]}
    check(what, not wrong, f'{kinds}' + (f'; (made, reported): {wrong}' if wrong else ''))


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/broken_data'))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train-videos', type=int, default=30)
    parser.add_argument('--val-videos', type=int, default=20)
    parser.add_argument('--frames', type=int, default=16)
    args = parser.parse_args(argv)
    out, check = args.out.resolve(), Checks()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    # One thread a process: two workers and the model share the cores.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    rng = np.random.default_rng(args.seed)

    whole, root = out / 'whole', out / 'damaged'
    status, _ = mim(
        out / 'synthesize.log', 'run', 'diffpose_mm', 'synthesize', '--out', str(whole),
        '--train-videos', str(args.train_videos), '--val-videos', str(args.val_videos),
        '--frames', str(args.frames), '--size', '192', '144', '--seed', str(args.seed),
    )  # fmt: skip
    check('data set written', status == 0)
    label_some(whole)
    shutil.copytree(whole, root)

    # The clips reach two frames to either side: of a jump, only its ends are met.
    made = {}
    for split in ('train', 'val'):
        videos = sorted((root / 'images' / split).iterdir())
        jumped = videos.pop()
        gaps = sorted(let_numbers_jump(root, split, jumped.name))
        paths = [path for video in videos for path in sorted(video.glob('*.jpg'))]
        if split == 'val':
            # Of the neighbours, those that a clip of (-2, 0, 2) meets; labelled ones are keyframes.
            paths = [p for p in paths if int(p.stem) % LABELLED_EVERY == LABELLED_EVERY // 2]
        met = {
            str(jumped / f'{int(path.stem) + offset:06d}.jpg')
            for path in jumped.glob('*.jpg')
            if split == 'train' or labelled(root, split, path)
            for offset in (-2, 2)
        }
        made[split] = {path: 'jump' for path in gaps if path in met} | damage_shares(paths, rng)
    (out / 'damage.json').write_text(json.dumps(made, indent=1))

    work = out / 'train'
    common = ('--data-root', str(root), '--cfg-options', *OPTIONS, 'train_cfg.max_epochs=2')
    status, text = mim(
        out / 'train.log', 'train', 'diffpose_mm', CONFIG, '--work-dir', str(work), *common
    )
    check('training with validation ends', status == 0, f'exit status {status}')
    show(text)
    compare(check, 'training names every file', named(work, 'train'), made['train'])
    compare(check, 'validation names every neighbour', named(work, 'val'), made['val'])
    warned = len(set(re.findall(r'LoadClip: frame (\S+)', text)))
    check('a bounded number of warnings', 0 < warned <= 20 * 4, f'{warned} files in the log')

    checkpoint = str(work / 'epoch_2.pth')
    aps = {}
    for name, data in (('whole', whole), ('damaged', root)):
        status, text = mim(
            out / f'test_{name}.log', 'test', 'diffpose_mm', CONFIG, '--checkpoint', checkpoint,
            '--work-dir', str(out / f'test_{name}'), '--out', str(out / f'{name}.json'),
            '--data-root', str(data), '--cfg-options', *OPTIONS,
        )  # fmt: skip
        check(f'test on the {name} data ends', status == 0, f'exit status {status}')
        show(text)
        aps[name] = read(out / f'{name}.json')['posetrack/AP']
    compare(check, 'test names every neighbour', named(out / 'test_damaged', 'test'), made['val'])
    check('nothing is reported of the whole data', not named(out / 'test_whole', 'test'))
    print(f'       posetrack/AP whole {aps["whole"]:.2f}, neighbours damaged {aps["damaged"]:.2f}')

    frames = sorted((root / 'images/val').glob('*/*.jpg'))
    keyframes = [path for path in frames if labelled(root, 'val', path)]
    hows = ('truncated', 'overwritten', 'empty', 'missing')
    broken = {}
    for index, how in zip(rng.permutation(len(keyframes)), hows):
        damage(keyframes[index], how, rng)
        broken[str(keyframes[index])] = KIND_OF[how]
    work = out / 'test_keyframes'
    status, text = mim(
        out / 'test_keyframes.log', 'test', 'diffpose_mm', CONFIG, '--checkpoint', checkpoint,
        '--work-dir', str(work), '--out', str(out / 'keyframes.json'),
        '--data-root', str(root), '--cfg-options', *OPTIONS,
    )  # fmt: skip
    check('test with broken keyframes refuses', status != 0, f'exit status {status}')
    check('... and gives no metric', not (out / 'keyframes.json').exists() and 'AP (' not in text)
    check('... and names them', all(path in text for path in broken), f'{len(broken)} files')
    compare(check, '... all in its list', named(work, 'test'), broken)
    work = out / 'train_keyframes'
    status, text = mim(
        out / 'train_keyframes.log', 'train', 'diffpose_mm', CONFIG, '--work-dir', str(work),
        *common[:-1], 'train_cfg.max_epochs=1',
    )  # fmt: skip
    check('training with broken keyframes in the validation ends', status == 0, f'status {status}')
    reported = 'No validation: 4 keyframes cannot be read' in text
    check('... without a metric, and says so', reported and 'posetrack/AP:' not in text)
    check('... with its checkpoint', (work / 'epoch_1.pth').exists())
    print(f'{check.failed} checks failed')
    return int(check.failed > 0)


_LABELLED: dict[tuple[Path, str], set[str]] = {}


def labelled(root: Path, split: str, path: Path) -> bool:
    """Whether a frame is a keyframe."""
    if (root, split) not in _LABELLED:
        images = read(root / f'annotations/posetrack18_{split}.json')['images']
        _LABELLED[root, split] = {i['file_name'] for i in images if i['is_labeled']}
    return str(path.relative_to(root)) in _LABELLED[root, split]


def show(text: str) -> None:
    """The lines in which clips were counted."""
    for line in text.splitlines():
        if 'Clips (' in line:
            print(f'       {line.split(" - ")[-1]}')


if __name__ == '__main__':
    sys.exit(main())
