"""The matrix: what is done is not done again, what fails is entered, and a bit that flips shows."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

ROOT = Path(__file__).resolve().parents[1]


def load(name):
    path = ROOT / f'.dev/matrix/{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    """The module, with folders of its own and steps that only count."""
    module = load('matrix')
    docs = tmp_path / 'docs' / 'installation.md'
    docs.parent.mkdir()
    docs.write_text((ROOT / 'docs/installation.md').read_text())
    places = dict(ROOT=tmp_path, WORK=tmp_path / 'work', DOCS=docs, RESULTS=tmp_path / 'results')
    for name, value in places.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, 'find_python', lambda version: f'python{version}')
    monkeypatch.setattr(module, 'commit', lambda: 'abc1234')
    module.calls = []

    def setup(cell):
        module.calls.append('setup')
        (cell.venv / 'stamps').mkdir(parents=True, exist_ok=True)
        (cell.venv / 'stamps/package').touch()
        return dict(seconds=99, megabytes=1)

    def again(cell):
        module.calls.append('again')
        return dict(seconds=0.1)

    def suite(cell):
        module.calls.append('suite')
        if module.calls.count('suite') == 1:
            raise module.StepError('3 failed, 9 passed')
        return dict(seconds=5, summary='12 passed, 1 skipped in 5.00s')

    monkeypatch.setattr(module.Cell, 'setup', setup)
    monkeypatch.setattr(module.Cell, 'suite', suite)
    monkeypatch.setattr(module.Cell, 'again', again)
    return module


def run(matrix, keep=True):
    cell = matrix.Cell('current-py3.12', 1)
    return matrix.run_cell(cell, ('setup', 'suite', 'again'), keep)


def test_a_step_that_fails_is_tried_again_and_what_is_done_is_not(matrix):
    """Broken if an interrupted run of hours began anew, or a failure hid what comes after it."""
    assert not run(matrix)
    assert matrix.calls == ['setup', 'suite', 'again']
    assert run(matrix)
    assert matrix.calls == ['setup', 'suite', 'again', 'suite']
    assert run(matrix)
    assert len(matrix.calls) == 4


def test_an_environment_that_is_gone_is_set_up_again(matrix):
    """Environments are removed when a cell is through, and a step may still be missing."""
    assert not run(matrix, keep=False)
    assert not (matrix.WORK / 'current-py3.12/venv').exists()
    assert run(matrix, keep=False)
    assert matrix.calls == ['setup', 'suite', 'again', 'setup', 'suite']


def test_another_commit_is_tried_from_the_beginning(matrix, monkeypatch):
    run(matrix)
    monkeypatch.setattr(matrix, 'commit', lambda: 'def5678')
    run(matrix)
    assert matrix.calls == 2 * ['setup', 'suite', 'again']


def test_exchange_is_done_when_every_cell_was_read(matrix):
    """Broken if the first cell never read what the last one wrote."""
    first, second = (matrix.Cell(f'current-py3.1{n}', 1) for n in (2, 3))
    for cell in (first, second):
        cell.folder.mkdir(parents=True)
    (first.folder / 'exchange.json').touch()
    first.record('exchange', 'abc1234', ok=True, read=[path.name for path in matrix.writers()])
    assert first.done('exchange', 'abc1234')
    (second.folder / 'exchange.json').touch()
    assert not first.done('exchange', 'abc1234')
    assert not first.done('exchange', 'def5678')


@pytest.mark.parametrize(
    ('log', 'shown'),
    [
        ('====== 3 failed, 9 passed in 3.10s ======\n', '3 failed, 9 passed in 3.10s'),
        ('12 passed, 1 skipped in 3s\nSkipping OneDL datasets.\n', '12 passed, 1 skipped in 3s'),
        ('Segmentation fault\n', 'Segmentation fault'),
    ],
)
def test_outcome_of_a_suite_is_what_pytest_said(matrix, log, shown):
    """Broken if the last words of a library stood in the table in place of the tests."""
    assert matrix.outcome(log) == shown


def test_set_up_on_a_busy_machine_is_told(matrix):
    """Broken if a time that other work made longer looked like one of this."""
    assert matrix.seconds(dict(seconds=120, load=0.9)) == '120 s'
    assert matrix.seconds(dict(seconds=300, load=64.2)) == '300 s at a load of 64'


def test_table_has_a_line_for_every_cell_and_hides_no_failure(matrix):
    """Broken if a cell that was not run, or failed, could not be told from one that works."""
    run(matrix)
    matrix.write_table()
    text = matrix.DOCS.read_text()
    lines = [
        line
        for line in text.splitlines()
        if line.startswith(('| current', '| pins', '| onedl', '| host'))
    ]
    assert len(lines) == len(matrix.CELLS) == len(set(lines))
    assert {line.count('|') for line in lines} == {13}
    (line,) = (line for line in lines if line.startswith('| current | 3.12 '))
    assert 'FAILED: 3 failed, 9 passed' in line and '99 s' in line and 'abc1234' in line
    assert 'numpy 1.26 has no wheel' in next(line for line in lines if 'pins | 3.13' in line)
    run(matrix)
    matrix.write_table()
    after = matrix.DOCS.read_text()
    assert 'FAILED' not in after and '12 passed, 1 skipped |' in after
    outside = re.compile('<!-- matrix.*?<!-- end of matrix -->', re.DOTALL)
    assert outside.sub('', after) == outside.sub('', (ROOT / 'docs/installation.md').read_text())


def test_every_cell_has_its_versions_and_its_claim():
    """Broken if the package promised a Python that is in no cell, or the other way round."""
    matrix = load('matrix')
    constraints = {path.stem for path in (ROOT / 'requirements/constraints').glob('*.txt')}
    assert constraints == set(matrix.CELLS) - set(matrix.IMPOSSIBLE) - {matrix.HOST_CELL}
    claimed = re.findall(r'Python :: (3\.\d+)', (ROOT / 'setup.py').read_text())
    assert tuple(claimed) == matrix.PYTHONS
    setup = (ROOT / '.dev/setup_env.sh').read_text()
    assert f'case $1 in {" | ".join(matrix.PYTHONS)}) ;;' in setup


def state():
    history = HistoryBuffer()
    history.update(0.5)
    return dict(
        weights=dict(a=torch.arange(6.0).reshape(2, 3), b=torch.zeros(0), c=torch.tensor(1.0)),
        half=torch.ones(3, dtype=torch.bfloat16),
        array=np.arange(3),
        history=history,
        meta=dict(epoch=1, name='x', lr=[0.1, np.float64(0.2)]),
    )


@pytest.mark.parametrize(
    'change',
    [
        lambda s: s['weights']['a'].view(torch.int32)[0, 0].add_(1),
        lambda s: s['half'].view(torch.int16)[2:].add_(1),
        lambda s: s['weights'].update(a=s['weights']['a'].reshape(3, 2)),
        lambda s: s['weights'].update(a=s['weights']['a'].double()),
        lambda s: s.update(array=np.arange(3.0)),
        lambda s: s['history'].update(0.25),
        lambda s: s['meta'].update(lr=[0.1, np.float32(0.2)]),
        lambda s: s['meta'].update(epoch=1.0),
        lambda s: s['meta'].pop('name'),
    ],
)
def test_digest_sees_every_bit_and_every_type(change):
    """Broken if a checkpoint could come out otherwise in another cell and still pass."""
    exchange = load('exchange')
    changed = state()
    assert exchange.digest_of(changed) == exchange.digest_of(state())
    change(changed)
    assert exchange.digest_of(changed) != exchange.digest_of(state())


def test_host_collects_once_and_installs_without_an_index(matrix, monkeypatch):
    """Broken if the host's cell passed because pip fetched what the wheels lack."""
    cell = matrix.cell_of(matrix.HOST_CELL)
    ran = []

    def run_only_noted(step, *command, **environment):
        ran.append((step, environment.get('PIP_NO_INDEX'), environment.get('TESTS')))
        if step == 'wheels':
            cell.wheels.mkdir(parents=True)
            (cell.wheels / 'install.sh').touch()

    monkeypatch.setattr(cell, 'run', run_only_noted)
    (cell.folder / 'host').mkdir(parents=True)
    (cell.folder / 'host/whole').touch()
    cell.set_up('cold')
    cell.set_up('setup')
    cell.again()
    installs = [(step, '1', None) for step in ('cold', 'setup', 'again')]
    assert ran == [('wheels', None, '1'), *installs]
    assert cell.venv == cell.wheels / 'venv'
