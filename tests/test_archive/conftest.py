"""What archives share with the tests of inference, and with the study of faults."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / 'tests/test_apis'), str(ROOT / 'projects/archive')]
