#!/usr/bin/env bash
# pyarrow 26.0.1 beside NumPy 1.26.4, installed together by pip, and read a table of poses with.
#
# One would guess: pip refuses the pair or chooses another release, as it does for OpenCV 4.13 and NumPy 1; or it works, as
# pyarrow is built against NumPy 2 and such builds run beside NumPy 1.
# What happens: pip installs both and `pip check` finds nothing, since pyarrow names no dependency; `import pyarrow` then is an
# ImportError, so that pandas' to_parquet says that no engine could be found, with pyarrow there. 25.0.1 works beside both.
# Not guessed: it was met where a test suite ran beside NumPy 1. How little pandas would say of the reason was not guessed either.
# Versions: pyarrow 26.0.1 and 25.0.1, NumPy 1.26.4, pandas 2.3.3. Who meets it: whoever keeps NumPy 1 for a compiled pose
# library (xtcocotools, an older mmcv) and adds Parquet to the environment.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --disable-pip-version-check "$@"; }
cat > "$work/table.py" << 'PY'
import numpy
import pandas

poses = pandas.DataFrame({'frame': numpy.arange(3), 'x': [1.5, 2.5, 3.5]})
try:
    import pyarrow

    name = f'pyarrow {pyarrow.__version__}'
except ImportError as error:
    name = f'ImportError: {error}'
try:
    poses.to_parquet('poses.parquet')
    found = f'{len(pandas.read_parquet("poses.parquet"))} rows'
except ImportError as error:
    found = 'ImportError: ' + ' '.join(str(error).split())[:90]
print(f'NumPy {numpy.__version__}, {name}; pandas: {found}')
PY
cd "$work"
for version in 26.0.1 25.0.1; do
    pip install -q --no-compile numpy==1.26.4 pandas==2.3.3 "pyarrow==$version"
    echo "pip check beside pyarrow $version: $(pip check)"
    "$work/venv/bin/python" -W ignore table.py
done | tee seen.txt
grep -q 'pip check beside pyarrow 26.0.1: No broken requirements found.' seen.txt || { echo CHANGED; exit 1; }
grep -q 'ImportError: pyarrow requires NumPy 2.0 or newer, found 1.26.4; pandas: ImportError' seen.txt || { echo CHANGED; exit 1; }
grep -q 'pyarrow 25.0.1; pandas: 3 rows' seen.txt || { echo CHANGED; exit 1; }
