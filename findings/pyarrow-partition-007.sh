#!/usr/bin/env bash
# pyarrow 26.0.1, pandas 3.1.1, polars 2.1.0 and DuckDB 2.0.1: a Parquet data set in folders camera=007, camera=7, camera=0010.
#
# One would guess: the name of a folder is the value of its column, so that there are three cameras, 007, 7 and 0010.
# What happens: pyarrow and polars read numbers: two cameras, 7 and 10, and the rows of 007 and of 7 are one, without a
# word. pandas cannot read the data set at all ("Categorical categories must be unique"). DuckDB keeps the names. A
# folder camera=walk beside them turns all of them into strings again, so that the same filter, ("camera", "==",
# "007"), finds a row, or ends in an error, by which other folders are there. Guessed before the run: an integer for
# "7" alone. Missed: that leading zeros do not keep it from that, that two partitions become one, and pandas' error.
# Versions: as above, Python 3.11. Who meets it: whoever partitions tables by cameras, subjects or trials that are
# numbered with leading zeros, as folders of recordings are. A letter in every name is the way around.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1
cd "$work"
"$work/venv/bin/python" - << 'PY'
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet as parquet


def seen(cameras):
    """The cameras that each reader sees, in the order of the rows' own record of them."""
    folder = Path('-'.join(cameras))
    for camera in cameras:
        (folder / f'camera={camera}').mkdir(parents=True)
        parquet.write_table(pyarrow.table({'written': [camera]}), folder / f'camera={camera}/a.parquet')
    files = f'{folder}/*/*.parquet'
    rows = parquet.read_table(folder).to_pylist()
    found = dict(pyarrow={row['written']: row['camera'] for row in rows})
    rows = polars.read_parquet(files, hive_partitioning=True).to_dicts()
    found['polars'] = {row['written']: row['camera'] for row in rows}
    rows = duckdb.sql(f"select written, camera from read_parquet('{files}', hive_partitioning=true)").fetchall()
    found['duckdb'] = dict(rows)
    try:
        frame = pandas.read_parquet(folder)
        found['pandas'] = dict(zip(frame.written, frame.camera))
    except ValueError as error:
        found['pandas'] = str(error)
    try:
        found['filter'] = len(pandas.read_parquet(folder, filters=[('camera', '==', '007')]))
    except pyarrow.ArrowNotImplementedError:
        found['filter'] = 'error'
    for reader, value in found.items():
        print(f'{cameras}, {reader}: {value}')
    return found


names = {'007': '007', '7': '7', '0010': '0010'}
numbers = {'007': 7, '7': 7, '0010': 10}
assert seen(['007', '7', '0010']) == dict(
    pyarrow=numbers, polars=numbers, duckdb=names, pandas='Categorical categories must be unique', filter='error'
), 'CHANGED'
names['walk'] = 'walk'
assert seen(['007', '7', '0010', 'walk']) == dict(
    pyarrow=names, polars=names, duckdb=names, pandas=names, filter=1
), 'CHANGED'
PY
