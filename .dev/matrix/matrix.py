"""``make matrix``: every cell of Python and stack is set up from nothing and tried.

A cell's results stand in .dev/matrix/results/CELL.json, a step is done once a commit, and what is
done is not done again: an interrupted run goes on with the same command. At the end the table in
docs/installation.md is written anew from all results there are. Needs nothing but Python.

    make matrix                                     everything; hours, 7 GB, a cell at a time
    make matrix CELLS=current-py3.13                one cell
    make matrix CELLS='current-py3.13 onedl-py3.12' STEPS='setup check import'
    make matrix TABLE=1                             only write the table
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from host import HostSetup

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / 'work_dirs' / 'matrix'
RESULTS = ROOT / '.dev' / 'matrix' / 'results'
DOCS = ROOT / 'docs' / 'installation.md'
HERE = '.dev/matrix'
PYTHONS = ('3.10', '3.11', '3.12', '3.13')
CELLS = [f'{stack}-py{python}' for stack in ('pins', 'current') for python in PYTHONS]
CELLS += ['onedl-py3.11', 'onedl-py3.12']
HOST_CELL = 'host-py3.12'  # no stack of its own: the wheels of current, on a host's torch
CELLS.append(HOST_CELL)
IMPOSSIBLE = {'pins-py3.13': 'numpy 1.26 has no wheel for Python 3.13'}
STEPS = ('cold', 'setup', 'again', 'check', 'import', 'suite', 'smoke', 'inferencer', 'exchange')
VERSIONS = """
import importlib, json, platform
names = ('torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmpose', 'mmpretrain')
print(json.dumps({'python': platform.python_version(),
                  **{name: importlib.import_module(name).__version__ for name in names}}))
"""
# What `pip check` names although it is right, and why.
EXPECTED = {
    'mmpose 1.3.2 requires chumpy': 'it is never imported, and does not build',
    'mmpose 1.3.2 requires xtcocotools': 'no wheel here; its stand-in is used',
    **{
        f'{name} requires opencv-python': 'the headless one is there'
        for name in ('mmengine 0.10.7', 'mmpose 1.3.2', 'mmcv-lite 2.1.0')
    },
    'onedl-mim 0.5.1 has requirement pandas': 'of `mim search` alone',
}


class StepError(Exception):
    """A step did not end well; the message is its last words."""


class Cell:
    """One Python with one stack, in an environment of its own."""

    def __init__(self, name, jobs):
        self.name, self.jobs = name, jobs
        self.stack, self.python = name.split('-py')
        self.folder = WORK / name
        self.venv, self.pip_cache = self.folder / 'venv', self.folder / 'pip'
        self.results_file = RESULTS / f'{name}.json'
        try:
            self.results = json.loads(self.results_file.read_text())
        except FileNotFoundError:
            self.results = {}

    def done(self, step, commit):
        """Whether a step has ended well at this commit, and with all cells that there are."""
        result = self.results.get(step, {})
        if not (result.get('ok') and result['commit'] == commit):
            return False
        return step != 'exchange' or set(result['read']) == {path.name for path in writers()}

    def record(self, step, commit, **result):
        """Remember how a step ended, at once and on disk."""
        self.results[step] = dict(commit=commit, date=today(), **result)
        RESULTS.mkdir(exist_ok=True)
        new = self.results_file.with_suffix('.new')
        new.write_text(json.dumps(self.results, indent=1) + '\n')
        new.replace(self.results_file)

    def run(self, step, *command, **environment):
        """Run a command with its output in the cell's folder; returns the output."""
        log = self.folder / f'{step}.log'
        env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'MAKEFLAGS')}
        env.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', **environment)
        env['PATH'] = f'{self.venv}/bin:{env["PATH"]}'
        with open(log, 'w') as file:
            status = subprocess.call(
                [str(part) for part in command], cwd=ROOT, env=env, stdout=file, stderr=file
            )
        output = log.read_text(errors='replace')
        if status:
            raise StepError(f'exit status {status}, {log}: {last_line(output)}')
        return output

    def in_cell(self, step, *arguments, **environment):
        """Run the cell's Python."""
        return self.run(step, self.venv / 'bin/python', '-W', 'ignore', *arguments, **environment)

    # ---- the steps: each returns what is to be remembered ------------------------------------
    def cold(self):
        """From nothing, with nothing cached: all downloads are in the time."""
        shutil.rmtree(self.pip_cache, ignore_errors=True)
        return self.set_up('cold')

    def setup(self):
        """From nothing but the downloads, which pip has cached."""
        return self.set_up('setup')

    def set_up(self, step):
        """Make the environment anew; what `cold` downloaded is there for `setup`."""
        shutil.rmtree(self.venv, ignore_errors=True)
        cache = dict(PIP_CACHE_DIR=str(self.pip_cache))
        if step == 'setup' and not self.pip_cache.is_dir():
            cache = {}
        start = time.monotonic()
        self.run(step, 'bash', '.dev/setup_env.sh', PYTHON=find_python(self.python),
                 STACK=self.stack, VENV=str(self.venv), MMCV_OPS='0', **cache)  # fmt: skip
        seconds = round(time.monotonic() - start)
        if step == 'setup':
            shutil.rmtree(self.pip_cache, ignore_errors=True)
        size = subprocess.check_output(['du', '-sm', self.venv], text=True).split()[0]
        load = round(os.getloadavg()[1], 1)
        return dict(seconds=seconds, megabytes=int(size), load=load)

    def again(self):
        """What a set-up takes that has nothing to do."""
        start = time.monotonic()
        self.run('again', 'bash', '.dev/setup_env.sh', STACK=self.stack, VENV=str(self.venv))
        return dict(seconds=round(time.monotonic() - start, 1))

    def check(self):
        """`pip check`: what it names must be known to be right."""
        try:
            output = self.in_cell('check', '-m', 'pip', 'check')
        except StepError:
            output = (self.folder / 'check.log').read_text()
        lines = [line for line in output.splitlines() if not line.startswith('No broken')]
        unknown = [line for line in lines if not any(line.startswith(known) for known in EXPECTED)]
        if unknown:
            raise StepError(unknown[0])
        return dict(named=lines)

    def import_(self):
        """mmpose first, then the package, each in a fresh process."""
        self.in_cell('import', '-c', 'import mmpose.apis, mmdet.apis, diffpose_mm')
        self.in_cell('import', '-c', 'import diffpose_mm')
        output = self.in_cell('import', '-c', VERSIONS)
        return dict(versions=json.loads(output.splitlines()[-1]))

    def suite(self):
        """The whole suite, and its last line."""
        start = time.monotonic()
        try:
            output = self.in_cell('suite', '-m', 'pytest', '-q', '-n', self.jobs,
                                  '--dist', 'worksteal', '-p', 'no:cacheprovider')  # fmt: skip
        except StepError as error:
            summary = outcome((self.folder / 'suite.log').read_text())
            raise StepError(summary or str(error)) from None
        return dict(seconds=round(time.monotonic() - start), summary=outcome(output))

    def smoke(self):
        """The demo's job at its smallest, by `python -m diffpose_mm`, without mim."""
        data, work = self.folder / 'smoke', self.folder / 'train'
        for folder in (data, work):
            shutil.rmtree(folder, ignore_errors=True)
        config = 'configs/diffpose_synthetic.py'
        start = time.monotonic()
        tool = ('-m', 'diffpose_mm')
        self.in_cell('synthesize', *tool, 'synthesize', '--out', data, '--preset', 'smoke')
        where = ('--data-root', data, '--work-dir', work)
        small = ('--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1')
        self.in_cell('train', *tool, 'train', config, *where, *small)
        output = self.in_cell('test', *tool, 'test', config, work / 'epoch_1.pth', *where)
        (ap,) = set(re.findall(r'posetrack/AP: ([\d.]+)', output)) or {None}
        if ap is None:
            raise StepError('no AP was printed')
        return dict(seconds=round(time.monotonic() - start), ap=float(ap))

    def inferencer(self):
        """An unmodified MMPoseInferencer, with a model of mmpose and with one of ours."""
        out = self.folder / 'inferencer'
        shutil.rmtree(out, ignore_errors=True)
        return json.loads(self.in_cell('inferencer', f'{HERE}/inferencer.py', out).splitlines()[-1])

    def exchange(self):
        """What this cell wrote, for the others, and what they wrote, here."""
        self.in_cell('exchange', f'{HERE}/exchange.py', 'write', self.folder)
        output = self.in_cell('exchange', f'{HERE}/exchange.py', 'read', self.folder, *writers())
        return dict(read=json.loads(output.splitlines()[-1]))


class HostCell(HostSetup, Cell):
    """A host with torch and without a package index."""

    def __init__(self, name, jobs):
        super().__init__(name, jobs)
        self.venv, self.find_python = self.wheels / 'venv', find_python


def cell_of(name, jobs=1):
    """The cell of this name."""
    return (HostCell if name == HOST_CELL else Cell)(name, jobs)


def today():
    """The date in ISO form."""
    return datetime.date.today().isoformat()


def last_line(text):
    """The last line that is not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ''


def outcome(text):
    """What pytest says at its end; libraries may print more when they are unloaded."""
    lines = re.findall(
        r'^=* ?(\d+ (?:passed|failed|error|skipped).*?)(?: =*)?$', text, re.MULTILINE
    )
    return lines[-1] if lines else last_line(text)


def writers():
    """Folders of the cells that have written something for the others."""
    return sorted(path.parent for path in WORK.glob('*/exchange.json'))


def find_python(version):
    """A Python of this version that runs: PYTHON_3_12, python3.12, or one of pyenv."""
    named = os.environ.get(f'PYTHON_{version.replace(".", "_")}')
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv'))
    found = sorted(map(str, pyenv.glob(f'versions/{version}.*/bin/python')))
    for candidate in [named, f'python{version}', *found]:
        try:
            code = 'import sys; print("%d.%d" % sys.version_info[:2])'
            output = subprocess.run([candidate, '-c', code], capture_output=True, text=True)
        except (OSError, TypeError):
            continue
        if output.stdout.strip() == version:
            return candidate
    return None


def commit():
    """The commit that is tried; with a mark if more than the table differs from it."""
    git = ['git', '-C', str(ROOT)]
    head = subprocess.check_output([*git, 'rev-parse', '--short', 'HEAD'], text=True).strip()
    others = (':!docs', ':!.dev/matrix/results')
    changed = subprocess.check_output([*git, 'status', '--porcelain', '-uno', *others], text=True)
    return head + ('+' if changed.strip() else '')


def run_cell(cell, steps, keep):
    """Run the steps of a cell that are not done yet; one that fails does not stop the others."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    now = commit()
    missing = [step for step in steps if not cell.done(step, now)]
    if not missing:
        print(f'[matrix] {cell.name}: done at {now}', flush=True)
        return True
    if find_python(cell.python) is None:
        print(f'[matrix] {cell.name}: no Python {cell.python} on this machine', flush=True)
        return False
    if 'setup' not in missing and not (cell.venv / 'stamps/package').exists():
        missing.insert(0, 'setup')
    good = True
    for step in missing:
        print(f'[matrix] {cell.name}: {step} ...', flush=True)
        try:
            result = getattr(cell, {'import': 'import_'}.get(step, step))()
        except StepError as error:
            good = False
            cell.record(step, now, ok=False, message=str(error)[:300])
            print(f'[matrix] {cell.name}: {step} FAILED: {error}', flush=True)
            if step in ('cold', 'setup'):
                break
        else:
            cell.record(step, now, ok=True, **result)
            print(f'[matrix] {cell.name}: {step} {json.dumps(result)}', flush=True)
    if not keep:
        shutil.rmtree(cell.venv, ignore_errors=True)
    return good


# ---- the table ------------------------------------------------------------------------------
def mark(results, step, text=None):
    """A cell of the table: what came out, or that it was not run."""
    result = results.get(step)
    if result is None:
        return 'not run'
    if not result['ok']:
        return 'FAILED: ' + result['message'].replace('|', '/')[:80]
    return text(result) if text else 'yes'


def seconds(result):
    """What a set-up took; and the load of the machine, where it had more to do than this."""
    load = result.get('load', 0)
    busy = f' at a load of {load:.0f}' if load > os.cpu_count() else ''
    return f'{result["seconds"]} s{busy}'


def row(name):
    """A line of the table."""
    stack, python = name.split('-py')
    if name in IMPOSSIBLE:
        return f'| {stack} | {python} | {IMPOSSIBLE[name]} |' + ' |' * 9
    results = Cell(name, 1).results
    versions = results.get('import', {}).get('versions')
    shown = 'not run'
    if versions:
        python = versions['python']
        shown = ', '.join(
            f'{label} {versions[key]}'
            for key, label in dict(
                torch='torch', numpy='numpy', cv2='OpenCV', mmcv='mmcv', mmdet='mmdet'
            ).items()  # fmt: skip
        )
    dates = sorted({f'{result["date"]} {result["commit"]}' for result in results.values()})
    columns = [
        stack,
        python,
        shown,
        mark(results, 'cold', seconds),
        mark(results, 'setup', seconds),
        mark(results, 'again', lambda r: f'{r["seconds"]} s'),
        mark(results, 'import'),
        mark(results, 'suite', lambda r: re.sub(r' in .*', '', r['summary'])),
        mark(results, 'smoke', lambda r: f'AP {r["ap"]:.1f} %, {r["seconds"]} s'),
        mark(results, 'inferencer'),
        mark(results, 'exchange', lambda r: f'of {len(r["read"])} cells'),
        ', '.join(dates) or 'not run',
    ]
    return '| ' + ' | '.join(columns) + ' |'


def write_table():
    """Put the table of all results there are between the marks in the docs."""
    head = (
        '| stack | Python | versions | set-up, nothing cached | set-up | again | import | suite '
        '| smoke | MMPoseInferencer | reads | date, commit |\n' + '|---' * 12 + '|'
    )
    lines = [head, *map(row, CELLS)]
    named = {}
    for name in CELLS:
        for line in Cell(name, 1).results.get('check', {}).get('named', ()):
            named.setdefault(line, []).append(name)
    if named:
        lines += ['', '`pip check` names:', '']
        for line, names in sorted(named.items()):
            why = next(why for known, why in EXPECTED.items() if line.startswith(known))
            lines.append(f'- {line} ({why}): {", ".join(names)}')
    text = DOCS.read_text()
    begin, end = '<!-- matrix: written by make matrix -->', '<!-- end of matrix -->'
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    machine = f'{os.cpu_count()} cores, {platform.machine()}, no GPU'
    DOCS.write_text(
        f'{before}{begin}\n' + '\n'.join(lines) + f'\n\nMachine: {machine}.\n{end}{after}'
    )
    print(f'[matrix] wrote the table in {DOCS.relative_to(ROOT)}')


def main():
    """Run what is asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cells', nargs='*', choices=CELLS, metavar='CELL')
    parser.add_argument('--steps', nargs='*', choices=STEPS, metavar='STEP')
    parser.add_argument('--jobs', default='2', help='tests side by side (default 2)')
    parser.add_argument('--keep', action='store_true', help='keep the environments')
    parser.add_argument('--table', action='store_true', help='only write the table')
    args = parser.parse_args()
    good = True
    if not args.table:
        names = args.cells or [name for name in CELLS if name not in IMPOSSIBLE]
        for name in set(names) & set(IMPOSSIBLE):
            sys.exit(f'{name}: {IMPOSSIBLE[name]}')
        steps = args.steps or STEPS
        # Twice: the first cell can read what the last one wrote only when that is there.
        for chosen in (steps, [step for step in steps if step == 'exchange']):
            for name in names:
                good &= run_cell(cell_of(name, args.jobs), chosen, args.keep)
    write_table()
    sys.exit(not good)


if __name__ == '__main__':
    main()
