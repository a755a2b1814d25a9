"""Old and new inference side by side: same frames, people, tracks and poses, and the time of each.

The old package is taken out of this repository's history into a temporary folder. Each way to run
(offline, causal, streaming, resumed, given boxes, a detector, the whole image, OKS tracking,
hypotheses) goes over every video with both. Kept until the next release.

    python projects/inference_parity/compare.py VIDEO ... [--old 594848a] [--out DIR]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHECKPOINT = ROOT / 'projects/demo/checkpoints/diffpose_synthetic.pth'


def old_package(commit, folder):
    """Take the package and its configs as they were at a commit."""
    archive = subprocess.run(
        ['git', '-C', str(ROOT), 'archive', commit, 'diffpose_mm', 'configs'],
        capture_output=True,
        check=True,
    )
    subprocess.run(['tar', '-x', '-C', str(folder)], input=archive.stdout, check=True)


def predict(package, out, videos):
    environment = dict(os.environ, PYTHONPATH=str(package), OMP_NUM_THREADS='1')
    command = [sys.executable, str(HERE / 'predict.py'), str(CHECKPOINT), str(out), *videos]
    done = subprocess.run(command, env=environment, cwd=package, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


def differences(old, new):
    """How two records of a run differ: in what, and for poses by how many pixels at most."""
    if len(old) != len(new):
        return f'{len(old)} frames then, {len(new)} now', np.inf
    farthest = 0.0
    for before, now in zip(old, new):
        for key in ('frame_id', 'frames_used'):
            if before[key] != now[key]:
                return f'{key} of frame {before["frame_id"]}', np.inf
        if len(before['people']) != len(now['people']):
            return f'people of frame {before["frame_id"]}', np.inf
        for one, two in zip(before['people'], now['people']):
            if one['track_id'] != two['track_id']:
                return f'tracks of frame {before["frame_id"]}', np.inf
            for key in ('keypoints', 'bbox'):
                off = np.abs(np.array(one[key]) - np.array(two[key])).max()
                farthest = max(farthest, float(off))
    return '', farthest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('videos', nargs='+')
    parser.add_argument('--old', default='594848a', help='commit to compare with')
    parser.add_argument('--out', help='keep the predictions in this folder')
    args = parser.parse_args()
    videos = [os.path.abspath(path) for path in args.videos]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(args.out or folder).resolve()
        package = Path(folder) / 'package'
        package.mkdir()
        old_package(args.old, package)
        predict(package, out / 'old', videos)
        predict(ROOT, out / 'new', videos)
        seconds = [json.loads((out / which / 'seconds').read_text()) for which in ('old', 'new')]
        print(f'{"run":40} {"frames":>6} {"pixels":>9} {"time new / old":>14}')
        failed = False
        for name in seconds[0]:
            old, new = (
                json.loads((out / which / f'{name}.json').read_text()) for which in ('old', 'new')
            )
            what, farthest = differences(old, new)
            failed |= farthest > 2e-4
            ratio = seconds[1][name] / seconds[0][name]
            print(f'{name:40} {len(new):6} {farthest:9.2g} {ratio:14.2f} {what}')
        total = sum(seconds[1].values()) / sum(seconds[0].values())
        print(f'processor time of all runs, new over old: {total:.2f}')
    raise SystemExit('the predictions differ' if failed else 0)


if __name__ == '__main__':
    main()
