#!/usr/bin/env bash
# pandas 3.1.1 and 2.3.3: an h5 that to_hdf(format='table') writes, as DeepLabCut's scripts do, read by the other one.
#
# One would guess: HDF5 is there to be exchanged, so an h5 of numbers is read by both, whichever wrote it.
# What happens: what pandas 3 writes as a table, be it one column of numbers, pandas 2 refuses with "'NoneType' object has no
# attribute 'startswith'", which names neither file nor version. The other way round it works, and so does format='fixed' both
# ways. The option future.infer_string=False at writing changes nothing.
# Guessed before the run: that the string labels of the columns were it; they are not, 'fixed' has the same ones.
# Versions: pandas 3.1.1 and 2.3.3, tables 3.11.1, Python 3.11. Who meets it: whoever hands tracked poses to a laboratory
# whose tools (DeepLabCut, movement beside a pinned library) are on pandas 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 3.1.1 2.3.3; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/python" -m pip install -q --no-compile --disable-pip-version-check pandas==$version tables==3.11.1
done
cd "$work"
cat > write.py << 'PY'
import numpy as np
import pandas

names = [('net', 'anna', joint, axis) for joint in ('nose', 'neck') for axis in ('x', 'y', 'likelihood')]
columns = pandas.MultiIndex.from_tuples(names, names=['scorer', 'individuals', 'bodyparts', 'coords'])
plain = pandas.DataFrame({'x': [1.5, 2.5]})
poses = pandas.DataFrame(np.arange(24.0).reshape(4, 6), columns=columns)
for kind in ('table', 'fixed'):
    poses.to_hdf(f'{pandas.__version__}-{kind}.h5', key='df_with_missing', mode='w', format=kind)
    plain.to_hdf(f'{pandas.__version__}-{kind}-plain.h5', key='df_with_missing', mode='w', format=kind)
with pandas.option_context('future.infer_string', False):
    poses.to_hdf(f'{pandas.__version__}-table-object.h5', key='df_with_missing', mode='w', format='table')
PY
cat > read.py << 'PY'
import glob
import sys

import pandas

for path in sorted(glob.glob(f'{sys.argv[1]}-*.h5')):
    try:
        found = f'{len(pandas.read_hdf(path))} rows'
    except Exception as error:
        found = f'{type(error).__name__}: {error}'
    print(f'pandas {pandas.__version__} reads {path[:-3]}: {found}')
PY
for version in 3.1.1 2.3.3; do "$version/bin/python" -W ignore write.py; done
{
    2.3.3/bin/python -W ignore read.py 3.1.1
    3.1.1/bin/python -W ignore read.py 2.3.3
} | tee seen.txt
grep -q "2.3.3 reads 3.1.1-table: AttributeError: 'NoneType' object has no attribute 'startswith'" seen.txt || { echo CHANGED; exit 1; }
grep -q '2.3.3 reads 3.1.1-fixed: 4 rows' seen.txt || { echo CHANGED; exit 1; }
grep -q '3.1.1 reads 2.3.3-table: 4 rows' seen.txt || { echo CHANGED; exit 1; }
