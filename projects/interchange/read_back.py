"""Poses that ``convert`` writes, read by the programs that they are for; outside CI.

    python projects/interchange/read_back.py --table docs/interchange.md

Environments of their own, without torch, are made under ``--out`` and used again. What each program
read is compared with what was written, joint by joint.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
from datetime import date
from pathlib import Path

import numpy as np
from cases import rows_of, write_cases

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PACKAGES = {
    'readers': (
        'movement sleap-io pynwb ndx-pose pandas polars duckdb pyarrow tables rerun-sdk[catalog] '
        'pycocotools motmetrics trackeval datumaro label-studio-sdk'
    ).split(),
    'pose2sim': (
        'anytree c3d ipython lxml matplotlib opencv-python-headless pandas rtoml scipy tqdm'
    ).split(),
    'writers': ['-r', str(ROOT / 'requirements/interchange.txt')],
}
"""What is installed into each environment."""
CONSUMERS = (
    # format, reader, function, environment, distribution
    ('csv', 'pandas', 'pandas_csv', 'readers', 'pandas'),
    ('csv', 'polars', 'polars_csv', 'readers', 'polars'),
    ('csv', 'DuckDB', 'duckdb_csv', 'readers', 'duckdb'),
    ('parquet', 'pandas', 'pandas_parquet', 'readers', 'pandas'),
    ('parquet', 'polars', 'polars_parquet', 'readers', 'polars'),
    ('parquet', 'DuckDB', 'duckdb_parquet', 'readers', 'duckdb'),
    ('deeplabcut csv', 'movement', 'movement_csv', 'readers', 'movement'),
    ('deeplabcut h5', 'movement', 'movement_h5', 'readers', 'movement'),
    ('deeplabcut csv', 'sleap-io', 'sleap_deeplabcut', 'readers', 'sleap-io'),
    ('slp', 'sleap-io', 'sleap_slp', 'readers', 'sleap-io'),
    ('slp', 'movement', 'movement_slp', 'readers', 'movement'),
    ('nwb', 'pynwb', 'pynwb_nwb', 'readers', 'pynwb'),
    ('nwb', 'movement', 'movement_nwb', 'readers', 'movement'),
    ('nwb, even', 'movement', 'movement_nwb_even', 'readers', 'movement'),
    ('nwb', 'sleap-io', 'sleap_nwb', 'readers', 'sleap-io'),
    ('openpose', 'Pose2Sim', 'pose2sim_openpose', 'pose2sim', 'pose2sim'),
    ('coco', 'pycocotools', 'pycocotools_results', 'readers', 'pycocotools'),
    ('coco', 'sleap-io', 'sleap_coco', 'readers', 'sleap-io'),
    ('coco', 'datumaro', 'datumaro_coco', 'readers', 'datumaro'),
    ('posetrack', 'pycocotools', 'pycocotools_posetrack', 'readers', 'pycocotools'),
    ('mot', 'motmetrics', 'motmetrics_mot', 'readers', 'motmetrics'),
    ('mot', 'TrackEval', 'trackeval_mot', 'readers', 'trackeval'),
    ('label-studio', 'label-studio-sdk', 'label_studio', 'readers', 'label-studio-sdk'),
    ('label-studio', 'its export to COCO', 'label_studio_coco', 'readers', 'label-studio-sdk'),
    ('cvat', 'datumaro', 'datumaro_cvat', 'readers', 'datumaro'),
    ('rrd', 'rerun-sdk', 'rerun_rrd', 'readers', 'rerun-sdk'),
)
FORMATS = 'csv parquet deeplabcut slp nwb openpose coco posetrack mot label-studio cvat rrd'.split()
MARKS = (
    '<!-- begin projects/interchange/read_back.py -->',
    '<!-- end projects/interchange/read_back.py -->',
)


def environment(name, folder):
    """The Python of an environment, which is made where it is not there."""
    python = folder / name / 'bin' / 'python'
    done = folder / name / 'complete'
    if done.is_file():
        return python
    print(f'environment {name}: {" ".join(PACKAGES[name])}', flush=True)
    subprocess.run([sys.executable, '-m', 'venv', str(folder / name)], check=True)
    if name == 'writers':  # beside what this environment has, torch and mmpose among it
        (site,) = (folder / name / 'lib').glob('python*/site-packages')
        (others,) = (folder / 'readers' / 'lib').glob('python*/site-packages')
        paths = sysconfig.get_paths()['purelib'], str(others)
        lines = [f'import site; site.addsitedir({path!r})\n' for path in paths]
        (site / 'beside.pth').write_text(''.join(lines))
    pip = [str(python), '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
    subprocess.run([*pip, *PACKAGES[name]], check=True)
    if name == 'pose2sim':  # the whole would bring OpenSim, OpenVINO and Qt
        subprocess.run([*pip, '--no-deps', 'pose2sim'], check=True)
    done.touch()
    return python


def consume(python, function, files):
    """What a program read, or the last line of its error."""
    run = subprocess.run(
        [str(python), '-W', 'ignore', str(HERE / 'consumers.py'), function, str(files)],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': '', 'MPLBACKEND': 'agg'},
    )
    if run.returncode:
        return run.stderr.strip().splitlines()[-1].replace(str(files), 'FILES')
    return json.loads(run.stdout.splitlines()[-1])


def version(python, distribution):
    code = f'from importlib.metadata import version; print(version({distribution!r}))'
    found = subprocess.run([str(python), '-c', code], capture_output=True, text=True)
    return found.stdout.strip()


def expected_rows(name, table):
    """What there is to be read: of a format in another set of keypoints, what that has; of one
    without joints the corners of the boxes."""
    if name == 'openpose':
        return rows_of(table.in_set('coco17'))
    if name != 'mot':
        return rows_of(table)
    rows = []
    for pose in range(len(table)):
        x1, y1, x2, y2 = table.box_of(pose).tolist()
        who = int(table.frame[pose]), int(table.track[pose])
        score = table.pose_score(pose)
        rows.append([*who, 'left top', x1, y1, score])
        rows.append([*who, 'right bottom', x2, y2, score])
    return rows


def compare(name, table, found):
    """Cells of the result: frames, people, names, scores, times, px."""
    rows = expected_rows(name, table)
    truth = np.array([row[3:5] for row in rows])
    if not found['rows']:
        return [f'{found["frames"]} of {len(table.frames)}', *['-'] * 4, 'nothing']
    places = np.array([row[3:5] for row in found['rows']], float)
    # A joint that was read is the one that was written nearest, whatever it is called.
    gaps = np.hypot(*(places[:, None] - truth[None]).transpose(2, 0, 1))
    nearest = gaps.argmin(1)
    frames, tracks, names, scores = [], [], [], []
    for row, i in zip(found['rows'], nearest):
        frames.append(row[0] == rows[i][0])
        tracks.append(str(row[1]).removeprefix('track_') == str(rows[i][1]))
        names.append(row[2] == rows[i][2])
        scores.append(row[5] is not None and abs(row[5] - rows[i][5]) < 1e-5)
    count = '' if found['frames'] is None else f'{found["frames"]} of {len(table.frames)}'
    if not all(frames):
        count += f', {np.mean(frames):.0%} with their number'
    lost = len(rows) - len(set(nearest.tolist()))
    px = gaps[np.arange(len(nearest)), nearest].max()
    cells = [count or 'as rows', _people(tracks, found['rows']), _share(names), _share(scores)]
    if name == 'mot':
        cells[2] = 'boxes'
    times = 'none'
    if found['times'] is not None:
        known = {f: t for f, t in zip(table.frames.tolist(), table.times.tolist())}
        off = [abs(found['times'][f] - known[int(f)]) for f in found['times'] if int(f) in known]
        times = 'kept' if max(off) < 1e-6 else f'off by up to {max(off):.2g} s'
    extra = len(found['rows']) - len(set(nearest.tolist()))
    wrong = [f'{lost} of {len(rows)} joints lost'] * (lost > 0) + [f'{extra} too many'] * (
        extra > 0
    )
    return [*cells, times, ', '.join([f'{px:.1g}' if px else '0', *wrong])]


def _people(kept, rows):
    if all(row[1] is None for row in rows):
        return 'none'
    return _share(kept)


def _share(kept):
    if all(kept):
        return 'kept'
    return 'lost' if not any(kept) else f'{np.mean(kept):.0%} kept'


def provenance():
    git = ['git', 'rev-parse', '--short', 'HEAD']
    commit = subprocess.run(git, capture_output=True, text=True, cwd=ROOT, check=True)
    python = '.'.join(map(str, sys.version_info[:3]))
    return f'{date.today()}, commit {commit.stdout.strip()}, Python {python}.'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/interchange'))
    parser.add_argument('--only', nargs='+', help='functions of consumers.py')
    parser.add_argument('--table', type=Path, help='page to put the table into')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    files = args.out.resolve() / 'files'
    files.mkdir(exist_ok=True)
    tables = write_cases(files)
    environment('readers', args.out.resolve())
    for name in tables:
        command = [str(environment('writers', args.out.resolve())), '-m', 'diffpose_mm', 'convert']
        command += [str(files / f'{name}.json'), '--to', *FORMATS]
        subprocess.run(command, check=True, cwd=ROOT)
    lines = [
        '| format | read by | frames | people | names | scores | times | px |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for name, reader, function, where, distribution in CONSUMERS:
        if args.only and function not in args.only:
            continue
        python = environment(where, args.out.resolve())
        case = 'even' if name.endswith('even') else 'uneven'
        found = consume(python, function, files)
        told = f'{reader} {version(python, distribution)}'
        if isinstance(found, str):
            cells = [f'refused: `{found[:120]}`', *[''] * 5]
        else:
            cells = compare(name, tables[case], found)
        lines.append(f'| {name} | {told} | {" | ".join(cells)} |')
        print(lines[-1], flush=True)
    if args.table:
        text = args.table.read_text(encoding='utf-8')
        start, end = (re.escape(mark) for mark in MARKS)
        block = '\n\n'.join([MARKS[0], '\n'.join(lines), provenance(), MARKS[1]])
        args.table.write_text(
            re.sub(f'{start}.*{end}', lambda match: block, text, flags=re.DOTALL), encoding='utf-8'
        )


if __name__ == '__main__':
    main()
