#!/usr/bin/env bash
# wheels.sh DIR [PYTHON_VERSION]: what a host needs that has torch, numpy, scipy and pillow but no
# package index (default 3.12), as wheels in DIR, with this package among them and DIR/install.sh.
# HAVE names what else the host has; TESTS=1 adds what `make test` needs, mim among it. OpenCV comes
# headless: a host without a screen lacks libGL. What is there already is not fetched again.
set -euo pipefail
out=$(mkdir -p "${1:?folder to write to}" && cd "$1" && pwd)
version=${2:-3.12}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
constraints=requirements/constraints/current-py$version.txt
have="torch torchvision numpy scipy pillow pip setuptools wheel filelock fsspec jinja2 markupsafe mpmath
networkx sympy typing-extensions ${HAVE:-}"
[ "${TESTS:-0}" = 1 ] || have="$have $(sed 's/[#].*//' requirements/tests.txt) openmim openxlab opendatalab pandas"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install --upgrade pip setuptools wheel
while read -r line; do
    name=${line%%==*}
    case " $(echo $have) " in *" $name "*) continue ;; esac
    [ "$name" != opencv-python ] || line=${line/opencv-python/opencv-python-headless}
    echo "$line"
done < <(grep -v '^#' "$constraints") > "$work/list.txt"
pip download --no-deps --only-binary=:all: --python-version "$version" -d "$out" -r "$work/list.txt"
pip wheel --no-deps --no-build-isolation -w "$out" .
rm -rf build diffpose_mm.egg-info
cp .dev/install_wheels.sh "$out/install.sh"
du -sh "$out"
