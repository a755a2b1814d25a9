"""Which libraries are asked for, how they are recognised, and what is advised."""

import re
import subprocess
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.version import Version

from diffpose_mm import requirements

PINS = Path(__file__).parents[1] / 'requirements'
NEEDED = [name for name in (*requirements.TORCH, *requirements.OPENMMLAB) if name != 'mmdet']
FAMILIES = dict(OpenMMLab=requirements.OPENMMLAB, onedl=requirements.ONEDL)


def pretend(monkeypatch, family=requirements.OPENMMLAB, distributions=(), installed=(), **versions):
    """Have modules at the lowest releases of a family, save where told otherwise (None: absent)."""
    ranges = {**requirements.TORCH, **family}
    found = {name: lowest for name, (lowest, *_) in ranges.items()} | versions
    owners = {name: [re.findall(r'[a-z-]+', package)[-1]] for name, (*_, package) in family.items()}
    owners |= dict(distributions)
    owners = {name: names for name, names in owners.items() if found[name] is not None}
    monkeypatch.setattr(requirements, 'packages_distributions', lambda: owners)
    monkeypatch.setattr(requirements, 'module_version', found.get)
    monkeypatch.setattr(requirements, '_release', dict(installed).get)


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('name', NEEDED)
@pytest.mark.parametrize(
    'found, message',
    [(None, 'not installed'), ('0.1', '0.1 is installed'), ('99.0', '99.0 is installed')],
)
def test_what_does_not_fit_is_named_with_what_to_install(monkeypatch, name, found, message, family):
    """Broken if a wrong or missing library were found late, by an error deep inside of it."""
    pretend(monkeypatch, FAMILIES[family], **{name: found})
    package = {**requirements.TORCH, **FAMILIES[family]}[name][2].split()
    package = package[0] if name == 'torch' else package[-1]
    with pytest.raises(ImportError, match=f'{name}.*{message}.*pip install.*"{package}>=') as error:
        requirements.check_requirements()
    assert '\n' not in str(error.value)


def test_advice_fits_the_family_that_is_there(monkeypatch):
    """Broken if following it laid OpenMMLab's mmengine over the fork's files."""
    pretend(monkeypatch, requirements.ONEDL, mmpretrain=None)
    with pytest.raises(ImportError, match='pip install "onedl-mmpretrain>='):
        requirements.check_requirements()


def test_each_library_is_judged_by_its_own_family(monkeypatch):
    """OpenMMLab's mmcv beside the fork's mmengine works; its range is that of its own family."""
    mixed = dict(mmcv=['mmcv'])
    pretend(monkeypatch, requirements.ONEDL, mixed, mmcv='2.1.0')
    requirements.check_requirements()
    pretend(monkeypatch, requirements.ONEDL, mixed, mmcv='2.3.6')
    with pytest.raises(ImportError, match='mmcv of at least 2.0.1 and below 2.2.0'):
        requirements.check_requirements()


def test_torch_older_than_2_6_is_refused(monkeypatch):
    """Before 2.6 a checkpoint could run code."""
    pretend(monkeypatch, torch='2.5.1+cu124')
    with pytest.raises(ImportError, match=r'torch of at least 2.6.0.*2.5.1.*"torch>=2.6.0'):
        requirements.check_requirements()


def test_both_mmengines_at_once_are_refused(monkeypatch):
    """One has overwritten files of the other, and neither is whole."""
    pretend(monkeypatch, distributions=dict(mmengine=['onedl-mmengine', 'mmengine']))
    with pytest.raises(ImportError, match='pip uninstall -y mmengine onedl-mmengine') as error:
        requirements.check_requirements()
    assert '\n' not in str(error.value)


def test_distributions_that_do_not_name_their_modules_are_found(monkeypatch):
    """onedl-mmengine does not, and Python 3.10 does not look into its files."""
    both = {'mmengine': '0.10.7', 'onedl-mmengine': '0.10.12'}
    pretend(monkeypatch, distributions=dict(mmengine=[]), installed=both)
    with pytest.raises(ImportError, match='pip uninstall -y mmengine onedl-mmengine'):
        requirements.check_requirements()
    pretend(monkeypatch, distributions=dict(mmengine=['Mmengine_Lite']))
    assert requirements._distributions()['mmengine'] == {'mmengine-lite'}
    requirements.check_requirements()


def test_two_opencvs_of_different_releases_are_reported(monkeypatch, recwarn):
    """They share the folder cv2; of one release they are the same files."""
    two = {'opencv-python': '4.13.0.92', 'opencv-python-headless': '4.12.0.88'}
    pretend(monkeypatch, installed=two)
    with pytest.warns(UserWarning, match='pip uninstall -y opencv-python opencv-python-headless'):
        requirements.check_requirements()
    pretend(monkeypatch, installed=dict.fromkeys(two, '4.13.0.92'))
    requirements.check_requirements()
    assert not recwarn


@pytest.mark.parametrize(
    'found, message',
    [
        (dict(distributions=dict(mmengine=['mmengine', 'onedl-mmengine'])), 'pip uninstall -y mm'),
        (dict(installed={'opencv-python': '4.13', 'opencv-contrib-python': '4.9'}), 'opencv-contr'),
        (dict(torch='2.5.1'), '2.5.1 is installed'),
    ],
)
def test_last_look_of_the_setup_ends_with_one_line(monkeypatch, found, message):
    """Broken if `make setup` called an environment ready that has two of something."""
    path = Path(__file__).parents[1] / '.dev/check_env.py'
    spec = spec_from_file_location('check_env', path)
    check_env = module_from_spec(spec)
    spec.loader.exec_module(check_env)
    monkeypatch.setattr(check_env, 'NAMES', ())
    pretend(monkeypatch, **found)
    with pytest.raises(SystemExit, match=message) as error:
        check_env.check()
    assert '\n' not in str(error.value.code)


def test_detector_library_is_asked_for_only_with_a_detector(monkeypatch):
    """Broken if the package could not be imported without mmdet, though boxes can be given."""
    pretend(monkeypatch, mmdet=None)
    requirements.check_requirements()
    with pytest.raises(ImportError, match='mmdet, which is not installed.*"mmdet>=3.0.0,<3.4.0"'):
        requirements.check_detector_library()
    pretend(monkeypatch, requirements.ONEDL, mmdet=None)
    with pytest.raises(ImportError, match='pip install "onedl-mmdetection>='):
        requirements.check_detector_library()
    pretend(monkeypatch)
    requirements.check_detector_library()


def test_package_is_imported_where_there_is_no_mmdet(tmp_path):
    """The same in a process of its own; a detector that is asked for says what to install."""
    code = (
        'import sys\n'
        "sys.modules['mmdet'] = None\n"
        'import diffpose_mm\n'
        'from diffpose_mm.apis.detector import PersonDetector\n'
        'try:\n'
        "    PersonDetector('rtmdet-m')([], 0.3, 0.3)\n"
        'except ValueError as error:\n'
        '    print(error)\n'
    )
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert 'needs mmdet, which is not installed: pip install "' in result.stdout
    assert 'bboxes=' in result.stdout


def test_versions_are_those_of_what_can_be_imported(monkeypatch, tmp_path):
    """Broken if a release were taken from the name of a package, or a library had to be loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, init in (('with_file', '1/0'), ('left_over', None)):
        (tmp_path / name).mkdir()
        if init:
            (tmp_path / name / '__init__.py').write_text(init)
            (tmp_path / name / 'version.py').write_text('__version__ = "1.2.3rc1"')
    assert requirements.module_version('with_file') == '1.2.3rc1'
    assert requirements.module_version('left_over') is None
    assert requirements.module_version('no_such') is None
    loaded = types.SimpleNamespace(__version__='4.5', __spec__=ModuleSpec('loaded', None))
    monkeypatch.setitem(sys.modules, 'loaded', loaded)
    assert requirements.module_version('loaded') == '4.5'
    monkeypatch.setitem(sys.modules, 'no_such', None)
    assert requirements.module_version('no_such') is None


def test_what_is_here_fits():
    """The real thing, without any pretence, through every path of the look-up."""
    requirements.check_requirements()
    for name in NEEDED:
        loaded = sys.modules.pop(name)
        try:
            assert requirements.module_version(name) == loaded.__version__
        finally:
            sys.modules[name] = loaded


@pytest.mark.parametrize('path', sorted(PINS.glob('constraints/*.txt')), ids=lambda path: path.stem)
def test_pins_are_in_the_ranges(path):
    """Broken if the ranges and the pins of requirements/ said different things."""
    pins = dict(re.findall(r'(?m)^([\w.-]+)==([\d.]+)', path.read_text()))
    family = requirements.ONEDL if 'onedl-mmengine' in pins else requirements.OPENMMLAB
    for name, (lowest, too_high, package) in {**requirements.TORCH, **family}.items():
        package = package.split()[0 if name == 'torch' else -1]
        assert Version(lowest) <= Version(pins[package]) < Version(too_high), package
