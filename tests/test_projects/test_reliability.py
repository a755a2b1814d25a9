"""projects/reliability: a short run of what its long run does."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / 'projects/reliability/faults.py'


def test_a_killed_training_ends_with_the_same_bits(tiny_posetrack, tmp_path):
    """The real tool and config, with workers; broken if anything is lost between two starts."""
    command = [sys.executable, SCRIPT, 'kill', '--kills', 1, '--epochs', 2, '--by-iteration', 2]
    command += ['--data-root', tiny_posetrack, '--out', tmp_path / 'out']
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # onedl-mmdetection prints two lines when it is imported.
    *_, killed, resumed = done.stdout.splitlines()
    assert killed.startswith('kill: kill 1 after ')
    assert 'exit status 0' in resumed and 'bit-identical' in resumed
