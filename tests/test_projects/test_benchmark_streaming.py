"""projects/benchmark/streaming.py: its walk is a walk, and its tables say what was done."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_scripts import load_script
from mmengine.config import Config

from diffpose_mm.engine.launch import set_data_root
from diffpose_mm.synthetic import synthesize
from diffpose_mm.tools import test as test_tool


@pytest.fixture(scope='module')
def streaming():
    return load_script('streaming')


@pytest.fixture(scope='module')
def walk(streaming):
    return sys.modules['walk']


def test_the_walker_goes_where_it_looks_at_the_pace_of_a_walk(walk):
    scene = walk.walk_scene(300)
    (person,) = scene.people
    times = scene.light.times
    assert times[-1] == pytest.approx(299 / 25)
    x, z = (np.gradient(v, times) for v in person.position(times).T)
    assert 0.8 < np.hypot(x, z).min() and np.hypot(x, z).max() < 2, 'metres a second'
    heading = person.motion.heading(times)
    off = np.angle(np.exp(1j * (np.arctan2(x, -z) - heading)))
    assert np.abs(off).max() < 0.1
    assert np.ptp(heading) > 2, 'seen from several sides'


def test_the_boxes_hold_the_walker_and_change_as_it_walks(walk):
    scene = walk.walk_scene(300, size=(160, 120))
    _, pixels = scene.keypoints(scene.light.times)
    frames = list(walk.walking_person(300, size=(160, 120)))[::20]
    boxes = np.array([box for _, box in frames])
    joints = pixels[::20, 0]
    assert (joints.min(1) > boxes[:, :2]).all() and (joints.max(1) < boxes[:, 2:]).all()
    heights = boxes[:, 3] - boxes[:, 1]
    assert heights.max() > 1.25 * heights.min()
    assert np.ptp(boxes[:, 0]) > 30, 'image pixels'
    for image, box in frames:
        low, high = box[:2].astype(int), box[2:].astype(int)
        assert image.shape == (120, 160, 3)
        assert image[low[1] : high[1], low[0] : high[0]].std() > 15


def test_cost_is_the_cost_of_the_passes(streaming, small_config, monkeypatch):
    """With a clock that counts frames in the backbone: one for ViTPose and for a streamed
    person-frame, T = 3 for a whole window."""
    passes = [0]
    cfg = streamable(small_config)
    build = streaming.build_models
    build_vitpose = streaming.build_vitpose

    def counted(result):
        result[0].backbone.register_forward_pre_hook(
            lambda module, args: passes.__setitem__(0, passes[0] + len(args[0]))
        )
        return result

    monkeypatch.setattr(streaming, 'build_models', lambda cfg: counted(build(cfg)))
    monkeypatch.setattr(streaming, 'build_vitpose', lambda cfg: counted(build_vitpose(cfg)))
    monkeypatch.setattr(streaming.time, 'process_time', lambda: float(passes[0]))
    rows = streaming.measure_cost(cfg, 12, [1, 2], full_every=5, size=(160, 120))
    rows = {row['path']: row for row in rows}
    assert {name: row['frames'] for name, row in rows.items()} == {
        'ViTPose, one frame': 12,
        'streaming, S=1': 6,
        'streaming, S=2': 6,
        'whole window, S=1': 2,
        'whole window, S=2': 1,
    }
    for name, row in rows.items():
        expected = 3.0 if name.startswith('whole') else 1.0
        assert row['ratio'] == row['median'] == expected, name
        assert ('passes' in row) == name.startswith('streaming')
    assert rows['streaming, S=1']['passes'] == 1.0
    assert 0 < rows['streaming, S=1']['renewed'] < 1


def test_an_interrupted_run_tells_of_the_frames_it_has(streaming, small_config, monkeypatch):
    calls = []

    def interrupted(self, jobs):
        calls.append(jobs)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr(streaming.StreamingPoser, '__call__', interrupted)
    monkeypatch.setattr(streaming, '_shares', lambda stream: {})
    rows = streaming.measure_cost(streamable(small_config), 12, [1], full_every=50, size=(160, 120))
    assert rows[1]['frames'] == 2, 'the first call is the warm-up, the fourth is cut off'


def streamable(cfg):
    """The small config with three frames everywhere."""
    cfg = Config(cfg.to_dict())
    for step in cfg.test_dataloader.dataset.pipeline:
        if step.type == 'TopdownAffine':
            step.input_size = cfg.model.head.decoder.input_size
    cfg.test_dataloader.dataset.frame_offsets = (-1, 0, 1)
    return cfg


def test_vitpose_is_the_one_of_mmpose(streaming, small_config):
    """mmpose's own config, with the small backbone and input, has the same parameters."""
    import mmpose
    from mmpose.registry import MODELS

    path = Path(mmpose.__file__).parent / '.mim/configs/body_2d_keypoint/topdown_heatmap/coco'
    own = Config.fromfile(path / 'td-hm_ViTPose-base_8xb64-210e_coco-256x192.py').model
    cfg = streamable(small_config)
    own.backbone.update(arch=cfg.model.backbone.arch, img_size=(64, 48), init_cfg=None)
    own.head.update(in_channels=32)
    own.head.decoder.update(input_size=(48, 64), heatmap_size=(12, 16))
    expected = {k: v.shape for k, v in MODELS.build(own).state_dict().items()}
    model, pipeline = streaming.build_vitpose(cfg)
    assert {k: v.shape for k, v in model.state_dict().items()} == expected
    assert not model.test_cfg['flip_test']
    kinds = [type(step).__name__ for step in pipeline.transforms]
    assert kinds == ['LoadImage', 'GetBBoxCenterScale', 'TopdownAffine', 'PackPoseInputs']


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('streaming') / 'data'
    synthesize(root, train_videos=0, val_videos=1, frames=6, seed=8, difficulty='easy')
    return root


def test_accuracy_of_the_whole_window_is_that_of_the_test_tool(streaming, data_root, tmp_path):
    cfg = Config.fromfile(streaming.DEMO)
    set_data_root(cfg, str(data_root))
    whole, stream = streaming.measure_accuracy(cfg, streaming.DEMO_WEIGHTS)
    metrics = test_tool.main(
        [
            str(streaming.DEMO),
            str(streaming.DEMO_WEIGHTS),
            '--data-root',
            str(data_root),
            '--work-dir',
            str(tmp_path),
        ]
    )
    assert whole['AP'] == pytest.approx(metrics['posetrack/AP'], abs=1.0) and whole['AP'] > 30
    assert stream['AP'] != whole['AP']
    assert 0 < stream['renewed'] <= 1 <= stream['passes'] < 1.5

    shaken, _ = streaming.measure_accuracy(cfg, streaming.DEMO_WEIGHTS, jitter=0.3)
    assert shaken['AP'] < whole['AP'] - 10


def test_people_know_where_they_will_be(streaming, data_root):
    """The boxes ahead are those that the same track has as a keyframe."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS

    cfg = Config.fromfile(streaming.DEMO)
    set_data_root(cfg, str(data_root))
    init_default_scope('mmpose')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    for steps in streaming.annotated_videos(dataset, (-2, 0, 2), 'offline', 0.0):
        boxes = {(w.frame_id, p.track_id): p.box for jobs, _ in steps for w, p in jobs}
        for jobs, infos in steps:
            for (window, person), info in zip(jobs, infos):
                assert window.frame.name == info['img_path']
                for i in window.frame_ids:
                    expected = boxes.get((i, person.track_id))
                    found = window.box_of(person.track_id, i)
                    assert (found is None) == (expected is None)
                    if expected is not None:
                        np.testing.assert_array_equal(found, expected)


def test_command_line_prints_and_writes_the_same_numbers(streaming, small_config, tmp_path, capsys):
    config, out = tmp_path / 'small.py', tmp_path / 'cost.json'
    streamable(small_config).dump(config)
    threads = torch.get_num_threads()
    try:
        streaming.main(['cost', str(config), '--frames', '3', '--steps', '1', '--json', str(out)])
    finally:
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    assert written['run']['clock'] == 'cpu' and written['run']['threads'] == 1
    for row in written['rows']:
        assert f'| {row["path"]} | {row["frames"]} |' in printed
        assert f'{row["ratio"]:.3f}' in printed


def test_the_walk_can_be_looked_at(streaming, tmp_path):
    import cv2

    streaming.main(['cost', '--frames', '3', '--video', str(tmp_path / 'walk.mp4')])
    capture = cv2.VideoCapture(str(tmp_path / 'walk.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['cost', '--frames', '0'], '--frames must be at least 1'),
        (['cost', '--steps', '0', '4'], '--steps must be at least 1'),
        (['cost', '--full-every', '0'], '--full-every must be at least 1'),
        (['accuracy', '--mode', 'live'], 'invalid choice'),
        ([], 'required: command'),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(streaming, arguments, message, capsys):
    with pytest.raises(SystemExit):
        streaming.parse_args(arguments)
    assert message in capsys.readouterr().err
