"""The folder of an archive: what lies where, whose run it is, and which videos are done.

    OUT/archive.json                       what the poses depend on
    OUT/poses/video=KEY/poses.parquet      a video, whole
    OUT/json/KEY.json                      the same as JSON, if asked for
    OUT/failed/KEY.json                    why a video is not there
    OUT/report.json                        the last run
    OUT/.plans, OUT/.work, OUT/.lock       what a run needs to go on

A video is done when its Parquet file is there: it is moved into place whole, and last.
"""

import json
import os
import os.path as osp
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ..files import atomic_write, lock_file, prepare_folder, read_json
from ..identity import differences
from .manifest import Entry, is_address
from .plan import Plan
from .table import read_shared

FORMAT = 'diffpose_mm archive 1'


class Output:
    """The folder of an archive.

    Args:
        folder: It is made if it is not there.

    Raises:
        ValueError: It is an address and no folder.
    """

    def __init__(self, folder: str) -> None:
        if is_address(folder):
            raise ValueError(
                f'--out {folder} is an address: give a folder (of a disk, or of storage that is '
                'mounted), and copy its poses/ there afterwards; what lies in it is always whole'
            )
        self.folder = osp.abspath(folder)
        self._lock: IO[Any] | None = None

    def open(self) -> None:
        """Hold the folder for this run.

        Raises:
            ValueError: Another run holds it, or it is of another kind.
            OSError: It cannot be written to.
        """
        prepare_folder(self.folder)
        self._lock = open(self.path('.lock'), 'a')
        lock_file(self._lock, self.folder)

    def close(self) -> None:
        """Let it go."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def path(self, *parts: str) -> str:
        """A path in the folder."""
        return osp.join(self.folder, *parts)

    def parquet(self, key: str) -> str:
        """Where a video's table ends up."""
        return self.path('poses', f'video={key}', 'poses.parquet')

    def json(self, key: str) -> str:
        """Where a video's JSON ends up."""
        return self.path('json', f'{key}.json')

    def work(self, key: str, *parts: str) -> str:
        """What is kept of a video that is not done."""
        return self.path('.work', key, *parts)

    def check_identity(self, identity: Mapping[str, Any]) -> None:
        """Write down what the poses depend on, or compare with what is there.

        Raises:
            ValueError: The folder is of another run; says what differs.
        """
        now = json.loads(json.dumps(dict(identity)))
        path = self.path('archive.json')
        if not osp.exists(path):
            write_json(path, dict(format=FORMAT, run=now))
            return
        there = _read(path)
        if not isinstance(there, dict) or there.get('format') != FORMAT:
            raise ValueError(f'{path} is not of this program: give another folder')
        changed = differences(there['run'], now)
        if changed:
            raise ValueError(
                f'{self.folder} is of another run ({", ".join(changed)}): give the same arguments, '
                'or another folder'
            )

    def is_done(self, plan: Plan, with_json: bool) -> bool:
        """Whether a video is there whole, of this content."""
        key = plan.entry.key
        if not osp.exists(self.parquet(key)) or (with_json and not osp.exists(self.json(key))):
            return False
        shared = read_shared(self.parquet(key))
        return shared is not None and shared.get('content') == plan.content

    def load_plan(self, entry: Entry) -> Plan | None:
        """The plan of a video that has not changed since, or None."""
        fields = _read(self.path('.plans', f'{entry.key}.json'))
        try:
            status = os.stat(entry.path)
            if fields['file'] != [status.st_size, status.st_mtime_ns]:
                return None
            return Plan.from_dict(entry, fields['plan'])
        except (OSError, KeyError, TypeError):
            return None

    def save_plan(self, plan: Plan) -> None:
        """Keep a plan."""
        status = os.stat(plan.entry.path)
        fields = dict(file=[status.st_size, status.st_mtime_ns], plan=plan.to_dict())
        write_json(self.path('.plans', f'{plan.entry.key}.json'), fields)

    def prepare_work(self, plan: Plan, layout: Mapping[str, Any]) -> None:
        """Keep what an earlier run has left of a video if it was cut alike, else remove it."""
        key = plan.entry.key
        now = json.loads(json.dumps(dict(layout, content=plan.content)))
        path = self.work(key, 'layout.json')
        if _read(path) != now:
            self.clear_work(key)
            write_json(path, now)

    def clear_work(self, key: str) -> None:
        """Remove what was kept of a video."""
        shutil.rmtree(self.work(key), ignore_errors=True)

    def failure(self, key: str) -> dict | None:
        """Why a video is not there, as :meth:`fail` wrote it."""
        found = _read(self.path('failed', f'{key}.json'))
        return found if isinstance(found, dict) else None

    def fail(self, entry: Entry, reason: str, quarantined: bool = False) -> None:
        """Write down why a video is not there."""
        write_json(
            self.path('failed', f'{entry.key}.json'),
            dict(path=entry.path, video=entry.key, reason=reason, quarantined=quarantined),
        )

    def forget_failure(self, key: str) -> None:
        """A video that failed before is there now, or is tried again."""
        Path(self.path('failed', f'{key}.json')).unlink(missing_ok=True)

    def deaths(self, key: str) -> list[dict]:
        """Where workers died over a video, also in earlier runs."""
        found = _read(self.work(key, 'deaths.json'))
        return found if isinstance(found, list) else []

    def add_death(self, key: str, unit: str, places: Mapping[str, int]) -> list[dict]:
        """Write down that a worker died over a video; gives all of them."""
        found = [*self.deaths(key), dict(unit=unit, places=dict(places))]
        write_json(self.work(key, 'deaths.json'), found)
        return found


def write_json(path: str, value: Any) -> None:
    """Write a JSON file whole, and its folder where it is missing."""
    os.makedirs(osp.dirname(path), exist_ok=True)
    with atomic_write(path) as file:
        json.dump(value, file, indent=1)
        file.write('\n')


def _read(path: str) -> Any:
    with suppress(OSError, ValueError):
        return read_json(path)
    return None
