"""The package's own entry needs neither mim nor pkg_resources."""

import os
import subprocess
import sys
from pathlib import Path

from tools_helpers import CONFIG, arguments

ROOT = Path(__file__).resolve().parents[2]
# As beside setuptools 82 and newer, with nothing of mim installed.
START = """
import runpy, sys
for name in ('pkg_resources', 'mim'):
    sys.modules[name] = None
import diffpose_mm_stand_ins
diffpose_mm_stand_ins.install()
sys.argv = ['diffpose_mm', *sys.argv[1:]]
runpy.run_module('diffpose_mm', run_name='__main__')
"""


def run(*argv):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', START, *argv],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_training_runs_without_mim(tiny_posetrack, tmp_path):
    """Broken if a config's `mmpose::`, or a tool, could not do without pkg_resources."""
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    trained = run(
        'train', *arguments(CONFIG, data_root=tiny_posetrack, work_dir=tmp_path, options=options)
    )
    assert trained.returncode == 0, trained.stderr[-2000:]
    assert (tmp_path / 'epoch_1.pth').exists()
    assert 'posetrack/AP' in trained.stdout


def test_tools_are_named():
    """Broken if `python -m diffpose_mm` did not say what there is to run."""
    result = run()
    assert result.returncode == 1
    for name in ('train', 'test', 'infer', 'synthesize', 'prepare_posetrack'):
        assert name in result.stderr
