"""Streams from the network: one connection, as they come, to whatever end."""

import socket
import threading
import time

import cv2
import numpy as np
import pytest
from apis_helpers import moving_frames, read_json

from diffpose_mm import video_reader
from diffpose_mm.apis import find_source, live_sources
from diffpose_mm.apis.live_sources import NetworkStream, without_secrets


class Camera:
    """An IP camera: multipart MJPEG over HTTP on loopback.

    `script` has an entry for each connection: how many frames it gets, or (frames, 'cut') where it
    breaks off in the middle of a frame, or None where it is refused, as all later ones are.
    """

    def __init__(self, script, pause=0.005):
        self.script, self.pause = list(script), pause
        self.connections = self.open = self.most = 0
        self.server = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.server.getsockname()[1]}/garden/cam.mjpg'
        self.frames = [cv2.imencode('.jpg', f)[1].tobytes() for f in moving_frames(12)]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        step = self.script.pop(0) if self.script else None
        try:
            connection.recv(4096)
            if step is None:
                connection.sendall(b'HTTP/1.0 503 Busy\r\n\r\n')
                return
            count, cut = step if isinstance(step, tuple) else (step, '')
            head = b'HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n'
            connection.sendall(head)
            for number in range(count):
                data = self.frames[number % len(self.frames)]
                part = b'--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n' % len(data)
                if cut and number == count - 1:
                    connection.sendall(part + data[: len(data) // 2])
                    return
                connection.sendall(part + data + b'\r\n')
                time.sleep(self.pause)
        except OSError:
            pass
        finally:
            self.open -= 1
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    init = NetworkStream.__init__

    def quick(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.pause = 0.01

    monkeypatch.setattr(NetworkStream, '__init__', quick)
    monkeypatch.setattr(video_reader, 'READ_TIMEOUT', 3.0)


def numbers(run):
    return [result['frames'][0]['frame_id'] for result in run]


def test_a_stream_is_live_and_one_connection(inferencer, tmp_path):
    """Broken if an address is taken for a file: opened four times, read ahead, waited for."""
    with Camera([15]) as camera:
        run = inferencer(camera.url, out_dir=str(tmp_path), batch_size=8)
        assert run.source.live and run.mode == 'causal' and run.batch_size == 1
        assert not run.source.from_disk
        results = list(run)
        assert numbers(results) == list(range(15))
        assert results[5]['frames'][0]['frames_used'] == [3, 4, 5, 5, 5]
        assert (camera.connections, run.source.reconnects) == (1, 0)
    entries = read_json(tmp_path / 'predictions' / 'cam.json')
    times = [entry['time'] for entry in entries]
    assert len(times) == 15 and times == sorted(set(times)) and times[0] == 0
    assert (tmp_path / 'visualizations' / 'cam.mp4').is_file()


def test_an_endless_stream_is_complete_when_it_is_left(inferencer, tmp_path):
    """Broken if Ctrl-C leaves half a log and an offer to resume a camera."""
    with Camera([10_000]) as camera:
        run = inferencer(camera.url, out_dir=str(tmp_path))
        for _ in range(6):
            next(run)
        run.close()
    assert len(read_json(tmp_path / 'predictions' / 'cam.json')) == 6
    assert [p.name for p in (tmp_path / 'predictions').iterdir()] == ['cam.json']


def test_a_connection_that_breaks_is_opened_again_and_numbers_go_on(inferencer):
    with Camera([(8, 'cut'), None, 6]) as camera:
        run = inferencer(camera.url)
        results = list(run)
        assert numbers(results) == list(range(7 + 6))
        times = [result['frames'][0]['time'] for result in results]
        assert times == sorted(times)
        assert run.source.reconnects == 2
        assert (camera.connections, camera.most) == (3, 1)


def test_it_is_given_up_after_a_bound_and_what_came_is_complete(inferencer, tmp_path):
    with Camera([(8, 'cut')]) as camera:
        run = inferencer(camera.url, out_dir=str(tmp_path))
        with pytest.raises(OSError, match=r'given up after 7 frames and 5 attempts to reconnect'):
            list(run)
        assert camera.connections == 1 + live_sources.MAX_RECONNECTS
    assert len(read_json(tmp_path / 'predictions' / 'cam.json')) == 7


def test_an_end_is_an_end_unless_asked_otherwise(inferencer):
    with Camera([5, 5, 5]) as camera:
        assert len(list(inferencer(camera.url))) == 5
        run = inferencer(camera.url, reconnect_at_end=True)
        with pytest.raises(OSError, match='given up after 10 frames'):
            list(run)


def test_no_frame_at_all_is_an_error(inferencer, tmp_path):
    """Broken if a stream without a picture ends with 0 frames and success."""
    with Camera([0]) as camera, pytest.raises((OSError, ValueError), match='cam.mjpg'):
        inferencer(camera.url, out_dir=str(tmp_path))
    with (
        Camera([]) as camera,
        pytest.raises(OSError, match='cam.mjpg cannot be opened: Server returned 5XX'),
    ):
        inferencer(camera.url, out_dir=str(tmp_path))
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError, match='cannot be opened: Connection refused'):
        inferencer(f'rtsp://127.0.0.1:{port}/x')
    assert not list(tmp_path.rglob('*.json'))


@pytest.mark.parametrize(
    'address',
    [
        'rtsp://h/s',
        'rtsps://h/s',
        'http://h/v.mp4',
        'https://h/v',
        'udp://@:5',
        'srt://h:9',
        'tcp://h:1',
    ],
)
def test_addresses_are_live_before_anything_is_opened(address):
    source = find_source(address)
    assert source.live and source.is_clip and not source.from_disk
    assert find_source(address.upper().replace('H/', 'h/')).live


def test_other_addresses_are_told_what_is_read(inferencer):
    with pytest.raises(ValueError, match=r'input s3://bucket/walk.mp4: videos come from files, or'):
        find_source('s3://bucket/walk.mp4')
    with pytest.raises(FileNotFoundError, match='file:///nowhere.mp4 does not exist'):
        find_source('file:///nowhere.mp4')
    with pytest.raises(OSError, match=r'/dev/video97 does not exist: no such camera'):
        find_source('/dev/video97')
    with pytest.raises(ValueError, match='camera -1: the index'):
        find_source(-1)


def test_a_password_is_in_no_message_and_no_file(inferencer, tmp_path):
    assert without_secrets('rtsp://me:secret@cam.lan:554/s/1?token=abc') == 'rtsp://cam.lan:554/s/1'
    with Camera([4]) as camera:
        address = camera.url.replace('http://', 'http://me:hush@') + '?key=hush'
        assert len(list(inferencer(address, out_dir=str(tmp_path)))) == 4
        with pytest.raises(OSError) as error:
            inferencer(address)
    assert 'hush' not in str(error.value)
    assert 'hush' not in (tmp_path / 'predictions' / 'cam.json').read_text()


def test_a_cut_jpeg_is_no_frame(inferencer):
    """Broken if the grey rest of a cut picture is posed."""
    with Camera([(6, 'cut'), 3]) as camera:
        frames = [frame.image for frame in NetworkStream(camera.url)]
        sent = [cv2.imdecode(np.frombuffer(d, np.uint8), cv2.IMREAD_COLOR) for d in camera.frames]
    assert len(frames) == 5 + 3
    for frame, image in zip(frames, [*sent[:5], *sent[:3]]):
        assert np.abs(frame.astype(int) - image).mean() < 12
