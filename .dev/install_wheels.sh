#!/usr/bin/env bash
# Installs the wheels beside this script into a virtual environment beside them that sees the host's
# own packages. Nothing is downloaded, and nothing of the host's is changed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python3 -m venv --system-site-packages "$here/venv"
"$here/venv/bin/python" -m pip install -q --no-index --no-deps "$here"/*.whl
"$here/venv/bin/python" -W ignore -c 'import mmpose.apis, diffpose_mm, torch
print(f"diffpose_mm {diffpose_mm.__version__}, torch {torch.__version__}, GPU: {torch.cuda.is_available()}")'
echo "run with $here/venv/bin/python -m diffpose_mm"
