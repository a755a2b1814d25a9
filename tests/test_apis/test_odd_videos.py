"""What the first command makes of videos that are not what it is for."""

import json

import numpy as np
import pytest

from diffpose_mm.tools import infer
from diffpose_mm.video_writer import VideoWriter

RNG = np.random.default_rng(0)
GREY = np.full((120, 160, 3), 90, np.uint8)
NOISE = RNG.integers(0, 256, (4, 4, 3)).astype(np.uint8)
HUGE = np.repeat(np.repeat(RNG.integers(0, 256, (54, 96, 3)).astype(np.uint8), 80, 0), 80, 1)


def write_video(path, frames):
    """A video of frames of one size."""
    writer = VideoWriter(str(path), 10)
    for frame in frames:
        writer.write(frame)
    writer.close()


@pytest.mark.parametrize(
    'frame, count',
    [(GREY, 6), (NOISE, 6), (HUGE, 1)],
    ids=['nobody', 'of four pixels', 'of 8K'],
)
def test_nobody_is_found_and_it_is_said(frame, count, tmp_path, capsys):
    """Broken if such a video ended in an error, without files, or as if all were well."""
    video = tmp_path / 'odd.mp4'
    write_video(video, [frame] * count)
    done = infer.main([str(video), '--det-model', 'movenet-multipose', '--device', 'cpu'])
    assert done['frames'] == count and done['people'] == 0
    assert 'no person was found' in capsys.readouterr().out
    entries = json.loads((tmp_path / 'odd_poses/predictions/odd.json').read_text())
    assert [entry['instances'] for entry in entries] == [[]] * count


def test_people_whom_the_border_cuts(tmp_path, capsys):
    """Broken if a box that sticks out of the frame, or fills it, ended in an error or in NaN."""
    video = tmp_path / 'cut.mp4'
    write_video(video, [GREY] * 3)
    boxes = tmp_path / 'boxes.json'
    boxes.write_text(json.dumps([[[-40, -30, 60, 90], [0, 0, 160, 120], [150, 60, 260, 300]]] * 3))
    done = infer.main([str(video), '--boxes', str(boxes), '--device', 'cpu', '--no-video'])
    assert done['people'] == 9
    entries = json.loads((tmp_path / 'cut_poses/predictions/cut.json').read_text())
    points = np.array([p['keypoints'] for entry in entries for p in entry['instances']])
    assert points.shape == (9, 17, 2) and np.isfinite(points).all()
