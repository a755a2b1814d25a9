#!/usr/bin/env bash
# mmengine 0.10.7: `is_installed('X')` beside setuptools 82 or newer.
#
# One would guess: True or False, as its docstring says.
# What happens: ModuleNotFoundError, No module named 'pkg_resources', for any X; so fail
# `get_installed_path` and every config with `_base_ = 'mmdet::...'`. Missed by the guess:
# nothing asks for an old setuptools (mmengine does not name it among its requirements), and torch's
# wheels ask for setuptools and so bring the newest: installing torch is what breaks the config.
# Versions: mmengine 0.10.7, setuptools 82.0.0; works with 79.0.1. Python 3.11. Who meets it:
# everybody who installs OpenMMLab's libraries today.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
py=$work/venv/bin/python
pip() { "$py" -m pip -q --disable-pip-version-check "$@"; }
pip install mmengine==0.10.7
cd "$work"
cat > ask.py << 'PY'
import importlib.metadata as metadata

import mmengine
from mmengine.utils import is_installed

try:
    answer = is_installed('numpy'), is_installed('no-such-package')
except Exception as error:
    answer = f'{type(error).__name__}: {error}'
print(f'mmengine {mmengine.__version__}, setuptools {metadata.version("setuptools")}: {answer}')
PY
ask() { "$py" -W ignore ask.py; }
pip install setuptools==79.0.1
before=$(ask)
pip install setuptools==82.0.0
after=$(ask)
printf '%s\n' "$before" "$after"
grep -q '(True, False)$' <<< "$before" || { echo 'CHANGED with setuptools 79'; exit 1; }
grep -q "ModuleNotFoundError: No module named 'pkg_resources'" <<< "$after" || { echo 'CHANGED with setuptools 82'; exit 1; }
