"""How stand-ins come to be found: last, lazily, and also by a script that never heard of them."""

import json
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import diffpose_mm_stand_ins as stand_ins
from diffpose_mm_stand_ins import drawing, mim_utils, package_utils, xtcocotools_mask

ROOT = Path(__file__).parents[2]
PTH = (ROOT / 'diffpose_mm_stand_ins' / 'diffpose_mm_stand_ins.pth').read_text()


def run(code, *folders, start=PTH):
    """What `code` prints as JSON, in a Python that begins as one with the .pth file does."""
    lines = [f'import sys; sys.path[:0] = {[*map(str, folders), str(ROOT)]!r}', start, code]
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', '\n'.join(lines)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def write_package(folder, name, **modules):
    (folder / name).mkdir(parents=True)
    for module, code in {'__init__': '', **modules}.items():
        (folder / name / f'{module}.py').write_text(code)


def test_what_is_installed_comes_first(tmp_path):
    """Broken if a compiled mmcv or a real xtcocotools were hidden by a stand-in."""
    write_package(tmp_path, 'mmcv', _ext='real = True')
    write_package(tmp_path, 'xtcocotools', coco='real = True')
    code = (
        'import json, mmcv._ext, xtcocotools.coco\n'
        'print(json.dumps([mmcv._ext.real, xtcocotools.coco.real]))'
    )
    assert run(code, tmp_path) == [True, True]


def test_mmpose_may_be_imported_first(tmp_path):
    """Broken if `import mmpose` in somebody else's script failed where the package's own works."""
    code = (
        'import json, mmpose.apis, mmcv.ops, xtcocotools.cocoeval, sys\n'
        "print(json.dumps('diffpose_mm' in sys.modules))"
    )
    assert run(code) is False


def test_mmpose_needs_no_mmdet():
    """Broken if `import mmpose.apis` failed without mmdet, or something were taken for mmdet."""
    code = (
        "import importlib.util, json; sys.modules['mmdet'] = None\n"
        'import mmpose.apis\n'
        'from mmpose.apis.inferencers.base_mmpose_inferencer import has_mmdet\n'
        'from mmpose.models.heads.hybrid_heads.rtmo_head import reduce_mean\n'
        "print(json.dumps([has_mmdet, sys.modules['mmdet'], 'mmdet.utils' in sys.modules,\n"
        '                  reduce_mean(3)]))'
    )
    assert run(code) == [False, None, False, 3]


def test_start_of_python_is_not_slowed():
    """The .pth file runs whenever Python starts: it must not load what takes long."""
    code = (
        'import json\n'
        "print(json.dumps([name for name in ('numpy', 'torch', 'typing', 'pathlib') "
        'if name in sys.modules]))'
    )
    assert run(code) == []


def test_start_of_python_survives_without_the_package():
    """A .pth file that was left behind must not make every start of Python complain."""
    code = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
    result = subprocess.run(
        [sys.executable, '-I', '-S', '-c', code + PTH], capture_output=True, text=True, cwd='/'
    )
    assert (result.returncode, result.stderr) == (0, '')


def test_second_call_changes_nothing():
    stand_ins.install()
    finders = list(sys.meta_path)
    stand_ins.install()
    assert sys.meta_path == finders
    assert sum(isinstance(finder, stand_ins.AbsentFinder) for finder in finders) == 1


def test_without_what_it_stands_on_there_is_no_stand_in(monkeypatch):
    """Broken if a missing xtcocotools were reported as a missing pycocotools."""
    finder = stand_ins.AbsentFinder()
    assert finder.find_spec('xtcocotools').submodule_search_locations
    monkeypatch.setattr(stand_ins, 'find_spec', lambda name: None)
    assert finder.find_spec('xtcocotools') is None
    assert finder.find_spec('json') is None


def test_corrected_module_keeps_its_loader(tmp_path):
    """Sources can still be shown; the correction comes before anything is copied elsewhere."""
    write_package(tmp_path / 'mmengine', 'utils', package_utils=PACKAGE_UTILS)
    (tmp_path / 'mmengine' / '__init__.py').touch()
    (tmp_path / 'mmengine' / 'utils' / '__init__.py').write_text(
        'from .package_utils import is_installed'
    )
    code = (
        'import inspect, json\n'
        "sys.modules['pkg_resources'] = None\n"  # as from setuptools 82 on
        'import mmengine.utils\n'
        "print(json.dumps([mmengine.utils.is_installed('torch'),\n"
        "                  mmengine.utils.is_installed('no-such'),\n"
        "                  'pkg_resources' in inspect.getsource(mmengine.utils.package_utils)]))"
    )
    assert run(code, tmp_path) == [True, False, True]


def test_module_that_was_imported_before_is_corrected(tmp_path):
    """Without the .pth file `import mmpose` may come first; copies of a function count too."""
    write_package(tmp_path / 'mmengine', 'utils', package_utils=PACKAGE_UTILS)
    (tmp_path / 'mmengine' / '__init__.py').touch()
    (tmp_path / 'mmengine' / 'utils' / '__init__.py').write_text(
        'from .package_utils import is_installed'
    )
    code = (
        "import json; sys.modules['pkg_resources'] = None\n"
        f'import mmengine.utils\n{PTH}\n'
        "print(json.dumps(mmengine.utils.is_installed('torch')))"
    )
    assert run(code, tmp_path, start='') is True


PACKAGE_UTILS = """
def is_installed(package):
    import pkg_resources
    return bool(pkg_resources.get_distribution(package))

def get_installed_path(package):
    import pkg_resources
    return pkg_resources.get_distribution(package).location

def package2module(package):
    import pkg_resources
    return pkg_resources.get_distribution(package).project_name
"""


def mmengine_like(code=PACKAGE_UTILS):
    module = types.ModuleType('mmengine.utils.package_utils')
    exec(code, vars(module))
    return module


def test_package_utils_are_left_alone_where_they_work(monkeypatch):
    """Broken if a release that needs no pkg_resources, or has one, were changed."""
    module = mmengine_like()
    monkeypatch.setattr(package_utils.importlib.util, 'find_spec', lambda name: 'there')
    before = dict(vars(module))
    package_utils.correct(module)
    assert vars(module) == before
    module = mmengine_like(PACKAGE_UTILS.replace('pkg_resources', 'metadata'))
    monkeypatch.setattr(package_utils.importlib.util, 'find_spec', lambda name: None)
    before = dict(vars(module))
    package_utils.correct(module)
    assert vars(module) == before


def test_package_utils_answer_as_mmengine_does(tmp_path, monkeypatch):
    """Broken if `mmpose::` in a config led to another folder where pkg_resources is gone."""
    import mmpose

    folder = str(Path(mmpose.__file__).parent)
    assert package_utils.get_installed_path('mmpose') == folder
    assert package_utils.is_installed('mmpose') and not package_utils.is_installed('no-such')
    assert package_utils.package2module('mmpose') == 'mmpose'
    write_package(tmp_path, 'only_a_module')
    monkeypatch.syspath_prepend(tmp_path)
    assert package_utils.is_installed('only_a_module')
    path = package_utils.get_installed_path('only_a_module')
    assert path == str(tmp_path / 'only_a_module')
    (tmp_path / 'no_code').mkdir()
    assert not package_utils.is_installed('no_code')
    with pytest.raises(RuntimeError, match='namespace package'):
        package_utils.get_installed_path('no_code')
    with pytest.raises(metadata.PackageNotFoundError):
        package_utils.get_installed_path('no-such')


class OpencvBackendVisualizer:
    backend = 'opencv'

    def draw_circles(self, center, radius, color='none'):
        return int(radius) if self.backend == 'opencv' else radius


@pytest.mark.parametrize('radius', [3, 3.7, np.float32(3.7), np.array(3), np.array([3])])
def test_circle_is_drawn_with_any_form_of_radius(radius, monkeypatch):
    """Broken if drawing failed from numpy 2.4 on."""
    module = types.ModuleType('visualizer')
    module.OpencvBackendVisualizer = type('Visualizer', (OpencvBackendVisualizer,), {})
    monkeypatch.setattr(drawing, '_arrays_are_no_numbers', lambda: True)
    drawing.correct(module)
    visualizer = module.OpencvBackendVisualizer()
    assert visualizer.draw_circles((0, 0), radius, color='g') == 3
    visualizer.backend = 'matplotlib'
    assert visualizer.draw_circles((0, 0), radius) is radius


def test_drawing_is_left_alone_where_numpy_takes_arrays(monkeypatch):
    module = types.SimpleNamespace(OpencvBackendVisualizer=OpencvBackendVisualizer)
    original = OpencvBackendVisualizer.draw_circles
    monkeypatch.setattr(drawing, '_arrays_are_no_numbers', lambda: False)
    drawing.correct(module)
    assert OpencvBackendVisualizer.draw_circles is original


def test_mmpose_draws_a_circle():
    """The real visualizer, beside whatever numpy is here."""
    from mmpose.visualization import PoseLocalVisualizer

    visualizer = PoseLocalVisualizer(backend='opencv')
    visualizer.set_image(np.zeros((20, 20, 3), np.uint8))
    visualizer.draw_circles(np.array([10, 10]), radius=np.array([3]), face_colors=(255, 0, 0))
    assert visualizer.get_image()[10, 10].tolist() == [255, 0, 0]


def test_mim_of_the_fork_finds_the_package(tmp_path, monkeypatch):
    """Broken if `mim train` looked in the folder of the metadata; openmim is left alone."""
    (tmp_path / 'pkg').mkdir()
    monkeypatch.setattr(
        mim_utils,
        'distribution',
        lambda name: types.SimpleNamespace(locate_file=lambda path: tmp_path),
    )

    def first_entry(package):
        return f'{package}-1.0.dist-info'

    fork = types.SimpleNamespace(importlib_metadata=metadata, get_installed_path=first_entry)
    mim_utils.correct(fork)
    assert fork.get_installed_path('pkg') == str(tmp_path / 'pkg')
    assert fork.get_installed_path('onedl-other') == 'onedl-other-1.0.dist-info'
    openmim = types.SimpleNamespace(get_installed_path=first_entry)
    mim_utils.correct(openmim)
    assert openmim.get_installed_path is first_entry


def test_mask_of_numpy_1_is_replaced_beside_numpy_2(monkeypatch):
    """xtcocotools' wheel cannot be loaded beside numpy 2, and its Python files can."""
    finder = stand_ins.CorrectingFinder()
    monkeypatch.setattr(stand_ins, '_numpy_2', lambda: False)
    assert finder.find_spec('xtcocotools._mask') is None
    monkeypatch.setattr(stand_ins, '_numpy_2', lambda: True)
    spec = finder.find_spec('xtcocotools._mask')
    assert spec.origin == xtcocotools_mask.__file__
    box = np.array([[0.0, 0, 10, 10]])
    assert xtcocotools_mask.iou(box, box, [0]) == 1
