"""`make setup` on machines that lack something: one line each that says what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ('python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3', 'python')
OLDER = '3.10' if sys.version_info[:2] != (3, 10) else '3.11'
HERE = f'{sys.version_info[0]}.{sys.version_info[1]}'


@pytest.fixture
def clone(tmp_path):
    """What the set-up reads, elsewhere, so that nothing here is touched."""
    root = tmp_path / 'clone'
    shutil.copytree(ROOT / '.dev', root / '.dev')
    shutil.copytree(ROOT / 'requirements', root / 'requirements')
    shutil.copytree(ROOT / 'configs', root / 'configs')
    names = ('setup.py', 'pyproject.toml', 'model-index.yml', 'diffpose_mm/version.py')
    for name in (*names, 'diffpose_mm_stand_ins/diffpose_mm_stand_ins.pth'):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    return root


def interpreter(path, before):
    """A Python that answers to -c as if `before` were true of it, and to nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] || exit 1\nexec {sys.executable} -c "{before}\n$2"\n'
    )
    path.chmod(0o755)
    return path


def pretend(version):
    return f'import sys; sys.version_info = ({version.replace(".", ", ")}, 1)'


def complaining_shims(folder):
    """As pyenv has them for a Python that is installed but not chosen."""
    folder.mkdir()
    for name in COMMANDS:
        (folder / name).write_text('#!/bin/sh\necho "pyenv: not found" >&2\nexit 127\n')
        (folder / name).chmod(0o755)
    return folder


def set_up(clone, **environment):
    inherited = {name: os.environ[name] for name in ('PATH', 'HOME') if name in os.environ}
    return subprocess.run(
        ['bash', clone / '.dev/setup_env.sh'],
        # Of these trials none comes to the point where it needs the room.
        env={**inherited, 'SETUP_DISK_MB': '1', **environment},
        capture_output=True,
        text=True,
    )


def assert_refused(result, message, clone):
    """One line with the fault and what to do, and nothing made."""
    assert result.returncode == 1
    assert '[setup] ERROR: ' in result.stderr and message in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) <= 3
    assert not (clone / '.venv').exists()


@pytest.mark.parametrize(
    'before, message',
    [
        (pretend('3.8'), 'is Python 3.8; 3.10 to 3.13 work: make setup PYTHON='),
        (pretend('3.15'), 'is Python 3.15; 3.10 to 3.13 work: make setup PYTHON='),
        ('import sys; sys.maxsize = 2**31 - 1', 'is a 32-bit Python'),
        ("import sys; sys.modules['venv'] = None", f'apt-get install python{HERE}-venv'),
        ("import sys; sys.modules['ensurepip'] = None", f'apt-get install python{HERE}-venv'),
        ('1/0', 'does not run'),
    ],
)
def test_python_that_will_not_do_is_refused_at_once(clone, tmp_path, before, message):
    """Broken if an unfit Python were found out by a failing install, minutes later."""
    python = interpreter(tmp_path / 'bin/python', before)
    assert_refused(set_up(clone, PYTHON=str(python)), message, clone)


def test_python_that_is_not_there_is_refused(clone):
    message = '/no/such/python does not run'
    assert_refused(set_up(clone, PYTHON='/no/such/python'), message, clone)


def test_shims_that_only_complain_are_no_python(clone, tmp_path):
    """Broken if pyenv's shims, which are on the PATH for every Python, were taken for one."""
    folder = complaining_shims(tmp_path / 'shims')
    result = set_up(clone, PATH=f'{folder}:/usr/bin:/bin')
    assert_refused(result, 'no Python of 3.10 to 3.13 that runs was found', clone)
    interpreter(folder / 'python3.10', pretend('3.10'))
    interpreter(folder / 'python3.12', pretend('3.12'))
    result = set_up(clone, PATH=f'{folder}:/usr/bin:/bin')
    assert 'with Python 3.12 and requirements/constraints/current-py3.12.txt' in result.stdout


def test_versions_that_there_are_not_are_refused(clone):
    result = set_up(clone, PYTHON=sys.executable, STACK='newest')
    assert_refused(result, f'no versions for STACK=newest with Python {HERE}', clone)
    assert 'current-py3.13' in result.stderr


def test_compiler_is_asked_for_only_where_something_is_compiled(clone, tmp_path):
    """Broken if the ordinary set-up needed one, or MMCV_OPS=1 found out after the downloads."""
    python = interpreter(tmp_path / 'bin/python', pretend('3.12'))
    common = dict(PYTHON=str(python), CXX='/no/such/g++')
    assert 'g++' not in set_up(clone, **common).stderr
    result = set_up(clone, **common, MMCV_OPS='1')
    assert 'the C++ compiler /no/such/g++ was not found' in result.stderr
    result = set_up(clone, **common, MMCV_OPS='1', STACK='onedl')
    assert "the fork's mmcv are not compiled" in result.stderr
    python = interpreter(tmp_path / 'bin/python', pretend('3.13'))
    result = set_up(clone, **common, MMCV_OPS='1')
    assert 'PYTHON=python3.12 MMCV_OPS=1' in result.stderr


def test_half_done_environment_of_another_python_is_made_anew(clone, tmp_path):
    """Broken if packages of one Python were installed into an environment of another."""
    interpreter(clone / '.venv/bin/python', pretend(OLDER))
    (clone / '.venv/stamps').mkdir()
    (clone / '.venv/stamps/venv').write_text(f'{clone}/.venv {OLDER}\n')
    (clone / '.venv/left-over').touch()
    result = set_up(clone, PYTHON=sys.executable, **NO_NETWORK)
    assert 'is of another Python or folder, or not whole: making it anew' in result.stdout
    assert not (clone / '.venv/left-over').exists()


def test_finished_environment_of_another_python_is_kept(clone):
    """Broken if naming a PYTHON threw away an environment that works."""
    interpreter(clone / '.venv/bin/python', pretend(OLDER))
    (clone / '.venv/stamps').mkdir()
    (clone / '.venv/stamps/package').touch()
    result = set_up(clone, PYTHON=sys.executable)
    assert result.returncode == 1
    assert f'is there with Python {OLDER}' in result.stderr
    assert f'make setup VENV=.venv{HERE}' in result.stderr
    assert (clone / '.venv/bin/python').exists()


NO_NETWORK = dict(PIP_INDEX_URL='http://127.0.0.1:9/simple', PIP_RETRIES='1', PIP_TIMEOUT='1')


def test_no_network_is_named(clone):
    """Broken if the last words were of a package that does not exist."""
    result = set_up(clone, PYTHON=sys.executable, **NO_NETWORK)
    assert result.returncode == 1
    assert 'the package index could not be reached: check the network' in result.stderr
    assert 'run the same command again' in result.stderr
    again = set_up(clone, **NO_NETWORK)
    assert 'making it anew' not in again.stdout


def test_a_disk_without_room_is_named(clone):
    """Broken if a set-up runs for minutes before it fails for want of room."""
    result = set_up(clone, SETUP_DISK_MB='999999999')
    assert result.returncode == 1
    assert '999999999 MB are needed' in result.stderr and 'free some space' in result.stderr
