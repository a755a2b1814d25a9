"""Weights from an address: the cache, a silent host, a file that is another one."""

import hashlib
import http.server
import socket
import threading

import pytest
import torch

from diffpose_mm.detectors import DetectorError, downloads
from diffpose_mm.weights import downloading


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def server():
    """(address, what it was asked for); it gives the same bytes for any name."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append((self.command, self.path))
            self.send_response(404 if 'lost' in self.path else 200)
            self.send_header('Content-Length', '7')
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(b'weights')

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}', asked
        running.shutdown()


def test_a_file_is_downloaded_once(server, cache):
    address, asked = server
    name = f'net-{hashlib.sha256(b"weights").hexdigest()[:8]}.pth'
    path = downloads.download(f'{address}/{name}')
    assert open(path, 'rb').read() == b'weights' and path == str(cache / name)
    before = len(asked)
    assert downloads.download(f'{address}/{name}') == path and len(asked) == before


def test_another_file_under_the_name_is_not_kept(server, cache):
    """Broken if a page of a proxy, or an exchanged file, were taken for the weights."""
    with pytest.raises(
        DetectorError, match='cannot be downloaded .its SHA-256 begins.*a copy from elsew'
    ):
        downloads.download(f'{server[0]}/net-12345678.pth')
    assert not list(cache.iterdir())


def test_a_missing_file_and_a_host_that_is_down_or_silent_are_one_line(server, cache, monkeypatch):
    monkeypatch.setattr(downloading, 'SILENT_SECONDS', 0.2)
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        silent.listen()
        for address, reason in (
            (f'{server[0]}/lost.pth', 'Not Found'),
            ('http://127.0.0.1:9/a.pth', 'refused'),
            (f'http://127.0.0.1:{silent.getsockname()[1]}/a.pth', 'timed out'),
        ):
            with pytest.raises(DetectorError, match=f'{address} cannot be downloaded .*{reason}'):
                downloads.download(address)
