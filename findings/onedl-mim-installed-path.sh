#!/usr/bin/env bash
# onedl-mim 0.5.1: `mim run PKG SCRIPT` for a package whose distribution has its module's name.
#
# One would guess: as with openmim, the script is found in PKG/.mim/tools and run; if it were not
# there, "No script in codebase PKG".
# What happens: the first entry of RECORD is taken for the package's folder. pip sorts RECORD, and
# "PKG-1.0.dist-info/INSTALLER" comes before "PKG/...", so mim looks into the metadata, finds no
# folder of scripts, and ends in an UnboundLocalError. The fork's own packages escape, because their
# distributions are called otherwise (onedl-mmdetection, module mmdet: "mmdet/..." comes first).
# Missed by the guess: that the outcome depends on the name of the distribution.
# Versions: onedl-mim 0.5.1, pip 26.3, Python 3.11. Who meets it: every plugin, and mmpose.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
py=$work/venv/bin/python
"$py" -m pip install -q --disable-pip-version-check pip==26.3 onedl-mim==0.5.1 setuptools==80.9.0 wheel
# A package of one script, where mim looks for scripts.
mkdir -p "$work/src/plugin/.mim/tools"
echo "print('the script runs')" > "$work/src/plugin/.mim/tools/hello.py"
touch "$work/src/plugin/__init__.py"
cat > "$work/src/setup.py" << 'PY'
from setuptools import setup

setup(name='plugin', version='1.0', packages=['plugin'], package_data={'plugin': ['.mim/tools/*.py']})
PY
"$py" -m pip install -q --disable-pip-version-check --no-build-isolation "$work/src"
cd "$work"
"$py" -c "import importlib.metadata as m; print('onedl-mim', m.version('onedl-mim'))"
ls "$work"/venv/lib/python3*/site-packages/plugin/.mim/tools/hello.py | sed "s|$work|...|"
path=$("$py" -c 'from mim.utils import get_installed_path; print(get_installed_path("plugin"))' | tail -n 1)
echo "get_installed_path('plugin') = ${path#"$work"/}"
case $path in */plugin-1.0.dist-info) ;; *) echo 'CHANGED: another folder' ; exit 1 ;; esac
if output=$("$work/venv/bin/mim" run plugin hello 2>&1); then
    echo "CHANGED: mim run ended well: $output"
    exit 1
fi
tail -n 1 <<< "$output"
grep -q '^UnboundLocalError' <<< "$output" || { echo 'CHANGED: another error'; exit 1; }
