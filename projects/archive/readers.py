"""An archive as pandas, polars and DuckDB read it: the same rows, in all three.

pip install pandas polars duckdb
python projects/archive/readers.py OUT/poses
"""

import argparse
import math
from pathlib import Path

import duckdb
import pandas
import polars

COLUMNS = ('video', 'path', 'frame_id', 'time', 'track_id', 'bbox_x1', 'bbox_score', 'x', 'std_y')


def plain(value):
    """Lists as tuples, and None for what is not there."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return (
        tuple(value.tolist() if hasattr(value, 'tolist') else value)
        if (hasattr(value, '__len__') and not isinstance(value, str))
        else value
    )


def main(argv=None):
    """Read and compare; gives the number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', type=Path)
    folder = parser.parse_args(argv).folder
    files = str(folder / '*/*.parquet')
    frame = pandas.read_parquet(folder)[list(COLUMNS)]
    read = dict(
        pandas=frame.astype(dict(video=str)).itertuples(index=False, name=None),
        polars=polars.read_parquet(files, hive_partitioning=True).select(COLUMNS).iter_rows(),
        duckdb=duckdb.sql(
            f"select {', '.join(COLUMNS)} from read_parquet('{files}', hive_partitioning=true)"
        ).fetchall(),
    )
    rows = {
        name: sorted((tuple(map(plain, row)) for row in found), key=lambda row: row[:1] + row[2:5])
        for name, found in read.items()
    }
    for name, found in rows.items():
        assert found == rows['pandas'], name
    print(f'{len(rows["pandas"])} rows, the same in {", ".join(rows)}')
    return len(rows['pandas'])


if __name__ == '__main__':
    main()
