"""Formats of other tools out of `infer`. Beside the tiny model, which it shares."""

import os

import cv2
import numpy as np
import pytest
from apis_helpers import tool_arguments

from diffpose_mm.apis.run_exports import split_formats
from diffpose_mm.interchange import read_poses
from diffpose_mm.tools import infer


def test_formats_are_parted():
    """Broken if a format made of the JSON were asked for without the JSON."""
    assert split_formats(['json']) == (['json'], [])
    assert split_formats(['csv', 'coco', 'coco']) == (['csv', 'json'], ['coco'])
    with pytest.raises(ValueError, match="'trc' has to be one of json, csv, .*deeplabcut"):
        split_formats(['json', 'trc'])


def test_infer_writes_formats(tiny_model, video, tmp_path):
    """Broken if formats of --format had other poses than the JSON."""
    options = ('--out', tmp_path, '--no-video', '--no-report', '--format', 'coco', 'openpose')
    done = infer.main([video, *tool_arguments(tiny_model, *options)])
    folder = tmp_path / 'predictions'
    assert sorted(os.listdir(folder)) == ['walk.json', 'walk_coco', 'walk_openpose']
    assert str(folder / 'walk_coco') in done['files']
    assert len(os.listdir(folder / 'walk_openpose')) == 7
    json, coco = read_poses(folder / 'walk.json'), read_poses(folder / 'walk_coco')
    np.testing.assert_allclose(coco.points, json.points)
    assert len(json) == len(coco) == 7


def test_smoothed_poses_are_those_that_go_on(tiny_model, video, tmp_path):
    """Broken if somebody who smooths handed on what trembles, or could not tell which it is."""
    options = (
        '--out',
        tmp_path,
        '--no-video',
        '--no-report',
        '--format',
        'coco',
        '--smooth',
        'rts',
    )
    infer.main([video, *tool_arguments(tiny_model, *options)])
    folder = tmp_path / 'predictions'
    assert sorted(os.listdir(folder)) == ['walk.json', 'walk_smooth.json', 'walk_smooth_coco']
    raw, smooth, coco = (
        read_poses(folder / name) for name in ('walk.json', 'walk_smooth.json', 'walk_smooth_coco')
    )
    np.testing.assert_allclose(coco.points, smooth.points)
    assert not np.allclose(raw.points, smooth.points)


def test_a_format_that_fails_does_not_fail_the_run(tiny_model, video, tmp_path):
    """Broken if poses of a long video ended in an error because a folder is in the way."""
    blocked = tmp_path / 'predictions/walk_coco'
    blocked.parent.mkdir()
    blocked.write_text('a file where a folder has to be')
    options = ('--out', tmp_path, '--no-video', '--no-report', '--format', 'coco', 'openpose')
    done = infer.main([video, *tool_arguments(tiny_model, *options)])
    assert done['frames'] == 7 and (tmp_path / 'predictions/walk.json').exists()
    assert (tmp_path / 'predictions/walk_openpose').is_dir()


def test_pictures_are_no_video(tiny_model, tmp_path):
    """Broken if frames of different people became a track after an hour of work."""
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in/a.png'), np.full((90, 120, 3), 90, np.uint8))
    options = ('--out', tmp_path / 'out', '--no-video', '--format', 'coco')
    with pytest.raises(SystemExit, match='--format coco is of a video: give --as-clip'):
        infer.main([str(tmp_path / 'in'), *tool_arguments(tiny_model, *options)])
