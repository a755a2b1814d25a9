"""A download is whole or not at all, and a host that falls silent is not waited for."""

import hashlib
import socket
import threading

import pytest

from diffpose_mm.weights import downloading
from diffpose_mm.weights.downloading import download_file

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def serve():
    """Answers one request with the bytes given, and then hangs up or says nothing more."""
    opened = []

    def start(answer, hang_up=True):
        listening = socket.create_server(('127.0.0.1', 0))
        opened.append(listening)

        def run():
            connection, _ = listening.accept()
            opened.append(connection)
            connection.recv(4096)
            connection.sendall(answer)
            if hang_up:
                connection.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=run, daemon=True).start()
        return f'http://127.0.0.1:{listening.getsockname()[1]}/weights.pth'

    yield start
    for each in opened:
        each.close()


def head(length):
    return f'HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n'.encode()


def test_what_was_sent_is_written(serve, tmp_path):
    digits = hashlib.sha256(CONTENT).hexdigest()[:8]
    target = tmp_path / 'deep' / 'weights.pth'
    download_file(serve(head(len(CONTENT)) + CONTENT), target, digits)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ('answer', 'hang_up', 'digits', 'message'),
    [
        (b'', False, None, 'timed out'),
        (head(len(CONTENT)) + CONTENT[:1000], False, None, 'timed out'),
        (head(len(CONTENT)) + CONTENT[:1000], True, None, 'only 1,000 of 10,240 bytes'),
        (
            head(len(CONTENT)) + CONTENT,
            True,
            '12345678',
            'SHA-256 begins with .* not with 12345678',
        ),
    ],
    ids=['silent', 'falls silent', 'hangs up', 'another file'],
)
def test_nothing_is_left_of_half_a_download(
    serve, tmp_path, monkeypatch, answer, hang_up, digits, message
):
    """Broken if a host that stops in the middle were waited for, or its half taken for weights."""
    monkeypatch.setattr(downloading, 'SILENT_SECONDS', 0.2)
    before = tmp_path / 'weights.pth'
    before.write_bytes(b'old')
    with pytest.raises((OSError, ValueError), match=message):
        download_file(serve(answer, hang_up), before, digits)
    assert before.read_bytes() == b'old' and [before] == list(tmp_path.iterdir())
