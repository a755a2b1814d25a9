"""The table of a video: a row a person-frame, as Parquet; docs/archive.md has the columns."""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from .requirements import needed

FORMAT = 'diffpose_mm poses 1'
ROWS = 4096
"""Of a row group, and in memory while it is written."""


def schema(shared: Mapping[str, Any]) -> Any:
    """The columns; ``shared`` goes along as JSON in the metadata of the file."""
    (arrow,) = needed('pyarrow')
    real, joints = arrow.float64(), arrow.list_(arrow.float32())
    return arrow.schema(
        [
            ('path', arrow.string()),
            ('camera', arrow.string()),
            ('frame_id', arrow.int64()),
            ('time', real),
            ('track_id', arrow.int64()),
            *((f'bbox_{edge}', arrow.float32()) for edge in ('x1', 'y1', 'x2', 'y2')),
            ('bbox_score', arrow.float32()),
            ('x', joints),
            ('y', joints),
            ('score', joints),
            ('std_x', joints),
            ('std_y', joints),
        ],
        metadata={'diffpose_mm': json.dumps(dict(shared, format=FORMAT))},
    )


def rows_of(entry: Mapping[str, Any], path: str, camera: str) -> Iterable[dict]:
    """The rows of a frame."""
    for person in entry['instances']:
        (box,) = person['bbox']
        spread = person.get('keypoint_std')
        yield dict(
            path=path,
            camera=camera or None,
            frame_id=entry['frame_id'],
            time=entry['time'],
            track_id=person.get('track_id'),
            bbox_x1=box[0],
            bbox_y1=box[1],
            bbox_x2=box[2],
            bbox_y2=box[3],
            bbox_score=person['bbox_score'],
            x=[point[0] for point in person['keypoints']],
            y=[point[1] for point in person['keypoints']],
            score=person['keypoint_scores'],
            std_x=None if spread is None else [each[0] for each in spread],
            std_y=None if spread is None else [each[1] for each in spread],
        )


class TableWriter:
    """Writes a table, some rows at a time.

    Args:
        path: The file; it is to be moved into place when it is closed.
        shared: What all rows share.
        video, camera: Go into every row.
    """

    def __init__(self, path: str, shared: Mapping[str, Any], video: str, camera: str) -> None:
        self._arrow, parquet = needed('pyarrow', 'pyarrow.parquet')
        self._schema = schema(shared)
        self._told = video, camera
        self._rows: list[dict] = []
        self._file = open(path, 'wb')
        try:
            self._writer = parquet.ParquetWriter(self._file, self._schema, compression='zstd')
        except BaseException:
            self._file.close()
            raise

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add a frame.

        Raises:
            OSError: It cannot be written.
        """
        self._rows += rows_of(entry, *self._told)
        if len(self._rows) >= ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def finish(self) -> None:
        """Complete the file, and see it to the disk."""
        self._flush()
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """In any case, last."""
        self._file.close()


def read_shared(path: str) -> dict[str, Any] | None:
    """What all rows of a table share, or None if it is none of ours."""
    (parquet,) = needed('pyarrow.parquet')
    try:
        metadata = parquet.read_schema(path).metadata or {}
        shared = json.loads(metadata[b'diffpose_mm'])
    except (OSError, ValueError, KeyError):  # ArrowInvalid is a ValueError
        return None
    return shared if shared.get('format') == FORMAT else None
