"""Videos as players show them: turned, at the right times, beyond damage."""

import gc
import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from diffpose_mm import display_matrix, video_reader
from diffpose_mm.video_reader import VideoReader


def picture(number, size=(64, 48)):
    """A picture without symmetry, whose colour tells its number."""
    width, height = size
    image = np.full((height, width, 3), (40 + 8 * number, 90, 160), np.uint8)
    image[: height // 3, : width // 2] = (250, 250, 250)
    image[-height // 4 :, -width // 4 :] = (0, 0, 0)
    return image


def write(path, count=12, rate=30, times=None, time_base=None, codec='libx264', **more):
    """A video by PyAV alone; `matrix`, `ratio`, `size`, `options` as PyAV takes them."""
    size = more.get('size', (64, 48))
    with av.open(f'file:{path}', 'w') as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=more.get('options', {}))
        stream.width, stream.height = size
        stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
        if time_base:
            stream.codec_context.time_base = time_base
        if 'ratio' in more:
            stream.codec_context.sample_aspect_ratio = more['ratio']
        if 'matrix' in more:
            stream.set_display_matrix(more['matrix'])
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format='bgr24')
            frame.pts = number if times is None else times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def shown(image, matrix):
    """The definition: pixel (x, y) goes to (a x + c y, b x + d y), moved to begin at 0."""
    a, b, c, d = (int(np.sign(matrix[i])) for i in (0, 1, 3, 4))
    height, width = image.shape[:2]
    corners = [(a * x + c * y, b * x + d * y) for x in (0, width - 1) for y in (0, height - 1)]
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in corners) for axis in (0, 1))
    out = np.zeros((bottom - top + 1, right - left + 1, 3), image.dtype)
    for y in range(height):
        for x in range(width):
            out[b * x + d * y - top, a * x + c * y - left] = image[y, x]
    return out


ONE = 1 << 16
ORIENTATIONS = {
    'upright': (1, 0, 0, 1),
    'turned 90': (0, 1, -1, 0),
    'turned 180': (-1, 0, 0, -1),
    'turned 270': (0, -1, 1, 0),
    'mirrored': (-1, 0, 0, 1),
    'mirrored, turned 90': (0, 1, 1, 0),
    'mirrored, turned 180': (1, 0, 0, -1),
    'mirrored, turned 270': (0, -1, -1, 0),
}


@pytest.mark.parametrize('name', ORIENTATIONS)
@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
def test_every_rotation_and_mirror_is_shown_as_players_do(tmp_path, name, suffix):
    """Broken if a phone's portrait video, or a selfie, lies on its side or is mirrored."""
    a, b, c, d = (value * ONE for value in ORIENTATIONS[name])
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path = write(tmp_path / f'a.{suffix}', 2, matrix=matrix)
    reader = VideoReader(path)
    expected = shown(picture(0), matrix)
    assert (reader.height, reader.width) == expected.shape[:2]
    first = next(iter(reader)).image
    assert np.abs(first.astype(int) - expected).mean() < 6
    # As ffmpeg's own flag of the frame has it, where that can say it.
    if 'mirrored' not in name:
        with av.open(path) as container:
            raw = next(container.decode(video=0))
        turned = np.rot90(raw.to_ndarray(format='bgr24'), raw.rotation // 90)
        assert np.abs(first.astype(int) - turned).mean() < 6


def test_an_angle_between_is_said_to_be_rounded(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(display_matrix, 'print_log', lambda text, **_: said.append(text))
    turned = int(ONE * 0.98), int(ONE * 0.2)
    matrix = (turned[0], turned[1], 0, -turned[1], turned[0], 0, 0, 0, 1 << 30)
    reader = VideoReader(write(tmp_path / 'a.mp4', 1, matrix=matrix))
    assert (reader.width, reader.height) == (64, 48)
    assert any('no multiple of 90 degrees' in text for text in said)


def test_pixels_are_those_of_opencv(tmp_path):
    """Broken if a model sees other colours than it was trained with."""
    path = write(tmp_path / 'a.mp4', 5)
    capture = cv2.VideoCapture(path)
    for frame in VideoReader(path):
        np.testing.assert_array_equal(frame.image, capture.read()[1])


def test_times_of_a_variable_frame_rate_are_those_of_the_frames(tmp_path, monkeypatch):
    """Broken if a time is a number over an average, or a whole file is called cut short."""
    said = []
    monkeypatch.setattr(video_reader, 'print_log', lambda text, **_: said.append(text))
    ticks = [0, 200, 233, 266, 1000, 1033, 4000, 4033, 9000, 9500]
    for suffix in ('mkv', 'mp4'):
        path = write(tmp_path / f'a.{suffix}', 10, 30, ticks, Fraction(1, 1000))
        frames = list(VideoReader(path))
        assert [frame.number for frame in frames] == list(range(10))
        np.testing.assert_allclose([f.time for f in frames], np.array(ticks) / 1000, atol=1e-3)
    assert not said


def test_a_video_cut_out_of_another_without_encoding_is_whole(tmp_path, monkeypatch):
    """Such a file begins before what is shown, at a keyframe; that is no damage."""
    said = []
    monkeypatch.setattr(video_reader, 'print_log', lambda text, **_: said.append(text))
    options = dict(g='30', bf='0')
    source = write(tmp_path / 'whole.mp4', 20, options=options)
    cut = tmp_path / 'cut.mp4'
    with av.open(source) as whole, av.open(str(cut), 'w') as part:
        video = whole.streams.video[0]
        stream = part.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.dts is not None:
                packet.pts -= 5 * 512
                packet.dts -= 5 * 512
                packet.stream = stream
                part.mux(packet)
    frames = list(VideoReader(cut))
    with av.open(str(cut)) as container:
        expected = [f.to_ndarray(format='bgr24') for f in container.decode(video=0)]
    assert [frame.number for frame in frames] == list(range(len(expected)))
    assert all(frame.fault is None for frame in frames)
    assert not said


def damage(path, packets):
    """Overwrite some packets of a file with zeros; returns which frames they are."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        found = [p for p in container.demux(video) if p.size]
        order = sorted(p.pts for p in found)
        places = [(found[i].pos, found[i].size, order.index(found[i].pts)) for i in packets]
    data = bytearray(open(path, 'rb').read())
    for position, size, _ in places:
        data[position : position + size] = bytes(size)
    with open(path, 'wb') as file:
        file.write(data)
    return [number for _, _, number in places]


@pytest.mark.parametrize('packets', [[9], [5, 6], [0], [19], [3, 14]])
def test_damage_leaves_gaps_and_the_numbers_of_the_others(tmp_path, monkeypatch, packets):
    """Broken if reading ends at the first damage, or what follows moves up."""
    said = []
    monkeypatch.setattr(video_reader, 'print_log', lambda text, **_: said.append(text))
    path = write(tmp_path / 'a.mp4', 20, options=dict(g='2', bf='0'))
    whole = [frame.image for frame in VideoReader(path)]
    lost = damage(path, packets)
    frames = list(VideoReader(path))
    assert [frame.number for frame in frames] == list(range(20))
    np.testing.assert_allclose([f.time for f in frames], np.arange(20) / 30, atol=1e-6)
    gaps = [frame.number for frame in frames if frame.fault]
    assert set(lost) <= set(gaps) and len(gaps) <= 2 * len(lost)
    for frame in frames:
        assert (frame.image is None) == (frame.fault is not None)
        # A frame whose keyframe is lost is concealed, as in players.
        if frame.image is not None and frame.number - 1 not in gaps:
            np.testing.assert_array_equal(frame.image, whole[frame.number])
    assert any(f'{len(gaps)} of 20 frames are damaged' in text for text in said)


def test_a_cut_file_says_how_much_is_missing(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(video_reader, 'print_log', lambda text, **_: said.append(text))
    path = tmp_path / 'a.mkv'
    write(path, 120, options=dict(g='10'), size=(128, 96))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3])
    frames = list(VideoReader(path))
    assert 10 < len(frames) < 60
    assert any('cut short or damaged' in text for text in said)


@pytest.mark.parametrize(
    'name', ['2026-05-01T10:15:00.mp4', 'walk%03d.mp4', 'http:x.mkv', '-i.avi']
)
def test_a_file_is_a_file_whatever_its_name_means_to_ffmpeg(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, 3, codec='mjpeg' if name.endswith('avi') else 'libx264')
    assert len(list(VideoReader(name))) == 3


def test_pixels_that_are_no_squares_are_told(tmp_path):
    upright = VideoReader(write(tmp_path / 'a.mp4', 1, ratio=Fraction(16, 11)))
    assert upright.pixel_aspect_ratio == Fraction(16, 11)
    matrix = (0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)
    turned = VideoReader(write(tmp_path / 'b.mp4', 1, ratio=Fraction(16, 11), matrix=matrix))
    assert turned.pixel_aspect_ratio == Fraction(11, 16)
    assert VideoReader(write(tmp_path / 'c.mp4', 1)).pixel_aspect_ratio == 1


def test_what_is_no_video_is_refused_with_a_reason(tmp_path):
    sound = tmp_path / 'sound.mp4'
    with av.open(str(sound), 'w') as container:
        stream = container.add_stream('aac', rate=8000)
        silence = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format='fltp', layout='mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r'sound.mp4 holds no video'):
        VideoReader(sound)
    text = tmp_path / 'text.mp4'
    text.write_text('this is no video\n' * 50)
    with pytest.raises(ValueError, match=r'text.mp4 \(850 bytes\) is not an image or video'):
        VideoReader(text)
    (tmp_path / 'empty.mp4').write_bytes(b'')
    with pytest.raises(ValueError, match=r'empty.mp4 \(0 bytes\) is not'):
        VideoReader(tmp_path / 'empty.mp4')


def test_frames_that_come_late_out_of_damage_do_not_move_the_others(tmp_path):
    """Broken if a frame whose place is a gap already is counted once more."""
    path = tmp_path / 'a.mp4'
    write(path, 100, 25, options=dict(g='12'), size=(320, 240))
    whole = path.read_bytes()
    for place in (0.3, 0.5, 0.62, 0.8):
        data = bytearray(whole)
        start = int(len(data) * place)
        data[start : start + 400] = bytes(400)
        path.write_bytes(data)
        frames = list(VideoReader(path))
        assert [frame.number for frame in frames] == list(range(100))
        np.testing.assert_allclose([f.time for f in frames], np.arange(100) / 25, atol=1e-6)


def test_jpegs_with_exif_are_a_video(tmp_path):
    """PyAV 18.1 raises for the side data that FFmpeg 8 makes of it."""
    picture_file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = 'a camera'
    Image.fromarray(picture(1)[..., ::-1]).save(picture_file, 'JPEG', exif=exif, quality=95)
    (tmp_path / 'a.mjpeg').write_bytes(picture_file.getvalue() * 3)
    frames = list(VideoReader(tmp_path / 'a.mjpeg'))
    assert len(frames) == 3
    assert np.abs(frames[1].image.astype(int) - picture(1)).mean() < 6


def test_a_clock_that_begins_anew_goes_on(tmp_path):
    """Recordings put one behind the other; times would stand still or go back."""
    write(tmp_path / 'a.ts', 20, 25, codec='mpeg2video')
    path = tmp_path / 'three.ts'
    path.write_bytes((tmp_path / 'a.ts').read_bytes() * 3)
    frames = list(VideoReader(path))
    times = [frame.time for frame in frames]
    assert len(times) >= 58 and times == sorted(set(times))
    assert times[-1] == pytest.approx((len(times) - 1) / 25, abs=0.2)


def test_times_of_an_avi_with_b_frames_rise_evenly(tmp_path):
    path = write(tmp_path / 'a.avi', 24, 25, options=dict(bf='2'))
    times = [frame.time for frame in VideoReader(path)]
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=1e-3)


def test_a_stretch_that_is_missing_is_told(tmp_path, monkeypatch):
    """Broken if frames vanish from a file without an index and nobody hears of it."""
    said = []
    monkeypatch.setattr(video_reader, 'print_log', lambda text, **_: said.append(text))
    ticks = [40 * i for i in range(60) if not 30 <= i < 36]
    path = write(tmp_path / 'a.mkv', len(ticks), 25, ticks, Fraction(1, 1000))
    assert len(list(VideoReader(path))) == 54
    assert any('times jump over about 6 frames, first at 1.16 s' in text for text in said)


def test_an_unknown_codec_is_refused_as_no_video(tmp_path):
    path = tmp_path / 'a.mp4'
    write(path, 3)
    path.write_bytes(path.read_bytes().replace(b'avc1', b'zzzz'))
    with pytest.raises(ValueError, match='a.mp4 .* unknown codec'):
        VideoReader(path)


def test_no_frame_outlives_its_turn(tmp_path):
    """Broken if decoded pictures pile up until the garbage collector comes by."""
    path = write(tmp_path / 'a.mp4', 30)
    gc.collect()
    gc.disable()
    try:
        alive = []
        for _ in VideoReader(path):
            alive.append(sum(isinstance(o, av.VideoFrame) for o in gc.get_objects()))
    finally:
        gc.enable()
    assert max(alive) <= 8, alive


@pytest.mark.parametrize('release', ['18.1.0', '19.0.2'])
def test_open_container_knows_the_arguments_of_a_release(release, monkeypatch):
    """Broken if pages or videos could not be made beside a PyAV that took an argument away."""
    asked = []
    monkeypatch.setattr(video_reader.av, '__version__', release)
    monkeypatch.setattr(video_reader.av, 'open', lambda url, **options: asked.append(options))
    video_reader.open_container('file:walk.mp4', timeout=None)
    assert asked == [
        dict(timeout=None, **({} if release > '19' else dict(metadata_errors='replace')))
    ]


def test_a_title_in_another_encoding_is_no_reason_to_refuse(tmp_path):
    """Broken if a video from an old camera, whose title is no UTF-8, could not be read."""
    path = tmp_path / 'old.mkv'
    with av.open(str(path), 'w') as container:
        container.metadata['title'] = 'ZZZZ'
        stream = container.add_stream('mpeg4', rate=10)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format='rgb24')
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    data = path.read_bytes()
    assert data.count(b'ZZZZ') == 1
    path.write_bytes(data.replace(b'ZZZZ', bytes([0xE4, 0xF6, 0xFC, 0xFF])))
    with video_reader.open_container(str(path)) as container:
        assert len(list(container.decode(video=0))) == 1
    assert len(list(VideoReader(str(path)))) == 1
