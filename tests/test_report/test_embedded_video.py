"""Which picture a page gets: the video itself where browsers show it right, else a copy."""

import dataclasses
from fractions import Fraction

import av
import numpy as np
import pytest
import report_cases as cases

from diffpose_mm.identity import files_identity
from diffpose_mm.report.embedded_video import embed_video
from diffpose_mm.report.predictions import read_predictions
from diffpose_mm.video_reader import VideoReader
from diffpose_mm.video_writer import VideoWriter

COUNT = 12
UNEVEN = [0, 0.1, 0.13, 0.5, 0.52, 0.6, 0.9, 0.95, 1.0, 1.4, 1.5, 1.51]
MILLISECONDS = Fraction(1, 1000)


def predictions_of(tmp_path, times, size=(120, 90)):
    frames = cases.entries([[cases.person(0)] for _ in times], image_size=list(size))
    for frame, time in zip(frames, times):
        frame['time'] = time
    return read_predictions(cases.write(tmp_path / 'a.json', frames))


def made(tmp_path, name, times=None, **more):
    """A video and its predictions, with the times that our reader gives."""
    path = cases.write_video(tmp_path / name, times, **more)
    seen = [frame.time for frame in VideoReader(path)]
    return path, predictions_of(tmp_path, seen, more.get('size', (120, 90)))


def frames_of(video, tmp_path):
    """(time, mean grey) of the frames of what is embedded, by PyAV alone."""
    path = tmp_path / 'embedded.mp4'
    path.write_bytes(video.data)
    with av.open(str(path)) as container:
        return [
            (frame.time, frame.to_ndarray(format='gray').mean())
            for frame in container.decode(video=0)
        ]


def check_copy(video, tmp_path, times):
    """Each frame of a copy is that of the video, at its time less that of the first."""
    assert video.is_copy and video.kind == 'video/mp4'
    found, greys = zip(*frames_of(video, tmp_path))
    np.testing.assert_allclose(found, np.array(times) - times[0], atol=1.1e-3)
    np.testing.assert_allclose(video.times, found, atol=1.1e-3)
    # The encoder's grey is of 219 steps, and off by one or two.
    assert np.all(np.diff(greys) > 4)


def test_what_browsers_show_is_taken_as_it_is(tmp_path):
    """Broken if a video lost quality, and its reader time, for nothing."""
    path, predictions = made(tmp_path, 'a.mp4')
    video = embed_video(path, predictions, 10**6)
    assert not video.is_copy and video.data == path.read_bytes()
    np.testing.assert_array_equal(video.times, predictions.times)


def test_uneven_times_are_taken_as_they_are_without_b_frames(tmp_path):
    """Broken if phones' videos were encoded anew."""
    path, predictions = made(
        tmp_path, 'a.mp4', UNEVEN, base=MILLISECONDS, h264_options=dict(bf='0')
    )
    assert not embed_video(path, predictions, 10**6).is_copy


@pytest.mark.parametrize(
    'name, times, more',
    [
        ('a.mp4', UNEVEN, dict(h264_options=dict(bf='2', preset='medium'))),
        ('a.mkv', UNEVEN, {}),
        ('a.mp4', [0.7 + time for time in UNEVEN], {}),
    ],
    ids=['B-frames at uneven times', 'container', 'starts late'],
)
def test_what_browsers_show_at_other_times_is_encoded_anew(tmp_path, name, times, more):
    """Broken if poses were drawn over the picture of a neighbouring frame."""
    path, predictions = made(tmp_path, name, times, base=MILLISECONDS, **more)
    check_copy(embed_video(path, predictions, 10**6), tmp_path, list(predictions.times))


def test_what_browsers_do_not_know_is_encoded_anew(tmp_path):
    """Broken if a page of an AVI, or of odd sizes, had a black picture."""
    path, predictions = made(tmp_path, 'a.avi', size=(121, 91))
    video = embed_video(path, predictions, 10**6)
    check_copy(video, tmp_path, list(predictions.times))
    assert all(side % 2 == 0 for side in video.size)


def test_a_short_video_and_a_large_bound(tmp_path):
    """Broken if a bound over a fraction of a second gave a bit rate that FFmpeg cannot hold."""
    path, predictions = made(tmp_path, 'a.avi')
    assert embed_video(path, predictions, 10**9).is_copy


def test_a_copy_fits_into_its_bound(tmp_path):
    """Broken if a page could be larger than was asked for."""
    generator = np.random.default_rng(0)
    path = tmp_path / 'noise.mp4'
    writer = VideoWriter(str(path), 10)
    for _ in range(COUNT):
        writer.write(generator.integers(0, 255, (480, 640, 3), np.uint8))
    writer.close()
    predictions = predictions_of(tmp_path, [i / 10 for i in range(COUNT)], (640, 480))
    assert path.stat().st_size > 600_000
    for bound in (60_000, 15_000):
        video = embed_video(path, predictions, bound)
        assert video.is_copy and len(video.data) <= bound
        assert len(frames_of(video, tmp_path)) == COUNT
    assert video.size[0] < 640, 'so few bits for so many pixels'
    with pytest.raises(ValueError, match='larger --max-size'):
        embed_video(path, predictions, 2000)


def test_a_gap_shows_the_picture_before(tmp_path, monkeypatch):
    """Broken if the pictures after a damaged frame came one frame too early."""
    path, predictions = made(tmp_path, 'a.mp4')
    predictions.faults[4] = 'damaged'
    whole = VideoReader.__iter__

    def damaged(reader):
        for frame in whole(reader):
            yield dataclasses.replace(frame, image=None) if frame.number == 4 else frame

    monkeypatch.setattr(VideoReader, '__iter__', damaged)
    video = embed_video(path, predictions, 10**6)
    greys = [grey for _, grey in frames_of(video, tmp_path)]
    assert video.is_copy and len(greys) == COUNT
    assert abs(greys[4] - greys[3]) < 3 < greys[5] - greys[4]


def test_predictions_of_a_part_have_that_part(tmp_path):
    """Broken if an interrupted run had no page, or one with a picture that goes on without it."""
    path, _ = made(tmp_path, 'a.mkv')
    video = embed_video(path, predictions_of(tmp_path, [0.0, 0.1, 0.2]), 10**6)
    assert len(frames_of(video, tmp_path)) == 3


def test_times_that_are_missing_come_from_the_video(tmp_path):
    """Broken if MMPose's predictions, which have no times, could not be shown over a video."""
    path, known = made(tmp_path, 'a.mp4', UNEVEN, base=MILLISECONDS)
    predictions = predictions_of(tmp_path, [None] * COUNT)
    embed_video(path, predictions, 10**6)
    np.testing.assert_allclose(predictions.times, known.times)


def test_another_video_is_refused(tmp_path):
    """Broken if poses could be shown over the wrong people."""
    path, predictions = made(tmp_path, 'a.mp4')
    predictions.input.update(files_identity([path]))
    assert embed_video(path, predictions, 10**6)
    predictions.input['digest'] = '0' * 16
    with pytest.raises(
        ValueError, match=r'a\.mp4 is not the video of these predictions.*walk\.mp4'
    ):
        embed_video(path, predictions, 10**6)


@pytest.mark.parametrize(
    'times, size, message',
    [
        ([i / 10 for i in range(COUNT)], (90, 120), 'frames of 120x90'),
        ([i / 10 for i in range(COUNT + 5)], (120, 90), 'has 12 frames.*go on to frame 16'),
        ([i / 5 for i in range(COUNT)], (120, 90), r'shows frame 1 at 0\.100 s'),
    ],
    ids=['size', 'length', 'times'],
)
def test_what_does_not_fit_the_video_is_refused(tmp_path, times, size, message):
    """Broken if predictions that do not say their input could be shown over any video."""
    path, _ = made(tmp_path, 'a.mkv')
    with pytest.raises(ValueError, match=message):
        embed_video(path, predictions_of(tmp_path, times, size), 10**6)


def test_progress_counts_the_frames_of_a_copy(tmp_path):
    """Broken if a long video were encoded without a sign of life."""
    path, predictions = made(tmp_path, 'a.mkv')
    told = []
    embed_video(path, predictions, 10**6, lambda: told.append(1))
    assert len(told) == COUNT
