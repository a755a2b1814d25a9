"""Frames by OpenCV, beside those that PyAV reads for ``infer``."""

import logging
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from runtime_helpers import walk

from diffpose_mm.video_reader import VideoReader
from diffpose_mm_runtime.frames import natural_order, read_frames


def write(path, ticks, damaged=()):
    """A video whose frames are all keyframes, at ``ticks`` of 10 ms; some packets are emptied."""
    frames, _ = walk(len(ticks))
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25, options=dict(g='1', bf='0'))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.time_base = 'yuv420p', Fraction(1, 100)
        packets = []
        for image, tick in zip(frames, ticks):
            frame = av.VideoFrame.from_ndarray(image, 'bgr24')
            frame.pts, frame.time_base = tick, Fraction(1, 100)
            packets += stream.encode(frame)
        for number, packet in enumerate([*packets, *stream.encode()]):
            if number in damaged:
                content = bytearray(bytes(packet))
                content[4:] = bytes(len(content) - 4)
                empty = av.Packet(bytes(content))
                empty.pts, empty.dts, empty.time_base = packet.pts, packet.dts, packet.time_base
                empty.stream, empty.is_keyframe = stream, True
                packet = empty
            container.mux(packet)
    return frames


def assert_as_infer_reads(path):
    """Numbers, gaps and times (within a tick of Matroska, 1 ms) are those of the other reader."""
    found, others = list(read_frames(path)[0]), list(VideoReader(str(path)))
    assert [frame.index for frame in found] == [frame.number for frame in others]
    assert [bool(frame.fault) for frame in found] == [bool(frame.fault) for frame in others]
    np.testing.assert_allclose([f.time for f in found], [f.time for f in others], atol=2e-3)
    return found


@pytest.mark.parametrize('ending', ['mp4', 'mkv'])
def test_times_of_a_variable_rate(ending, tmp_path):
    """Broken if times were numbers over the mean rate, which smoothing takes for speeds."""
    ticks = [0, 1, 2, 22, 23, 24, 44, 45]
    write(tmp_path / f'walk.{ending}', ticks)
    found = assert_as_infer_reads(tmp_path / f'walk.{ending}')
    np.testing.assert_allclose([f.time for f in found], np.array(ticks) / 100, atol=2e-3)


@pytest.mark.parametrize('ending', ['mp4', 'mkv'])
@pytest.mark.parametrize('damaged', [(6,), (4, 5, 6)])
def test_frames_after_a_damaged_one(damaged, ending, tmp_path, caplog):
    """Broken if the frames after it were lost, or took its number and moved against their boxes."""
    path = tmp_path / f'walk.{ending}'
    frames = write(path, range(0, 80, 4), damaged)
    found = assert_as_infer_reads(path)
    assert [frame.index for frame in found if frame.fault] == list(damaged)
    assert f'{len(damaged)} of 20 frames are damaged' in caplog.text
    for frame in found:
        if frame.fault is None:  # a neighbour is farther off than the compression
            apart = [
                np.abs(np.subtract(frame.image, other, dtype=float)).mean() for other in frames
            ]
            assert np.argmin(apart) == frame.index


@pytest.mark.parametrize('ending', ['avi', 'mkv'])
def test_a_short_end_is_told(ending, tmp_path, caplog):
    """Broken if the first half of a file that was cut short passed for all of it."""
    path = tmp_path / f'walk.{ending}'
    write(path, range(0, 80, 4))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        found = list(read_frames(path)[0])
    assert 2 < len(found) < 18
    assert f'walk.{ending} ends after {len(found)} of the ' in caplog.text


def test_a_whole_video_is_not_warned_of(tmp_path, caplog):
    """Broken if every run ended in a warning that means nothing."""
    for ending in ('avi', 'mp4', 'mkv'):
        write(tmp_path / f'walk.{ending}', range(0, 48, 4))
        assert len(list(read_frames(tmp_path / f'walk.{ending}')[0])) == 12
    assert caplog.text == ''


def test_pictures_in_the_order_of_their_numbers(tmp_path):
    """Broken if frame 10 came before frame 2, or what a file manager leaves were a frame."""
    image = np.zeros((8, 8, 3), np.uint8)
    for number in (0, 1, 2, 9, 10, 11):
        cv2.imwrite(str(tmp_path / f'frame{number}.png'), image + number)
    (tmp_path / '._frame0.png').write_bytes(b'of another system')
    (tmp_path / 'frame3.png').mkdir()
    found = list(read_frames(tmp_path)[0])
    assert [int(frame.image[0, 0, 0]) for frame in found] == [0, 1, 2, 9, 10, 11]
    assert sorted(['b', 'a10b2', 'a10b', '7'], key=natural_order) == ['7', 'a10b', 'a10b2', 'b']
