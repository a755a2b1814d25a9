"""Runs that were interrupted, and go on."""

import json
import os
import os.path as osp
import subprocess
import sys

import pytest
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

from diffpose_mm.apis import DiffPoseInferencer


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


def test_an_error_in_the_middle_keeps_what_was_computed(inferencer, tmp_path):
    def camera():
        yield from moving_frames(4)
        raise OSError('the cable is out')

    with pytest.raises(OSError, match='the cable is out'):
        list(inferencer(camera(), mode='causal', out_dir=str(tmp_path), batch_size=3))
    lines = (tmp_path / 'predictions' / 'frames.jsonl').read_text().splitlines()
    assert len(lines) == 1 + 4
    assert len(read_video(tmp_path / 'visualizations' / 'frames.mp4')) == 4
