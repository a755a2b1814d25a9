"""Videos entered in their middle: the frames are those of a reader of the whole video."""

from dataclasses import replace

import av
import numpy as np
import pytest
from archive_cases import pictures, run_archive, table, write_mp4

from diffpose_mm.archive import stages
from diffpose_mm.archive.manifest import Entry, read_entries
from diffpose_mm.archive.plan import MAX_STRETCHES_FROM_START, plan_video
from diffpose_mm.archive.stretch_reader import (
    EnteredVideo,
    NotExactError,
    picture_digest,
    read_frames,
)
from diffpose_mm.video_reader import VideoReader

KINDS = dict(
    closed=('walk.mp4', dict(g=12)),
    open_groups=('walk.mp4', {'g': 12, 'x264-params': 'open-gop=1:bframes=3:b-pyramid=normal'}),
    short_groups=('walk.mp4', dict(g=2, bf=1)),
    keyframes=('walk.mp4', dict(g=1, bf=0)),
    matroska=('walk.mkv', dict(g=12)),
    mpeg4=('walk.mp4', dict(codec='mpeg4', bf=0)),
)


def plan_of(path):
    return plan_video(Entry(str(path), path.name))


@pytest.mark.parametrize('kind', KINDS)
def test_a_stretch_is_a_part_of_the_whole(tmp_path, kind):
    """Broken if a frame had another picture, number or time when decoding begins near it."""
    name, options = KINDS[kind]
    write_mp4(tmp_path / name, pictures(150), **options)
    plan = plan_of(tmp_path / name)
    assert plan.from_start == '' and plan.frames == 150
    whole = list(VideoReader(tmp_path / name))
    entered = 0
    for first in (0, 1, 64, 65, 100, 131, 149):
        entered += plan.entrance(first)[0] > 0
        part = list(read_frames(plan, first, min(first + 20, 150)))
        assert [(f.number, f.time) for f in part] == [
            (f.number, f.time) for f in whole[first : first + 20]
        ]
        for found, same in zip(part, whole[first:]):
            np.testing.assert_array_equal(found.image, same.image)
    assert entered >= 3, 'it was decoded from the start'


def test_videos_without_times_of_their_own_are_read_from_the_start(tmp_path):
    """Broken if frames of an AVI were numbered by times that it does not have."""
    write_mp4(tmp_path / 'walk.avi', pictures(60), codec='mpeg4', bf=0)
    plan = plan_of(tmp_path / 'walk.avi')
    assert plan.from_start == 'AVI'
    whole = list(VideoReader(tmp_path / 'walk.avi'))
    part = list(read_frames(plan, 30, 40))
    assert [f.number for f in part] == list(range(30, 40))
    np.testing.assert_array_equal(part[0].image, whole[30].image)
    assert len(plan.edges(1, 1)) <= MAX_STRETCHES_FROM_START


def test_a_keyframe_that_is_another_one_is_not_passed_over(tmp_path):
    """Broken if a wrong index gave poses of wrong frames."""
    write_mp4(tmp_path / 'walk.mp4', pictures(150))
    plan = plan_of(tmp_path / 'walk.mp4')
    (number, pts, dts) = plan.keyframes[1]
    wrong = replace(plan, keyframes=[plan.keyframes[0], (number + 1, pts, dts), plan.keyframes[2]])
    with pytest.raises(NotExactError, match='another one from the start'):
        list(read_frames(wrong, number + 2, 150))
    with pytest.raises(NotExactError, match='was not found'):
        EnteredVideo(replace(plan, keyframes=[(0, 0, 0), (number, pts + 1, dts)]), number)


def test_a_damaged_video_is_cut_without_being_entered(tmp_path):
    """Broken if gaps, which are counted from the start, had other numbers behind a seam."""
    path = tmp_path / 'walk.mp4'
    write_mp4(path, pictures(150))
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(container.streams.video[0]) if p.size][70]
        place, size = packet.pos, packet.size
    data = path.read_bytes()
    path.write_bytes(data[:place] + bytes(size) + data[place + size :])
    expected = [frame.fault is None for frame in VideoReader(path)]
    assert not all(expected), 'the damage has to show'
    entries = read_entries([str(path)])
    assert run_archive(entries, tmp_path / 'whole', stretch=1000).done == 1
    said = []
    report = run_archive(entries, tmp_path / 'cut', stretch=12, say=said.append)
    assert report.done == 1 and report.faults == expected.count(False)
    assert any('decoded from its start' in line for line in said)
    key = entries[0].key
    assert table(tmp_path / 'cut', key) == table(tmp_path / 'whole', key)


def test_only_what_lies_between_start_and_end_is_posed(tmp_path):
    """Broken if a part of a video lost its numbers and times, or its ends were off by one."""
    write_mp4(tmp_path / 'walk.mp4', pictures(100))
    write_mp4(tmp_path / 'walk.avi', pictures(100), codec='mpeg4', bf=0)
    (tmp_path / 'all.csv').write_text('path,start,end\nwalk.mp4,7.0,9.0\nwalk.avi,7.0,9.0\n')
    entries = read_entries([str(tmp_path / 'all.csv')])
    for stretch in (1000, 6):
        report = run_archive(entries, tmp_path / str(stretch), stretch=stretch)
        assert report.done == 2 and report.frames == 40
        for entry in entries:
            rows = table(tmp_path / str(stretch), entry.key)
            assert {row['frame_id'] for row in rows} <= set(range(70, 90))
            assert (rows[0]['frame_id'], rows[0]['time']) == (70, 7.0)
            assert rows == table(tmp_path / '1000', entry.key)
    (tmp_path / 'none.csv').write_text('path,start\nwalk.mp4,50\n')
    report = run_archive(read_entries([str(tmp_path / 'none.csv')]), tmp_path / 'none')
    assert 'no frame from 50.0 s' in str(report.failed)


@pytest.mark.parametrize('wrong, done', [(1, 1), (1000, 0)])
def test_a_seam_at_which_pictures_differ_is_noticed(tmp_path, monkeypatch, wrong, done):
    """Broken if a decoder that gives other pictures after a jump went by unseen."""
    write_mp4(tmp_path / 'walk.mp4', pictures(60))
    entries, calls = read_entries([str(tmp_path / 'walk.mp4')]), []
    assert run_archive(entries, tmp_path / 'whole', stretch=1000).done == 1

    def digest(image):
        calls.append(image)
        return str(len(calls)) if len(calls) <= wrong + 1 else picture_digest(image)

    monkeypatch.setattr(stages, 'picture_digest', digest)
    report = run_archive(entries, tmp_path / 'cut', stretch=12)
    key = entries[0].key
    if done:
        assert report.done == 1 and not report.failed
        assert table(tmp_path / 'cut', key) == table(tmp_path / 'whole', key)
    else:
        assert 'is not the same when it is read twice' in str(report.failed)
