"""The tiny DiffPose of the tests of inference is that of archives, too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / 'test_apis'))
