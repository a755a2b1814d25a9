"""Pins, the built wheels and what mim finds in them."""

import ast
import csv
import importlib.metadata as metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from packaging.requirements import Requirement

from diffpose_mm.version import __version__

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(path.name for path in (ROOT / 'configs').glob('*.py'))
PACKAGES = ('diffpose_mm', 'diffpose_mm_runtime', 'diffpose_mm_stand_ins')
(MMENGINE,) = metadata.packages_distributions()['mmengine']
TOOLS = sorted(
    path.name for path in (ROOT / 'diffpose_mm' / 'tools').glob('*.py') if path.stem != '__init__'
)


# Which versions this environment was made with; nothing, if it was not made by `make setup`.
CELL = Path(sys.prefix, 'stamps', 'cell')
LISTS = ('mmpose_deps', 'runtime', 'tests')
CELLS = sorted(path.stem for path in (ROOT / 'requirements/constraints').glob('*.txt'))
PYTHON = f'{sys.version_info[0]}.{sys.version_info[1]}'


def requirements(name):
    """Normalised name -> version specifier, of requirements/`name`.txt for this Python."""
    found = {}
    for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines():
        if line.strip() and not line.startswith('#'):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                found[normalise(requirement.name)] = str(requirement.specifier)
    return found


def normalise(project):
    return re.sub('[-_.]+', '-', project).lower()


@pytest.mark.parametrize('cell', CELLS)
def test_every_cell_says_exactly_what_it_is_made_of(cell):
    """Broken if a package of a list, or of a stack, could come in any release."""
    constraints = requirements(f'constraints/{cell}')
    assert set(map(len, (spec.split('==') for spec in constraints.values()))) == {2}
    for name in LISTS:
        assert not set(requirements(name)) - set(constraints), f'{name}.txt, {cell}.txt'
    if cell.endswith(PYTHON):
        for project, spec in requirements(f'stacks/{cell.partition("-py")[0]}').items():
            assert constraints[project] == spec, f'{project} in {cell}.txt'


@pytest.mark.skipif(
    'DIFFPOSE_MM_PINNED' not in os.environ,
    reason='asked for by `make test` alone: other environments may have other versions',
)
def test_environment_is_the_pinned_one():
    """A package that pip moved on the way would make every other result hard to repeat."""
    if not CELL.exists():
        pytest.skip('this environment was not made by `make setup`')
    wrong = {}
    for project, spec in requirements(f'constraints/{CELL.read_text().strip()}').items():
        try:
            version = metadata.version(project).split('+')[0]
        except metadata.PackageNotFoundError:
            # MMCV_OPS=1 puts the compiled one in its place.
            version = metadata.version({'mmcv-lite': 'mmcv'}.get(project, project))
        if f'=={version}' != spec and project != 'pip':
            wrong[project] = (version, spec)
    assert not wrong


@pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')
def test_make_test_asks_for_the_pinned_environment():
    """Broken if the test above were skipped everywhere, in continuous integration too."""
    lines = subprocess.run(
        ['make', '-n', 'test'], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace('\\\n', ' ')
    (call,) = [line for line in lines.splitlines() if '-m pytest' in line]
    assert ' DIFFPOSE_MM_PINNED=1 ' in call
    assert (ROOT / '.ci/run').read_text().rstrip().endswith('exec make test')


def test_hooks_lint_as_the_suite_does():
    """Broken if a commit could pass here and fail there, by another version of the linter."""
    hooks = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    (ruff,) = [repo for repo in hooks['repos'] if repo['repo'].endswith('/ruff-pre-commit')]
    version = f'=={ruff["rev"].removeprefix("v")}'
    assert {requirements(f'constraints/{cell}')['ruff'] for cell in CELLS} == {version}
    assert {hook['id'] for hook in ruff['hooks']} == {'ruff-check', 'ruff-format'}


def test_github_runs_what_continuous_integration_runs():
    """Broken if the workflow tested something else than .ci/run does, or nothing."""
    workflow = yaml.safe_load((ROOT / '.github/workflows/test.yml').read_text())
    steps = workflow['jobs']['test']['steps']
    assert [step['run'] for step in steps if 'run' in step] == ['.ci/run']
    assert os.access(ROOT / '.ci/run', os.X_OK)
    # YAML 1.1 reads the key `on` as True.
    assert {'push', 'pull_request'} <= set(workflow[True])


def test_install_beside_mmpose_moves_nothing():
    """`pip install .` may ask for what MMPose and MMEngine ask for and PyAV, at any version."""
    theirs = {
        normalise(re.match('[A-Za-z0-9_.-]+', line).group())
        for line in metadata.requires('mmpose') + metadata.requires(MMENGINE)
        if 'extra ==' not in line
    }
    runtime = requirements('runtime')
    assert set(runtime) <= theirs | {'av'}
    assert set(runtime.values()) == {''}


def test_every_import_of_the_package_is_a_declared_requirement():
    declared = set()
    for name in (*LISTS[:2], 'optional', 'hub', 'transformers', 'export', 'interchange'):
        declared |= set(requirements(name))
    for stack in ('current', 'pins', 'onedl'):
        declared |= set(requirements(f'stacks/{stack}'))
    # Compiled, of the other family, or of a host without a screen.
    declared |= {'mmcv', 'xtcocotools', 'opencv-python-headless'}
    distributions = metadata.packages_distributions()
    missing = {}
    files = [path for name in PACKAGES for path in (ROOT / name).rglob('*.py')]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            for name in {name.split('.')[0] for name in names}:
                if name in sys.stdlib_module_names or name in PACKAGES:
                    continue
                owners = {normalise(owner) for owner in distributions.get(name, [name])}
                if not owners & declared:
                    missing.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not missing


def test_model_index_lists_every_config_once():
    """`mim search` shows what the metafile names; a config left out cannot be found."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = []
    for part in index['Import']:
        models += yaml.safe_load((ROOT / part).read_text())['Models']
    assert sorted(model['Config'] for model in models) == [f'configs/{name}' for name in CONFIGS]
    for model in models:
        assert model['Name'] == Path(model['Config']).stem


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    changelog = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    assert f'\n## [{__version__}] - ' in changelog, 'the version has no entry'


@pytest.fixture(scope='module')
def source_copy(tmp_path_factory):
    """What a build needs, elsewhere: building in the working tree would leave files there."""
    target = tmp_path_factory.mktemp('packaging') / 'source'
    target.mkdir()
    ignore = shutil.ignore_patterns('__pycache__')
    for name in (*PACKAGES, 'configs', 'requirements'):
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for name in ('projects', 'tests'):  # must not end up in a wheel
        (target / name / 'inner').mkdir(parents=True)
        (target / name / '__init__.py').touch()
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'model-index.yml', 'LICENSE'):
        shutil.copy(ROOT / name, target / name)
    return target


def build(source, kind, site):
    """Build a wheel as pip does, and unpack it to `site` as pip would."""
    output = site.parent / f'{kind}_wheel'
    output.mkdir()
    code = f'from setuptools import build_meta; build_meta.build_{kind}({str(output)!r})'
    subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], cwd=source, check=True, capture_output=True
    )
    (wheel,) = output.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        archive.extractall(site)
    return site


@pytest.fixture(scope='module')
def installed(source_copy):
    return build(source_copy, 'wheel', source_copy.parent / 'installed')


@pytest.fixture(scope='module')
def editable(source_copy):
    return build(source_copy, 'editable', source_copy.parent / 'editable')


def ask_mim(site, cwd, expression):
    """Evaluate an expression in a process that sees `site` first and runs in another folder."""
    code = (
        f'import sys; sys.path.insert(0, {str(site)!r})\n'
        'from mim.utils import get_installed_path, recursively_find\n'
        f"path = get_installed_path('diffpose_mm')\nprint(repr({expression}))"
    )
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], cwd=cwd, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return ast.literal_eval(result.stdout.splitlines()[-1])


@pytest.mark.parametrize('kind', ['installed', 'editable'])
def test_mim_finds_each_config_once(kind, request, tmp_path):
    """mim searches a config by its basename and refuses two hits."""
    site = request.getfixturevalue(kind)
    found = ask_mim(
        site,
        tmp_path,
        f'{{name: recursively_find(path, name, followlinks=True) for name in {CONFIGS!r}}}',
    )
    assert CONFIGS
    for name in CONFIGS:
        assert found[name] == [str(site / 'diffpose_mm' / '.mim' / 'configs' / name)]


def test_wheel_holds_the_package_and_nothing_else(installed):
    top = {path.name for path in installed.iterdir() if not path.name.endswith('.dist-info')}
    assert top == {*PACKAGES, 'diffpose_mm_stand_ins.pth'}
    modules = {path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob('*.py')}
    assert not [path for path in modules if not (installed / path).exists()]
    assert (installed / 'diffpose_mm/.mim/model-index.yml').exists()
    assert (installed / 'diffpose_mm/py.typed').exists(), 'type checkers would ignore all types'
    weights = {path.name for path in (ROOT / 'diffpose_mm/shipped').iterdir() if path.is_file()}
    assert len(weights) > 6
    assert weights == {p.name for p in (installed / 'diffpose_mm/shipped').iterdir() if p.is_file()}
    assets = {p.relative_to(ROOT) for p in (ROOT / 'diffpose_mm/report/assets').rglob('*.*')}
    assert len(assets) > 10 and not [path for path in assets if not (installed / path).exists()]
    assert (installed / 'diffpose_mm/report/assets/uplot/LICENSE').exists()
    for path in (ROOT / 'configs').rglob('*.py'):
        copy = installed / 'diffpose_mm/.mim' / path.relative_to(ROOT)
        assert copy.read_bytes() == path.read_bytes()


def test_editable_install_leads_to_the_working_tree(editable, source_copy):
    """Edits of a config or tool must show at once, from any folder, through mim."""
    stub = editable / 'diffpose_mm/.mim'
    name = next(name for name in CONFIGS if name.startswith('diffpose_synthetic'))
    real = source_copy / 'configs' / name

    def read(path):
        return Config.fromfile(path, import_custom_modules=False)

    lead = stub / 'configs' / name
    assert read(lead).to_dict() == read(real).to_dict()
    real.write_text(real.read_text() + "\nadded_later = 'seen'\n")
    assert read(lead).added_later == 'seen'

    assert sorted(path.name for path in (stub / 'tools').glob('*.py')) == TOOLS
    (source_copy / 'diffpose_mm/tools/train.py').write_text("print(__name__, 'from the tree')\n")
    result = subprocess.run(
        [sys.executable, stub / 'tools/train.py'], capture_output=True, text=True, check=True
    )
    assert result.stdout == '__main__ from the tree\n'


def test_editable_install_does_not_hide_the_package(editable, source_copy):
    """The folder that mim needs has no __init__.py; a path hook would lose against it."""
    assert not (editable / 'diffpose_mm/__init__.py').exists()
    (pth,) = editable.glob('__editable__*.pth')
    assert Path(pth.read_text().strip()).resolve() == source_copy.resolve()


@pytest.mark.parametrize('kind', ['installed', 'editable'])
def test_stand_ins_are_there_from_the_start(kind, request, tmp_path):
    """Broken if `import mmpose` had to come after `import diffpose_mm` where this is installed."""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'venv'], check=True)
    (site,) = (tmp_path / 'venv').glob('lib/python3*/site-packages')
    shutil.copytree(request.getfixturevalue(kind), site, dirs_exist_ok=True)
    (site / 'pycocotools').mkdir()
    (site / 'pycocotools/__init__.py').touch()
    code = 'import xtcocotools, sys; print(xtcocotools.__file__, "diffpose_mm" in sys.modules)'
    result = subprocess.run(
        [tmp_path / 'venv/bin/python', '-c', code], capture_output=True, text=True, cwd='/'
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith('diffpose_mm_stand_ins/xtcocotools/__init__.py False\n')


def test_record_of_the_editable_wheel_is_complete(editable):
    """pip uninstall removes what RECORD names and leaves the rest lying."""
    (record,) = editable.glob('*.dist-info/RECORD')
    named = {row[0] for row in csv.reader(record.open())}
    present = {
        path.relative_to(editable).as_posix()
        for path in editable.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }
    assert named == present
