"""Faults: after each, the table is that of a run that nothing has disturbed, row by row."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archive_cases import (
    FACTORY,
    PROJECT,
    InlinePool,
    pictures,
    poisoned,
    run_archive,
    table,
    write_mp4,
)

from diffpose_mm.archive import run as archive_run
from diffpose_mm.archive.engine import EngineSource
from diffpose_mm.archive.local_pool import LocalPool
from diffpose_mm.archive.manifest import read_entries
from diffpose_mm.archive.output import Output
from diffpose_mm.archive.places import Passed
from diffpose_mm.archive.units import Death

DRIVER = PROJECT / 'digest_engine.py'
PATIENCE = 300
"""Seconds, after which a run is held to hang."""


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Three videos, one of them of several stretches, and their undisturbed tables."""
    folder = tmp_path_factory.mktemp('archive')
    for name, count in dict(a=50, b=11, c=14).items():
        write_mp4(folder / f'{name}.mp4', pictures(count, seed=ord(name)))
    entries = read_entries([str(folder)])
    out = tmp_path_factory.mktemp('undisturbed')
    report = run_archive(entries, out, stretch=12)
    assert (report.done, report.frames, report.deaths) == (3, 75, 0)
    return folder, entries, {entry.key: table(out, entry.key) for entry in entries}


def assert_undisturbed(out, expected):
    found = {key: table(out, key) for key in expected}
    assert found == expected
    assert not list(Path(out, '.work').glob('*')), 'something was left behind'


def drive(folder, out, *options, wait=True):
    """A run in a process of its own."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(DRIVER.parents[2]), *sys.path]))
    process = subprocess.Popen(
        [sys.executable, str(DRIVER), str(folder), str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    if not wait:
        return process
    told, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, told


def test_a_unit_whose_worker_dies_is_done_by_another(videos, tmp_path):
    """Broken if any kind of unit were lost, or written twice, when its worker dies."""
    _, entries, expected = videos
    died = set()

    def dies(unit):
        first = (unit.entry.key, unit.name) not in died
        died.add((unit.entry.key, unit.name))
        return first

    report = run_archive(
        entries, tmp_path, pool=InlinePool(EngineSource(FACTORY, {}), dies), stretch=12
    )
    kinds = {name.partition('-')[0] for _, name in died}
    assert kinds == {'plan', 'whole', 'find', 'pose', 'finish'}
    assert (report.done, report.deaths, report.failed) == (3, len(died), {})
    assert_undisturbed(tmp_path, expected)


def test_workers_that_are_killed_at_any_moment_lose_nothing(videos, tmp_path):
    """Broken if SIGKILL of a real process lost rows, doubled them, or ended the run."""
    _, entries, expected = videos
    pool = LocalPool(EngineSource(FACTORY, dict(pause=0.02)), [{}, {}], 1)
    generator, killed = random.Random(0), []
    ask = pool.wait

    def wait(timeout):
        if len(killed) < 4 and generator.random() < 0.3:
            number = generator.choice(pool.processes)
            os.kill(number, signal.SIGKILL)
            killed.append(number)
        return ask(0.05)

    pool.wait = wait
    report = run_archive(entries, tmp_path, pool=pool, stretch=12)
    assert len(killed) == 4 and report.done == 3 and not report.failed
    assert_undisturbed(tmp_path, expected)


class _Ends:
    """Ends the process that reads it, as a script does that begins its work anew there."""

    def __reduce__(self):
        return os._exit, (7,)


def test_workers_that_never_begin_end_the_run_and_blame_no_video(videos, tmp_path):
    """Broken if a script without a guard of its main part had all videos quarantined."""
    pool = LocalPool(EngineSource(FACTORY, dict(pause=_Ends())), [{}, {}], 1)
    with pytest.raises(ValueError, match=r'6 worker processes .* \(exit status 7\).*__main__'):
        run_archive(videos[1], tmp_path, pool=pool)
    assert not list(Path(tmp_path).rglob('failed/*.json'))


class _Three(InlinePool):
    """Three workers; the first that build their model die over it."""

    def __init__(self, deaths):
        super().__init__(EngineSource(FACTORY, {}))
        self.deaths, self.building, self.most = deaths, 0, 0

    def __len__(self):
        return 3

    def idle(self):
        return 3 - self.building - len(self._answers)

    def give(self, unit):
        if unit is not None:
            return super().give(unit)
        self.building += 1
        self.most = max(self.most, self.building)

    def wait(self, timeout):
        if self.building and not self._answers:
            self.building -= 1
            if self.deaths:
                self.deaths -= 1
                return [(None, Death())]
            super().give(None)
        return super().wait(timeout)


def test_all_workers_build_their_model_at_once(videos, tmp_path):
    """Broken if the others began to build theirs only when the first one had."""
    _, entries, expected = videos
    pool = _Three(deaths=3)
    assert run_archive(entries, tmp_path, pool=pool, stretch=12).done == 3
    assert pool.most == 3
    assert_undisturbed(tmp_path, expected)


def test_a_model_that_kills_its_workers_ends_the_run(videos, tmp_path):
    """Broken if workers died for ever over a model that does not fit into the memory."""
    with pytest.raises(ValueError, match='4 times a worker died while it built the model'):
        run_archive(videos[1], tmp_path, pool=_Three(deaths=9))


def test_a_video_that_kills_its_worker_twice_is_quarantined(videos, tmp_path):
    """Broken if one poisoned frame had workers killed for ever, or took other videos with it."""
    _, entries, expected = videos
    folder = tmp_path / 'videos'
    folder.mkdir()
    for entry in entries:
        (folder / entry.name).symlink_to(entry.path)
    write_mp4(folder / 'poison.mp4', poisoned(pictures(40, seed=7), 30), qp=4)
    entries, out = read_entries([str(folder)]), tmp_path / 'out'
    pool = LocalPool(EngineSource(FACTORY, dict(poison=True)), [{}], 1)
    report = run_archive(entries, out, pool=pool, stretch=12)
    (reason,) = report.failed.values()
    assert report.deaths == 2 and report.done == 3 and len(report.quarantined) == 1
    where = reason.partition('killed a worker 2 times in one place (')[2]
    assert 'pose, frame ' in where, 'the step that kills is not named'
    assert_undisturbed(out, expected)
    assert not Path(Output(str(out)).parquet(entries[3].key)).exists()

    again = run_archive(entries, out, stretch=12)
    assert (again.deaths, again.done, again.before) == (0, 0, 3), 'it was tried again by itself'
    assert again.failed == report.failed
    mended = run_archive(entries, out, stretch=12, retry=True)
    assert (mended.done, mended.before, mended.failed) == (1, 3, {})


def test_every_step_that_was_at_its_place_is_named(videos, tmp_path, monkeypatch):
    """Broken if the decoder, ahead by chance as far each time, hid the step that kills."""
    _, entries, _ = videos
    monkeypatch.setattr(archive_run, 'read_places', lambda path: (dict(decode=9, pose=4), Passed()))
    pool = InlinePool(EngineSource(FACTORY, {}), lambda unit: unit.kind == 'whole')
    report = run_archive(entries[1:2], tmp_path, pool=pool)
    assert '(decode, frame 9; pose, frame 4)' in str(report.failed)


def test_workers_that_die_at_other_places_each_time_are_given_up_on(videos, tmp_path, monkeypatch):
    """Broken if a video that needs more memory than there is were retried for ever."""
    _, entries, _ = videos
    places = iter(range(1000))
    elsewhere = lambda path: (dict(pose=next(places)), Passed())  # noqa: E731
    monkeypatch.setattr(archive_run, 'read_places', elsewhere)
    pool = InlinePool(EngineSource(FACTORY, {}), lambda unit: unit.kind == 'whole')
    report = run_archive(entries[1:2], tmp_path, pool=pool)
    assert report.deaths == archive_run.MAX_DEATHS
    assert f'killed a worker {archive_run.MAX_DEATHS} times' in str(report.failed)


def test_deaths_in_one_place_are_chance_before_they_are_many(videos, tmp_path, monkeypatch):
    """Broken if a worker killed twice by chance at one frame took its video with it."""
    _, entries, _ = videos
    monkeypatch.setattr(archive_run, 'read_places', lambda path: (dict(pose=4), Passed()))
    for kills, done in ((2, 1), (3, 0)):
        left = iter(range(kills))
        pool = InlinePool(
            EngineSource(FACTORY, {}),
            lambda unit, left=left: unit.kind == 'whole' and next(left, None) is not None,
        )
        report = run_archive(entries[1:2], tmp_path / str(kills), pool=pool)
        assert (report.deaths, report.done, len(report.quarantined)) == (kills, done, 1 - done)


def test_a_run_whose_main_process_is_killed_goes_on(videos, tmp_path):
    """Broken if SIGKILL left a lock, a half video, workers, or work that is done again."""
    folder, entries, expected = videos
    process = drive(folder, tmp_path, 'pause=0.05', 'workers=1', wait=False)
    pattern = f'.work/{entries[0].key}/pose-*.jsonl'
    deadline = time.monotonic() + PATIENCE
    while not list(tmp_path.glob(pattern)):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept = {path.name for path in tmp_path.glob(f'.work/{entries[0].key}/*.jsonl')}
    pool = InlinePool(EngineSource(FACTORY, {}))
    report = run_archive(entries, tmp_path, pool=pool, stretch=12)
    assert report.done + report.before == 3 and report.deaths == 0
    assert not kept & {Path(unit.out).name for unit in pool.done}, 'it was done again'
    assert_undisturbed(tmp_path, expected)


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(videos, tmp_path):
    """Broken if a video of which a part could not be written were there, or the cause not said."""
    folder, entries, expected = videos
    status, told = drive(folder, tmp_path, 'fsize=9000')
    assert status != 0 and 'File too large' in told and 'goes on from there' in told
    there = list(tmp_path.glob('poses/*/*.parquet'))
    assert len(there) < 3
    assert run_archive(entries, tmp_path, stretch=12).before == len(there)
    assert_undisturbed(tmp_path, expected)


def test_a_video_that_cannot_be_read_is_named_and_the_rest_goes_on(videos, tmp_path):
    """Broken if one bad file of thousands ended a run, or were passed over without a word."""
    folder, entries, expected = videos
    (tmp_path / 'broken.mp4').write_bytes(b'no video at all')
    (tmp_path / 'list.txt').write_text('broken.mp4\nmissing.mp4\n')
    bad = read_entries([str(tmp_path / 'list.txt')])
    said = []
    report = run_archive([*bad, *entries], tmp_path / 'out', stretch=12, say=said.append)
    assert report.done == 3 and len(report.failed) == 2 and not report.quarantined
    assert 'cut short' in report.failed[bad[0].path] and 'exist' in report.failed[bad[1].path]
    assert any('broken.mp4 failed' in line for line in said)
    assert_undisturbed(tmp_path / 'out', expected)
    write_mp4(tmp_path / 'broken.mp4', pictures(8))
    report = run_archive([*bad, *entries], tmp_path / 'out', stretch=12)
    assert (report.done, report.before, len(report.failed)) == (1, 3, 1)
    assert Output(str(tmp_path / 'out')).failure(bad[0].key) is None


def test_two_runs_on_one_output_are_refused(videos, tmp_path):
    """Broken if two runs could write the same files at once."""
    output = Output(str(tmp_path))
    output.open()
    with pytest.raises(ValueError, match='another run'):
        run_archive(videos[1], tmp_path)
    output.close()
    assert run_archive(videos[1], tmp_path).done == 3


def test_a_folder_of_another_run_is_refused(videos, tmp_path):
    """Broken if poses of two models could come to lie in one table."""
    run_archive(videos[1][:1], tmp_path)
    with pytest.raises(ValueError, match="mode: 'offline' then, 'causal' now"):
        run_archive(videos[1], tmp_path, EngineSource(FACTORY, dict(mode='causal')))
