"""What is written, and what happens where it cannot be."""

import os
import os.path as osp
import re
import resource
import shutil
import tempfile
import threading
import time

import cv2
import numpy as np
import pytest
from apis_helpers import (
    BOXES,
    moving_frames,
    read_json,
    read_video,
    write_video,
)

from diffpose_mm import video_writer
from diffpose_mm.apis import prediction_log


def test_people_given_one_by_one_are_all_in_the_file_of_their_picture(inferencer, tmp_path):
    """Broken if each person overwrites the one before."""
    for merge in (True, False):
        list(
            inferencer(
                moving_frames(2),
                bboxes=[BOXES[0], []],
                merge_results=merge,
                pred_out_dir=str(tmp_path),
            )  # fmt: skip
        )
        for name, boxes in (('000000.json', BOXES[0]), ('000001.json', [])):
            people = read_json(tmp_path / name)
            assert [person['bbox'][0] for person in people] == boxes


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(inferencer, video, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='cannot write to the output folder'):
        next(inferencer(video, out_dir=str(tmp_path / 'file' / 'out')))


@pytest.fixture
def nobody():
    """An empty folder of everyone's, in which this process may not write for the time of a test."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        user = os.geteuid()
        if user == 0:  # whom modes do not stop
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o755)


def test_a_folder_without_permission_is_told_before_anything_runs(inferencer, nobody):
    for folder in (nobody, osp.join(nobody, 'new')):
        with pytest.raises(OSError, match=f'output folder {folder}.*: Permission denied; give'):
            next(inferencer(moving_frames(2), as_clip=True, out_dir=folder))


@pytest.fixture
def short_files():
    """Gives a function after which no file can grow beyond some bytes: writes fail for real."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('name', ['walk.avi', 'walk.mp4'])
def test_a_video_that_could_not_be_written_whole_is_told(inferencer, tmp_path, short_files, name):
    """Broken if a video that ends early passes for whole. The predictions are complete."""
    noise = np.random.default_rng(0).integers(0, 255, (7, 96, 128, 3), dtype=np.uint8)
    path = write_video(tmp_path / name, noise)
    short_files(os.path.getsize(path) // 2)
    with pytest.raises(OSError, match=f'{name} is incomplete: File too large'):
        list(inferencer(path, out_dir=str(tmp_path)))
    assert len(read_json(tmp_path / 'predictions' / 'walk.json')) == 7


def test_pictures_that_cannot_be_written_are_named(inferencer, tmp_path, short_files):
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    short_files(3000)
    with pytest.raises(OSError, match=r'cannot write .*visualizations.*jpg: File too large'):
        next(inferencer(noise, out_dir=str(tmp_path)))
    short_files(100)
    with pytest.raises(OSError, match=r'cannot write .*predictions.*json: File too large'):
        next(inferencer(noise, pred_out_dir=str(tmp_path / 'predictions')))


def test_a_disk_that_fills_up_stops_the_run_and_keeps_it(inferencer, video, tmp_path, monkeypatch):
    usage, seen = shutil.disk_usage, []

    def fills(folder):
        seen.append(folder)
        return usage(folder)._replace(free=0) if len(seen) > 3 else usage(folder)

    said = []
    monkeypatch.setattr(video_writer.shutil, 'disk_usage', fills)
    monkeypatch.setattr(prediction_log, 'print_log', lambda text, **_: said.append(text))
    with pytest.raises(OSError, match='cannot write video .*walk.avi: No space left on device'):
        for _ in inferencer(video, out_dir=str(tmp_path)):
            time.sleep(0.02)
    assert re.match(r'stopped after \d frames, which are kept in .*walk.jsonl: resume', said[-1])
    assert len((tmp_path / 'predictions' / 'walk.jsonl').read_text().splitlines()) >= 4
    monkeypatch.undo()
    assert len(list(inferencer(video, out_dir=str(tmp_path), resume=True))) == 7
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7


def test_a_folder_removed_during_the_run_ends_it(tmp_path):
    """Broken if frames queue up for ever before a thread that is gone."""
    (tmp_path / 'gone').mkdir()
    video, raised = video_writer.VideoWriter(str(tmp_path / 'gone' / 'a.avi'), 25), []

    def encode():
        try:
            for frame in moving_frames(50):
                video.write(frame)
                shutil.rmtree(tmp_path / 'gone', ignore_errors=True)
        except OSError as error:
            raised.append(str(error))

    thread = threading.Thread(target=encode, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert re.match('cannot write video .*gone/a.avi: No such file or directory', raised[0])


def test_a_container_that_cannot_be_written_becomes_mp4(inferencer, video, tmp_path):
    shutil.copy(video, tmp_path / 'walk.webm')
    list(inferencer(str(tmp_path / 'walk.webm'), out_dir=str(tmp_path / 'out')))
    assert len(read_video(tmp_path / 'out' / 'visualizations' / 'walk.mp4')) == 7


def test_a_full_disk_is_told_with_what_is_kept(inferencer, video, tmp_path):
    (tmp_path / 'walk.jsonl').symlink_to('/dev/full')
    with pytest.raises(OSError, match=r'cannot write to .*walk.jsonl: No space left.*0 frames'):
        next(inferencer(video, pred_out_dir=str(tmp_path)))


def test_every_picture_is_drawn_to_a_file_of_its_own(inferencer, tmp_path):
    """Broken if the extension that is added makes two names one."""
    (tmp_path / 'in').mkdir()
    for name in ('x.jpg', 'x.jpg.jpg', 'X.JPG'):
        cv2.imwrite(str(tmp_path / 'in' / name), moving_frames(1)[0])
    run = inferencer(str(tmp_path / 'in'), out_dir=str(tmp_path / 'out'))
    assert len(list(run)) == 3
    assert len(list((tmp_path / 'out' / 'visualizations').iterdir())) == 3
    assert len({path.casefold() for path in run.files}) == 6


def test_what_comes_and_goes_is_never_written_over(inferencer, tmp_path):
    """Broken if the recording of one camera is lost to that of the next."""
    for seed in (0, 1):
        list(inferencer(iter(moving_frames(3, seed=seed)), out_dir=str(tmp_path)))
    for folder, suffix in (('predictions', 'json'), ('visualizations', 'mp4')):
        names = sorted(p.name for p in (tmp_path / folder).iterdir())
        assert names == [f'frames.{suffix}', f'frames.{suffix}.old']


def test_a_name_that_leaves_no_room_is_refused_before_the_work(inferencer, tmp_path):
    path = tmp_path / ('a' * 240 + '.avi')
    write_video(path, moving_frames(2))
    with pytest.raises(ValueError, match='has a name of more than 220 bytes'):
        inferencer(str(path), out_dir=str(tmp_path / 'out'))
    assert not (tmp_path / 'out').exists()


def test_folders_and_dead_links_called_like_pictures_are_gaps_or_left_out(inferencer, tmp_path):
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in' / '1.jpg'), moving_frames(1)[0])
    (tmp_path / 'in' / '2.jpg').mkdir()
    (tmp_path / 'in' / '3.jpg').symlink_to('nowhere')
    results = list(inferencer(str(tmp_path / 'in')))
    assert [r['frames'][0].get('fault') is None for r in results] == [True, False]
    assert 'no file (a folder, a pipe or a dead link)' in results[1]['frames'][0]['fault']
