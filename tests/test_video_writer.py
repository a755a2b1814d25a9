"""Videos that are written: any rate, any size, the times of the input."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from diffpose_mm.video_reader import VideoReader
from diffpose_mm.video_writer import VideoWriter, video_path


def pictures(count, size):
    width, height = size
    return [np.full((height, width, 3), (20 * i, 120, 200), np.uint8) for i in range(count)]


def write(path, images, fps, **more):
    times = more.pop('times', [None] * len(images))
    writer = VideoWriter(str(path), fps, **more)
    for image, time in zip(images, times):
        writer.write(image, time)
    writer.close()
    return VideoReader(path)


@pytest.mark.parametrize('fps', [119.193, 29.97, Fraction(30000, 1001), 239.76, 1, 5.5, 1000])
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.avi'])
def test_any_frame_rate_that_players_show(tmp_path, fps, suffix):
    """Broken if a slow-motion video ends in an error of the encoder."""
    reader = write(tmp_path / f'a{suffix}', pictures(8, (64, 48)), fps)
    frames = list(reader)
    assert len(frames) == 8
    tolerance = 1e-3 if suffix == '.mkv' else 1e-5  # Matroska counts milliseconds
    expected = np.arange(8) / float(fps)
    np.testing.assert_allclose([f.time for f in frames], expected, atol=tolerance)
    for frame, image in zip(frames, pictures(8, (64, 48))):
        assert np.abs(frame.image.astype(int) - image).mean() < 4


@pytest.mark.parametrize('size', [(65, 49), (64, 49), (65, 48), (1, 1), (33, 200)])
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.avi'])
def test_an_odd_size_loses_no_row_and_no_column(tmp_path, size, suffix):
    reader = write(tmp_path / f'a{suffix}', pictures(3, size), 25)
    assert (reader.width, reader.height) == size
    assert len(list(reader)) == 3
    capture = cv2.VideoCapture(str(tmp_path / f'a{suffix}'))
    assert capture.read()[1].shape[1::-1] == size, 'as others read it'


def test_times_of_the_input_are_kept(tmp_path):
    times = [0.0, 0.2, 0.233, 1.0, 1.001, 7.5]
    for suffix in ('.mp4', '.mkv'):
        reader = write(
            tmp_path / f'a{suffix}',
            pictures(6, (64, 48)),
            30,
            times=times,
            time_base=Fraction(1, 1000),
        )
        np.testing.assert_allclose([f.time for f in reader], times, atol=1e-6)


def test_times_that_stand_still_still_rise(tmp_path):
    """A file with two frames of one time would not open."""
    reader = write(
        tmp_path / 'a.mp4', pictures(4, (64, 48)), 25, times=[0, 0.04, 0.04, 0.03],
        time_base=Fraction(1, 1000),
    )  # fmt: skip
    times = [f.time for f in reader]
    assert len(times) == 4 and times == sorted(set(times))


def test_a_frame_of_another_size_is_fitted_in(tmp_path):
    images = [*pictures(2, (64, 48)), *pictures(2, (100, 30))]
    frames = list(write(tmp_path / 'a.mp4', images, 25))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}


def test_the_shape_of_pixels_is_kept(tmp_path):
    ratio = Fraction(16, 11)
    reader = write(tmp_path / 'a.mp4', pictures(1, (64, 48)), 25, pixel_aspect_ratio=ratio)
    assert reader.pixel_aspect_ratio == ratio


def test_what_cannot_be_written_says_why(tmp_path):
    with pytest.raises(OSError, match=r'nowhere/a.mp4 cannot be written: No such file'):
        write(tmp_path / 'nowhere' / 'a.mp4', pictures(1, (64, 48)), 25)
    with pytest.raises(ValueError, match='fps=0 has to be positive'):
        VideoWriter('a.mp4', 0)
    with pytest.raises(ValueError, match='a.webm has to end in one of .mp4'):
        VideoWriter('a.webm', 25)
    assert video_path('x/a.webm') == 'x/a.mp4' and video_path('x/a.AVI') == 'x/a.AVI'


def test_the_encoder_takes_other_options(tmp_path):
    """Broken if the copy of a page's video had keyframes too far apart to jump to."""
    kinds = {}
    for name, options in (('plain', None), ('close', dict(preset='ultrafast', g='3'))):
        path = tmp_path / f'{name}.mp4'
        writer = VideoWriter(str(path), 10, h264_options=options)
        for i in range(12):
            writer.write(np.full((32, 48, 3), 15 * i, np.uint8))
        writer.close()
        with av.open(str(path)) as container:
            kinds[name] = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert kinds['close'] == [i % 3 == 0 for i in range(12)]
    assert sum(kinds['plain']) == 1
