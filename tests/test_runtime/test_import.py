"""What an import of the runtime brings in."""

import json
import subprocess
import sys
from pathlib import Path

import diffpose_mm_runtime

ROOT = Path(diffpose_mm_runtime.__file__).parent
CODE = """
import sys
before = set(sys.modules)
import importlib, json, pkgutil, diffpose_mm_runtime
for module in pkgutil.iter_modules(diffpose_mm_runtime.__path__):
    importlib.import_module(f'diffpose_mm_runtime.{module.name}')
for name in diffpose_mm_runtime.__all__:
    getattr(diffpose_mm_runtime, name)
print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))
"""


def test_neither_torch_nor_mm(tmp_path):
    """Broken if any module of the runtime needed torch, MMPose, MMEngine or diffpose_mm itself."""
    done = subprocess.run(
        [sys.executable, '-c', CODE], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    roots = json.loads(done.stdout)
    assert {'numpy', 'cv2', 'diffpose_mm_runtime'} <= set(roots)
    foreign = [n for n in roots if n in ('torch', 'diffpose_mm', 'scipy') or n.startswith('mm')]
    assert foreign == [n for n in foreign if n == 'mmap']
