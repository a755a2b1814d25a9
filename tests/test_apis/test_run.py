"""What a run owns: threads, memory, progress; runs beside each other."""

import re
import threading
import time

from apis_helpers import (
    StubDetector,
    moving_frames,
    write_video,
)

from diffpose_mm import video_writer
from diffpose_mm.apis import DiffPoseInferencer, progress
from diffpose_mm.apis.detector import PersonDetector
from diffpose_mm.apis.file_sources import Video


def test_a_video_left_in_the_middle_ends_its_threads(inferencer, video, monkeypatch):
    detector = PersonDetector('any')
    detector._inferencer = StubDetector()
    monkeypatch.setattr(inferencer, 'detector', detector)
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

    detector = PersonDetector('any')
    detector._inferencer = StubDetector()
    monkeypatch.setattr(inferencer, 'detector', detector)
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
