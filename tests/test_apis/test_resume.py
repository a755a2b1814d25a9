"""Runs that were interrupted, and go on."""

import json
import os
import os.path as osp
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from apis_helpers import (
    BOXES,
    all_points,
    assert_close_poses,
    moving_frames,
    read_json,
    read_video,
    write_video,
)
from mmengine.config import Config

from diffpose_mm.apis import DiffPoseInferencer, find_source
from diffpose_mm.apis.detector import PersonDetector


def test_a_killed_run_is_gone_on_with_where_it_stopped(inferencer, video, tmp_path, monkeypatch):
    whole, part = str(tmp_path / 'whole'), str(tmp_path / 'part')
    expected = all_points(inferencer(video, bboxes=BOXES, out_dir=whole))
    run = inferencer(video, bboxes=BOXES, out_dir=part)
    for _ in range(4):
        next(run)
    run.close()
    lines = osp.join(part, 'predictions', 'walk.jsonl')
    entries = [json.loads(line) for line in open(lines)]
    assert [e['frame_id'] for e in entries[1:]] == [0, 1, 2, 3]
    with open(lines, 'a') as file:
        file.write('{"frame_id": 4, "instan')  # killed while it wrote

    posed = []
    features = inferencer.model.extract_feat
    monkeypatch.setattr(
        inferencer.model, 'extract_feat', lambda x: (posed.append(len(x)), features(x))[1]
    )
    results = list(inferencer(video, bboxes=BOXES, out_dir=part, resume=True, batch_size=2))
    assert sum(posed) == 6, 'two people in each of the three frames that were missing'
    for found, same in zip(all_points(results), expected):
        assert_close_poses(found, same)
    mine, other = (
        read_json(osp.join(folder, 'predictions', 'walk.json')) for folder in (part, whole)
    )
    assert [f['frames_used'] for f in mine] == [f['frames_used'] for f in other]
    assert [[p['track_id'] for p in f['instances']] for f in mine] == [[0, 1]] * 7
    assert len(read_video(osp.join(part, 'visualizations', 'walk.avi'))) == 7
    assert not osp.exists(lines)

    posed.clear()
    assert len(list(inferencer(video, bboxes=BOXES, out_dir=part, resume=True))) == 7
    assert not posed, 'a finished run has nothing left to do'
    with pytest.raises(ValueError, match='another run.*sampling_steps: None then, 2 now'):
        next(inferencer(video, bboxes=BOXES, out_dir=part, resume=True, sampling_steps=2))
    assert len(read_json(osp.join(part, 'predictions', 'walk.json'))) == 7


KILLED = """
import os, signal, sys, time
from diffpose_mm.tools import infer
modes = dict(offline=[], causal=['--mode', 'causal'], streaming=['--streaming'])
for name, more in modes.items():
    out, lines = os.path.join(sys.argv[1], name), int(sys.argv[2])
    child = os.fork()
    if child == 0:
        infer.main([*sys.argv[3:], '--out', out, *more])
        os._exit(0)
    path = os.path.join(out, 'predictions', 'walk.jsonl')
    while not os.path.exists(path) or open(path).read().count('\\n') <= lines:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), 'ended by itself'
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_a_run_that_was_killed_is_the_same_run(inferencer, tiny_model, tmp_path):
    """A real SIGKILL in the middle; broken if crops, tracks or noise depend on where it was."""
    video = write_video(tmp_path / 'walk.avi', moving_frames(36, width=200))
    boxes = [[[10 + 4 * t, 10, 45 + 4 * t, 80], [60 + t % 9, 5, 100, 85]] for t in range(36)]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    config, weights = tiny_model
    done = subprocess.run(
        [
            *(sys.executable, '-c', KILLED, str(tmp_path), '6', video, '--config', config),
            *('--checkpoint', weights, '--boxes', str(tmp_path / 'boxes.json'), '--device', 'cpu'),
        ],
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    assert done.returncode == 0, done.stderr
    same = DiffPoseInferencer(config, weights, device='cpu', det_model='whole_image')
    options = dict(bboxes=boxes, batch_size=8)
    for name, more in dict(
        offline={}, causal=dict(mode='causal'), streaming=dict(streaming=True)
    ).items():
        part, whole = tmp_path / name / 'predictions', tmp_path / name / 'whole'
        lines = (part / 'walk.jsonl').read_bytes().splitlines(keepends=True)
        assert 6 < len(lines) < 36
        complete = lines if lines[-1].endswith(b'\n') else lines[:-1]
        assert [json.loads(line)['frame_id'] for line in complete[1:]] == list(
            range(len(complete) - 1)
        )
        list(same(video, pred_out_dir=str(part), resume=True, **options, **more))
        list(same(video, pred_out_dir=str(whole), **options, **more))
        mine, other = (read_json(folder / 'walk.json') for folder in (part, whole))
        assert len(mine) == 36 and not (part / 'walk.jsonl').exists()
        for found, expected in zip(mine, other):
            assert found['frames_used'] == expected['frames_used']
            for one, two in zip(found['instances'], expected['instances']):
                assert (one['track_id'], one['bbox']) == (two['track_id'], two['bbox'])
                assert_close_poses(one['keypoints'], two['keypoints'])


def test_other_values_in_a_config_are_another_run(tiny_model, video, tmp_path):
    """Broken if --cfg-options may change between the two halves of a video."""

    def predict(steps, **more):
        cfg = Config.fromfile(tiny_model[0])
        cfg.model.test_cfg.sampling_steps = steps
        model = DiffPoseInferencer(cfg, tiny_model[1], device='cpu', det_model='whole_image')
        return len(list(model(video, pred_out_dir=str(tmp_path), **more)))

    assert predict(1) == predict(1, resume=True) == 7
    with pytest.raises(ValueError, match="another run.*config: '.*' then, '.*' now"):
        predict(2, resume=True)


def test_a_run_with_other_arguments_is_not_gone_on_with(inferencer, video, tmp_path):
    run = inferencer(video, pred_out_dir=str(tmp_path))
    next(run)
    run.close()
    for other, message in (
        (dict(mode='causal'), 'another run.*mode.*offline.*then.*causal.*now'),
        (dict(bboxes=BOXES), "another run.*people.kind: 'whole image' then, 'given boxes' now"),
        (dict(pose_based_nms=True), 'resume cannot be combined with pose_based_nms'),
    ):
        with pytest.raises(ValueError, match=message):
            next(inferencer(video, pred_out_dir=str(tmp_path), resume=True, **other))
    assert osp.exists(tmp_path / 'walk.jsonl')
    before = (tmp_path / 'walk.jsonl').read_text()
    with pytest.raises(ValueError, match='num_hypotheses'):
        next(inferencer(video, pred_out_dir=str(tmp_path), num_hypotheses=0))
    assert (tmp_path / 'walk.jsonl').read_text() == before, 'a slip costs nothing'


def all_poses(path):
    return [entry['instances'] for entry in read_json(path)]


def test_another_input_of_the_same_name_is_another_run(inferencer, tmp_path):
    """Broken if cam2/video.mp4 gets the poses of cam1/video.mp4, or those are lost."""
    for cam, seed in (('cam1', 0), ('cam2', 5)):
        (tmp_path / cam).mkdir()
        write_video(tmp_path / cam / 'video.avi', moving_frames(7, seed=seed))
    out = dict(pred_out_dir=str(tmp_path / 'out'))
    whole = {}
    for cam in ('cam1', 'cam2'):
        results = inferencer(str(tmp_path / cam / 'video.avi'))
        whole[cam] = json.loads(json.dumps([r['predictions'][0] for r in results]))
    for resume in (True, False):
        for cam in ('cam1', 'cam2'):
            list(inferencer(str(tmp_path / cam / 'video.avi'), resume=resume, **out))
            assert all_poses(tmp_path / 'out' / 'video.json') == whole[cam]
    kept = sorted((tmp_path / 'out').glob('video.json.old*'))
    assert [all_poses(path) for path in kept] == [whole['cam1'], whole['cam2'], whole['cam1']]

    # Interrupted: the lines of the first are not gone on with, and not lost.
    run = inferencer(str(tmp_path / 'cam1' / 'video.avi'), **out)
    next(run)
    run.close()
    assert len(list(inferencer(str(tmp_path / 'cam2' / 'video.avi'), resume=True, **out))) == 7
    assert all_poses(tmp_path / 'out' / 'video.json') == whole['cam2']
    assert (tmp_path / 'out' / 'video.jsonl.old').is_file()


def test_the_same_input_elsewhere_is_the_same_run(inferencer, video, tmp_path, monkeypatch):
    """Broken if a copy, another time stamp or a relative path makes hours of work unusable."""
    run = inferencer(video, pred_out_dir=str(tmp_path / 'out'))
    for _ in range(3):
        next(run)
    run.close()
    shutil.copyfile(video, tmp_path / 'walk.avi')
    os.utime(tmp_path / 'walk.avi', (1, 1))
    monkeypatch.chdir(tmp_path)
    posed = []
    features = inferencer.model.extract_feat
    monkeypatch.setattr(
        inferencer.model, 'extract_feat', lambda x: (posed.append(len(x)), features(x))[1]
    )
    assert len(list(inferencer('walk.avi', pred_out_dir='out', resume=True))) == 7
    assert sum(posed) == 4


def test_another_checkpoint_at_the_same_path_is_another_run(tiny_model, video, tmp_path):
    """Broken if half a file is of the old and half of the new model."""
    weights = str(tmp_path / 'best.pth')
    shutil.copyfile(tiny_model[1], weights)

    def inferencer():
        return DiffPoseInferencer(tiny_model[0], weights, device='cpu', det_model='whole_image')

    run = inferencer()(video, pred_out_dir=str(tmp_path))
    next(run)
    run.close()
    assert len(list(inferencer()(video, pred_out_dir=str(tmp_path), resume=True))) == 7
    state = torch.load(weights, weights_only=True)
    state['state_dict'] = {k: v * 1.01 for k, v in state['state_dict'].items()}
    torch.save(state, weights)
    with pytest.raises(ValueError, match=r'another run .*checkpoint.digest: .* then, .* now'):
        inferencer()(video, pred_out_dir=str(tmp_path), resume=True)


def test_another_detector_at_the_same_path_is_another_run(tmp_path):
    """Broken if boxes of two detectors end up in one file."""
    weights = tmp_path / 'det.pth'
    weights.write_bytes(b'one')
    config = tmp_path / 'det.py'
    config.write_text('model = dict(type="A")')
    before = PersonDetector(str(config), str(weights)).identity()
    assert PersonDetector(str(config), str(weights)).identity() == before
    weights.write_bytes(b'two')
    assert PersonDetector(str(config), str(weights)).identity() != before
    weights.write_bytes(b'one')
    config.write_text('model = dict(type="B")')
    assert PersonDetector(str(config), str(weights)).identity() != before


def test_pictures_of_every_kind_are_known_by_content(tmp_path):
    """Broken if a list of addresses ends in a traceback, or an array passes for another."""
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), moving_frames(1)[0])
    lists = [
        [str(path), moving_frames(2)[1]],
        [str(path), moving_frames(2)[0]],
        [str(path), 'http://h/b.jpg'],
        ['http://h/a.jpg', 'http://h/b.jpg'],
        [moving_frames(1)[0].astype(np.uint16)],
        [moving_frames(1)[0]],
    ]
    contents = [json.dumps(find_source(images, True).content()) for images in lists]
    assert len(set(contents)) == len(lists)
    assert json.dumps(find_source(lists[0], True).content()) == contents[0]


def test_a_finished_video_stays_until_it_is_drawn_anew(inferencer, video, tmp_path):
    """Broken if looking at a finished run once more, and stopping, cuts its video."""
    list(inferencer(video, out_dir=str(tmp_path)))
    with inferencer(video, out_dir=str(tmp_path), resume=True) as run:
        next(run)
    (drawn,) = (tmp_path / 'visualizations').iterdir()
    assert len(read_video(drawn)) == 7
    assert len(list(inferencer(video, out_dir=str(tmp_path), resume=True))) == 7
    assert len(read_video(drawn)) == 7 and len(list(drawn.parent.iterdir())) == 1
    assert len(read_json(tmp_path / 'predictions' / 'walk.json')) == 7


def test_what_comes_and_goes_cannot_be_resumed(inferencer, tmp_path):
    with pytest.raises(ValueError, match='resume needs an input that can be read again'):
        inferencer(iter(moving_frames(3)), pred_out_dir=str(tmp_path), resume=True)
    with pytest.raises(ValueError, match='resume needs an input that can be read again'):
        inferencer('rtsp://127.0.0.1:9/x', pred_out_dir=str(tmp_path), resume=True)


def test_a_log_of_another_version_is_said_to_be(inferencer, video, tmp_path):
    header = dict(run=dict(config='a'), format='diffpose_mm predictions 1')
    (tmp_path / 'walk.jsonl').write_text(json.dumps(header) + '\n')
    with pytest.raises(ValueError, match=r'written by another version .*predictions 1'):
        inferencer(video, pred_out_dir=str(tmp_path), resume=True)


def test_an_error_in_the_middle_keeps_what_was_computed(inferencer, tmp_path):
    def camera():
        yield from moving_frames(4)
        raise OSError('the cable is out')

    with pytest.raises(OSError, match='the cable is out'):
        list(inferencer(camera(), mode='causal', out_dir=str(tmp_path), batch_size=3))
    lines = (tmp_path / 'predictions' / 'frames.jsonl').read_text().splitlines()
    assert len(lines) == 1 + 4
    assert len(read_video(tmp_path / 'visualizations' / 'frames.mp4')) == 4
