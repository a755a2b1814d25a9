#!/usr/bin/env bash
# Installs the wheels beside this script into a virtual environment beside them that sees the host's
# own packages. Nothing is downloaded, and nothing of the host's is changed. When it has been done for
# these wheels, it says so at once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
py=$here/venv/bin/python
stamp=$here/venv/stamps/package
key=$(python3 --version; cd "$here" && stat -c '%n %s' -- *.whl)
if [ "$(cat "$stamp" 2> /dev/null || true)" != "$key" ]; then
    python3 -m venv --clear --system-site-packages "$here/venv"
    "$py" -m pip install -q --no-index --no-deps "$here"/*.whl
    "$py" -W ignore -c 'import mmpose.apis, diffpose_mm, torch
print(f"diffpose_mm {diffpose_mm.__version__}, torch {torch.__version__}, GPU: {torch.cuda.is_available()}")'
    mkdir -p "${stamp%/*}" && printf '%s\n' "$key" > "$stamp"
fi
echo "run with $py -m diffpose_mm"
