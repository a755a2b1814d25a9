"""What a run owns: threads, memory, progress; runs beside each other."""

import copy
import re
import threading
import time

import numpy as np
import pytest
from apis_helpers import (
    BOXES,
    StubDetector,
    moving_frames,
    read_json,
    read_video,
    stub_person_detector,
    write_video,
)

from diffpose_mm import video_writer
from diffpose_mm.apis import DiffPoseInferencer, FrameSource, SourceFrame, progress
from diffpose_mm.apis.file_sources import Video


def test_a_video_left_in_the_middle_ends_its_threads(inferencer, video, monkeypatch):
    monkeypatch.setattr(inferencer, 'detector', stub_person_detector())
    before = threading.active_count()
    run = inferencer(video)
    next(run)
    assert threading.active_count() > before
    run.close()
    assert threading.active_count() == before


def test_progress_is_told_without_a_terminal_too(tiny_model, video, monkeypatch):
    """Broken if the log of a long run says nothing until it is over."""
    inferencer = DiffPoseInferencer(
        *tiny_model, device='cpu', det_model='whole_image', show_progress=True
    )
    said = []
    monkeypatch.setattr(progress, 'LOG_INTERVAL', 0)
    monkeypatch.setattr(progress, 'print_log', lambda text, **_: said.append(text))
    assert len(list(inferencer(video))) == 7
    assert re.fullmatch(r'walk.avi: 3 of 7 frames, [\d.]+ frames/s, \d+ s left', said[2])


def test_decoding_detection_poses_and_writing_overlap(inferencer, tmp_path, monkeypatch):
    """Each is made to take a while; broken if one never runs while another does."""
    running, together = set(), set()

    def during(stage, work):
        running.add(stage)
        together.update(frozenset((stage, other)) for other in set(running))
        time.sleep(0.03)
        try:
            return work()
        finally:
            running.discard(stage)

    monkeypatch.setattr(inferencer, 'detector', stub_person_detector())
    path = write_video(tmp_path / 'walk.avi', moving_frames(14))
    find, write = StubDetector.__call__, video_writer.VideoWriter._encode

    class SlowVideo(Video):
        def __iter__(self):
            items = iter(super().__iter__())
            while (frame := during('decode', lambda: next(items, None))) is not None:
                yield frame

    features = inferencer.model.extract_feat
    monkeypatch.setattr(
        StubDetector, '__call__', lambda *a, **k: during('detect', lambda: find(*a, **k))
    )
    monkeypatch.setattr(
        inferencer.model, 'extract_feat', lambda x: during('pose', lambda: features(x))
    )
    monkeypatch.setattr(
        video_writer.VideoWriter, '_encode', lambda *a: during('write', lambda: write(*a))
    )
    assert len(list(inferencer(SlowVideo(path), out_dir=str(tmp_path / 'out')))) == 14
    for pair in (('decode', 'detect'), ('decode', 'pose'), ('detect', 'pose'), ('write', 'pose')):
        assert frozenset(pair) in together, f'{pair[0]} never ran during {pair[1]}'


def test_a_long_video_holds_only_a_window_of_frames(inferencer):
    import weakref

    alive = []

    def camera():
        for frame in moving_frames(60, width=40, height=30):
            frame = frame.copy()
            alive.append(weakref.ref(frame))
            yield frame

    most = 0
    for _ in inferencer(camera(), batch_size=2):
        most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 5 + 2 * 2 + 2


# a run is its caller's


def test_runs_beside_each_other_do_not_touch_each_other(inferencer, tmp_path):
    """Broken if frames of one video land in the file of another, or its settings in the model."""
    paths = {
        'a': write_video(tmp_path / 'a.avi', moving_frames(9)),
        'b': write_video(tmp_path / 'b.avi', moving_frames(9, width=160, seed=1)),
    }
    options = {
        'a': dict(num_hypotheses=3, sampling_steps=2, streaming=True, draw_spread=False),
        'b': dict(mode='causal', draw_bbox=True, black_background=True, draw_heatmap=True),
    }
    alone = {
        name: list(inferencer(path, out_dir=str(tmp_path / 'alone'), bboxes=BOXES + BOXES[:2],
                              return_vis=True, **options[name]))
        for name, path in paths.items()
    }  # fmt: skip
    model, before = inferencer.model, copy.deepcopy(inferencer.model.test_cfg)
    visualizer = dict(vars(inferencer.visualizer))
    runs = {
        name: inferencer(path, out_dir=str(tmp_path / 'both'), bboxes=BOXES + BOXES[:2],
                         return_vis=True, **options[name])
        for name, path in paths.items()
    }  # fmt: skip
    paused = inferencer(paths['a'], num_hypotheses=5, vis_out_dir=str(tmp_path / 'paused'))
    next(paused)
    together = {'a': [], 'b': []}
    for one, two in zip(runs['a'], runs['b']):
        together['a'].append(one)
        together['b'].append(two)
    for name in 'ab':
        assert len(alone[name]) == 9
        together[name] += list(runs[name])
        for found, expected in zip(together[name], alone[name]):
            assert found['predictions'] == expected['predictions']
            np.testing.assert_array_equal(found['visualization'][0], expected['visualization'][0])
        files = [
            read_video(tmp_path / folder / 'visualizations' / f'{name}.avi')
            for folder in ('both', 'alone')
        ]
        np.testing.assert_array_equal(*files)
        pair = [read_json(tmp_path / f / 'predictions' / f'{name}.json') for f in ('both', 'alone')]
        assert pair[0] == pair[1]
    assert model.test_cfg == before
    assert {k: v for k, v in vars(inferencer.visualizer).items() if k in visualizer}.keys() == (
        visualizer.keys()
    )
    for key, value in visualizer.items():
        assert vars(inferencer.visualizer)[key] is value, key
    paused.close()
    assert len(read_video(tmp_path / 'paused' / 'a.avi')) == 1


@pytest.mark.parametrize(
    'bad, message',
    [
        (dict(batch_size=0), 'batch_size=0'),
        (dict(max_people=0), 'max_people=0 has to be a whole number of at least 1'),
        (dict(max_people=2.5), 'max_people=2.5'),
        (dict(batch_size=1.5), 'batch_size=1.5'),
        (dict(mode='live'), "mode='live'"),
        (dict(frame_offsets=(-1, 0, 1)), 'do not fit the model'),
        (dict(num_hypotheses=0), 'num_hypotheses'),
        (dict(sampling_steps=5000), 'sampling_steps'),
        (dict(streaming=True, use_oks_tracking=True), 'streaming needs tracks'),
        (dict(resume=True), 'resume needs'),
        (dict(resume=True, pose_based_nms=True, out_dir='x'), 'pose_based_nms'),
        (dict(skeleton_style='stick'), "skeleton_style='stick'"),
        (dict(skeleton_style='openpose', return_vis=True), "skeleton_style='openpose'"),
        (dict(formats=['xml']), "format 'xml' has to be one of json, csv"),
        (dict(formats=[]), 'formats is empty'),
        (dict(frame_offsets=5), 'frame_offsets=5 has to be a list'),
        (dict(fps='30'), "fps='30'"),
        (dict(fps=0), 'fps=0'),
        (dict(radius=-1), 'radius=-1'),
        (dict(kpt_thr=None), 'kpt_thr=None'),
        (dict(bboxes=5), 'bboxes has to be'),
        (dict(show=True), 'show needs a display'),
        (dict(batchsize=2), 'batchsize'),
    ],
)
def test_what_is_refused_is_refused_by_the_call_and_leaves_no_trace(
    inferencer, monkeypatch, tmp_path, bad, message
):
    """Broken if an argument is looked at after a camera was opened or a folder was made."""
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    opened = []

    class Input(FrameSource):
        def open(self):
            opened.append(self)

    before = copy.deepcopy(inferencer.model.test_cfg), dict(vars(inferencer.visualizer))
    with pytest.raises((ValueError, TypeError), match=message):
        inferencer(Input(), **bad)
    assert not opened and not list(tmp_path.iterdir())
    assert (inferencer.model.test_cfg, dict(vars(inferencer.visualizer))) == before


def test_a_source_of_ones_own_can_be_passed_in(inferencer, tmp_path):
    """Broken if only what this package reads can be posed with a name, a rate and gaps."""

    class EverySecond(FrameSource):
        name, fps = 'mine.mp4', 5

        def open(self):
            self.frames = moving_frames(8)

        def __iter__(self):
            yield 'a.jpg', self.frames[0]
            yield SourceFrame('b.jpg', self.frames[2], 2, 0.5)
            yield SourceFrame('c.jpg', None, 3, 0.6, 'a cloud')
            yield 'd.jpg', self.frames[6]

    run = inferencer(EverySecond(), out_dir=str(tmp_path), formats=['json', 'csv'])
    infos = [result['frames'][0] for result in run]
    assert [info['frame_id'] for info in infos] == [0, 1, 2, 3, 4]
    assert [info.get('fault') for info in infos][1:4] == [
        'is not among the frames of the input', None, 'a cloud',
    ]  # fmt: skip
    assert [info['time'] for info in infos] == [0.0, None, 0.5, 0.6, 0.8]
    assert infos[2]['frames_used'] == [0, 2, 2, 2, 4]
    meta = read_json(tmp_path / 'predictions' / 'mine.json')[0]['meta']
    assert (meta['fps'], meta['image_size']) == (5.0, [120, 90])
    assert run.files == [
        str(tmp_path / 'predictions' / 'mine.json'),
        str(tmp_path / 'predictions' / 'mine.csv'),
        str(tmp_path / 'visualizations' / 'mine.mp4'),
    ]


def test_numbers_of_a_source_have_to_rise(inferencer):
    class Backwards(FrameSource):
        def __iter__(self):
            yield SourceFrame('a', moving_frames(1)[0], 3)
            yield SourceFrame('b', moving_frames(1)[0], 2)

    with pytest.raises(ValueError, match='gives frame 2 where 4 or a later one'):
        list(inferencer(Backwards()))


def test_nothing_but_broken_frames_is_an_error(inferencer, tmp_path):
    """Broken if a run without a single picture ends as a success."""
    for name in ('1.jpg', '2.jpg'):
        (tmp_path / name).write_bytes(b'nothing')
    with pytest.raises(ValueError, match='no frame could be read'):
        list(inferencer(str(tmp_path), as_clip=True, out_dir=str(tmp_path / 'out')))
    with pytest.raises(ValueError, match='no frame could be read'):
        list(inferencer(iter(()), out_dir=str(tmp_path / 'out')))


def test_a_run_is_closed_by_with_and_the_next_one_begins_anew(inferencer, video):
    with inferencer(video) as run:
        next(run)
    with pytest.raises(StopIteration):
        next(run)
    assert len(list(inferencer(video))) == 7
