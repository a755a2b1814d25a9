"""How long it will take, as it is told."""

from dataclasses import replace

import pytest
from archive_cases import FACTORY, InlinePool, pictures, run_archive, table, write_mp4
from virtual_pool import Truth, random_truth, told

from diffpose_mm.archive import run as archive_run
from diffpose_mm.archive.costs import Costs
from diffpose_mm.archive.engine import EngineSource
from diffpose_mm.archive.forecast import EXACT, Waiting, seconds_left
from diffpose_mm.archive.manifest import Entry, read_entries
from diffpose_mm.archive.places import Passed, Places, read_places
from diffpose_mm.archive.plan import Plan
from diffpose_mm.archive.progress import ProgressLine, clock

RATES = dict(whole=0.2, find=0.12, pose=0.08, finish=0.001)


def error(truth, folder, monkeypatch):
    """Of the first line after a minute that says no "about", in shares of the whole time; and when.

    Before that a pass that is still to come has not been measured.
    """
    lines, total = told(truth, folder, monkeypatch)
    at, left, _ = next(line for line in lines if line[0] >= 60 and not line[2])
    return (at + left - total) / total, at


@pytest.mark.parametrize('seed', range(20))
def test_the_first_line_after_a_minute_is_right_within_a_few_per_cent(tmp_path, monkeypatch, seed):
    """Broken if the end, with fewer pieces than workers, the start of workers and pieces, stretches
    that wait for others, or a pass that nobody has measured yet were reckoned wrongly."""
    found, at = error(random_truth(seed), tmp_path, monkeypatch)
    assert abs(found) <= 0.05 and at < 200


@pytest.mark.parametrize(
    'truth',
    [
        Truth([700, 90, 90, 90], 4, RATES),
        Truth([300] * 9, 8, RATES, start_up=25.0),
        Truth([3000], 4, RATES, stretch=400),
        Truth([100] * 40, 2, RATES, planning=0.5, fill=3.0),
        Truth([3010, 900, 50], 1, RATES),
    ],
    ids=['few', 'start_up', 'one', 'short', 'mixed'],
)
def test_what_work_over_workers_gets_wrong_is_right(tmp_path, monkeypatch, truth):
    """Broken if one of the things that work over workers leaves out came back: see the name."""
    found, _ = error(truth, tmp_path, monkeypatch)
    assert abs(found) <= 0.05


def test_both_passes_are_measured_early(tmp_path, monkeypatch):
    """Broken if nobody knew what posing costs before ten minutes of finding are through."""
    truth = Truth([3010, 40], 1, RATES)
    assert error(truth, tmp_path, monkeypatch)[1] < 70
    plan = Plan(Entry('a.mp4', 'a.mp4'), 5, 9005, 25.0, 96, 64, 360.0, 1.0, {})
    assert plan.edges(2000, 8) == [5, 133, 261, 2005, 4005, 6005]
    assert plan.edges(100, 8)[:3] == [5, 109, 213]
    assert replace(plan, from_start='AVI').edges(2000, 8)[:3] == [5, 2005, 4005]
    assert plan.edges(10000, 8) == [5]


def test_short_stretches_at_the_start_are_seams_like_others(tmp_path):
    """Broken if what is known early were paid for with other poses."""
    write_mp4(tmp_path / 'walk.mp4', pictures(200))
    entries = read_entries([str(tmp_path / 'walk.mp4')])
    pool = InlinePool(EngineSource(FACTORY, {}))
    run_archive(entries, tmp_path / 'cut', pool=pool, stretch=128)
    assert [u.first for u in pool.done if u.kind == 'find'] == [0, 18, 36, 129]
    order = [unit.kind for unit in pool.done]
    assert order.index('pose') < len(order) - 1 - order[::-1].index('find')
    run_archive(entries, tmp_path / 'whole', stretch=1000)
    key = entries[0].key
    assert table(tmp_path / 'cut', key) == table(tmp_path / 'whole', key)


def test_a_frame_of_a_pass_that_nobody_has_measured_is_reckoned_from_the_others():
    """Broken if a whole frame did not count as found and posed, or nothing were said."""
    costs = Costs()
    assert costs.frame('pose') is None
    costs.add_rate('find', 100, 3.0)
    assert costs.frame('pose') == pytest.approx(0.07) and not costs.is_measured('pose')
    costs.add_rate('whole', 100, 8.0)
    assert costs.frame('pose') == pytest.approx(0.05)
    costs.add_piece('pose', 10, 0.6)
    assert costs.frame('pose') == pytest.approx(0.06) and costs.is_measured('pose')
    other = Costs()
    other.add_rate('find', 10, 1.0)
    other.add_rate('pose', 10, 2.0)
    assert other.frame('whole') == pytest.approx(0.3)


def test_the_start_of_a_piece_does_not_count_as_its_frames():
    """Broken if short pieces made long ones look slow."""
    costs = Costs()
    costs.add_rate('whole', 80, 8.0)
    costs.add_piece('whole', 90, 12.0)
    assert costs.pieces('whole', 1000) == pytest.approx(3 + 100)
    assert costs.pieces('whole', 1000, 10) == pytest.approx(30 + 100)


def test_frames_are_counted_between_batches(tmp_path, monkeypatch):
    """Broken if a rate had the start of a pass in it, or the frames of a batch came for nothing."""
    now = iter([10.0, 12.5])
    monkeypatch.setattr('diffpose_mm.archive.places.time', type('T', (), dict(
        perf_counter=staticmethod(lambda: next(now)))))  # fmt: skip
    places = Places(str(tmp_path / 'unit.places'))
    assert read_places(str(tmp_path / 'unit.places')) == ({}, Passed())
    for first in (0, 8):
        with places.within('decode', first):
            pass
        with places.within('pose', first):
            assert read_places(str(tmp_path / 'unit.places'))[0] == dict(pose=first)
        for _ in range(8):
            places.passed()
    places.close()
    assert read_places(str(tmp_path / 'unit.places')) == ({}, Passed(8, 2.5))


def test_every_pass_says_how_fast_it_runs(tmp_path, monkeypatch):
    """Broken if finding, posing or both at once were not measured while they run."""
    write_mp4(tmp_path / 'long.mp4', pictures(60))
    write_mp4(tmp_path / 'short.mp4', pictures(30))
    found = {}

    def read(path):
        steps, passed = read_places(path)
        found.setdefault(path.rpartition('/')[2].partition('-')[0].partition('.')[0], passed)
        return steps, passed

    monkeypatch.setattr(archive_run, 'read_places', read)
    pool = InlinePool(EngineSource(FACTORY, dict(pause=0.001)))
    run_archive(read_entries([str(tmp_path)]), tmp_path / 'out', pool=pool, stretch=24)
    for kind, least in dict(whole=24, find=18, pose=12).items():
        assert least <= found[kind].frames <= 30
    assert found['pose'].seconds > 0.01 and found['whole'].seconds > 0.02


def test_a_million_videos_are_reckoned_with_quickly(monkeypatch):
    """Broken if a line took as long as all videos together need to be gone through."""
    plan = Plan(Entry('a.mp4', 'a.mp4'), 0, 100, 25.0, 96, 64, 4.0, 1.0, {})
    waiting, looked_at = Waiting([plan] * 30000, 2000, 8, 0), []
    with monkeypatch.context() as counted:
        counted.setattr(Plan, 'edges', lambda *args: looked_at.append(args) or [0])
        costs = Costs()
        costs.add_piece('whole', 100, 2.0)
        assert seconds_left(costs, [], [], waiting, 10) == pytest.approx(30000 * 2.0 / 10)
    assert len(looked_at) == EXACT
    assert waiting.frames == 3000000 and waiting.pop() is plan and len(waiting) == 29999
    assert waiting.frames == 2999900


def test_a_line_says_all_of_it_from_time_to_time():
    """Broken if a log were flooded, or a failure went by unseen."""
    said = []
    assert not ProgressLine(said.append, interval=3600).is_due()
    line = ProgressLine(said.append, interval=-1)
    assert line.is_due()
    line.planned(3, 4, 1)
    line.posed(1, 4, 100, 400, 90.0, 2)
    line.posed(1, 4, 100, 400, 90.0, 0, True)
    line.posed(1, 4, 100, 400, None, 0, True)
    assert said == [
        '3 of 4 videos planned, 1 failed',
        '1 of 4 videos, 100 of 400 frames (25.0 %), 2 failed, 90 s left',
        '1 of 4 videos, 100 of 400 frames (25.0 %), about 90 s left',
        '1 of 4 videos, 100 of 400 frames (25.0 %)',
    ]
    assert [clock(s) for s in (48, 190, 720)] == ['48 s', '3.2 min', '12 min']
    assert clock(11100) == '3 h 05 min'
