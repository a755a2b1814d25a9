#!/usr/bin/env bash
# lock.sh STACK PYTHON: writes requirements/constraints/STACK-pyX.Y.txt, every package at the newest
# release that fits the stack today. Nothing is installed but pip; the index is only asked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stack=$1 python=$2
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install --upgrade pip wheel
grep -v '^mmpose' "requirements/stacks/$stack.txt" > "$work/stack.txt"
pip install --dry-run --ignore-installed --report "$work/report.json" -r "$work/stack.txt" pip wheel \
    -r requirements/mmpose_deps.txt -r requirements/runtime.txt -r requirements/tests.txt
target=requirements/constraints/$stack-py$version.txt
{
    printf '# Written by .dev/lock.sh %s on %s: every package of this cell.\n' "$stack" "$(date -u +%Y-%m-%d)"
    {
        grep '^mmpose==' "requirements/stacks/$stack.txt"
        "$python" - "$work/report.json" << 'PY'
import json
import re
import sys

for package in json.load(open(sys.argv[1]))['install']:
    name = re.sub('[-_.]+', '-', package['metadata']['name']).lower()
    # The CUDA libraries follow from torch's own pins.
    if not name.startswith(('nvidia-', 'cuda-', 'triton')):
        print(f"{name}=={package['metadata']['version'].partition('+')[0]}")
PY
    } | LC_ALL=C sort
} > "$target.new"
mv "$target.new" "$target"
echo "$target: $(grep -c == "$target") packages"
