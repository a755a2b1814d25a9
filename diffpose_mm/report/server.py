"""Serves one page on this machine alone, and passes its questions on."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = '127.0.0.1'
MAX_QUESTION = 1 << 14
"""Bytes of a question; larger ones are refused unread."""

HEADERS = {
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
}


class PageServer:
    """A page at an address that nobody can guess, and nothing else.

    It listens on the loopback interface only. A request has to have the token in its path, and
    has to name this machine as its host, so that no other site can reach the page by a name of
    its own that leads here. No file is read.

    Args:
        page: The HTML file.
        answer: From a question, what JSON holds, to its answer; one at a time. A ValueError is
            told to the page.
        port: To listen on. Defaults to any that is free.

    Attributes:
        address: Of the page.

    Raises:
        OSError: The port is taken.
    """

    def __init__(
        self, page: bytes, answer: Callable[[dict], dict] | None = None, port: int = 0
    ) -> None:
        self.page = page
        self.answer = answer
        self.token = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        try:
            self._server = ThreadingHTTPServer((HOST, port), self._handler())
        except OSError as error:
            raise OSError(
                f'port {port} cannot be listened on: {error.strerror or error}; give another --port'
            ) from error
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.hosts = {f'{name}:{self.port}' for name in (HOST, 'localhost')}
        self.address = f'http://{HOST}:{self.port}/{self.token}/'

    def serve(self) -> None:
        """Answer until :meth:`close`, called in another thread, or Ctrl-C."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def close(self) -> None:
        """End :meth:`serve`."""
        self._server.shutdown()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            server_version, sys_version = 'diffpose_mm', ''
            timeout = 60  # seconds, of a connection on which nothing comes

            def do_GET(self) -> None:
                if self._is_for('/'):
                    self._send(200, owner.page, 'text/html; charset=utf-8')

            def do_POST(self) -> None:
                if not self._is_for('/sample'):
                    return
                try:
                    self._send_json(200, owner.reply(self._question()))
                except ValueError as error:
                    self._send_json(400, dict(error=str(error)))

            def _is_for(self, place: str) -> bool:
                """Whether this is a request for ``place`` under the token; refused if not."""
                if self.headers.get('Host') not in owner.hosts:
                    self._send_json(403, dict(error='not a name of this machine'))
                    return False
                origin = self.headers.get('Origin')
                if origin not in (None, *(f'http://{host}' for host in owner.hosts)):
                    self._send_json(403, dict(error='asked by another page'))
                    return False
                wanted = f'/{owner.token}{place}'
                if not hmac.compare_digest(self.path.encode(), wanted.encode()):
                    self._send_json(404, dict(error='nothing here'))
                    return False
                return True

            def _question(self) -> Any:
                length = self.headers.get('Content-Length', '')
                if not length.isdecimal() or int(length) > MAX_QUESTION:
                    self.close_connection = True
                    raise ValueError(f'a question has at most {MAX_QUESTION} bytes')
                try:
                    return json.loads(self.rfile.read(int(length)))
                except (ValueError, RecursionError) as error:
                    raise ValueError('the question is not JSON') from error

            def _send_json(self, status: int, content: dict) -> None:
                if status >= 400:
                    self.close_connection = True  # what was sent along is not read
                self._send(status, json.dumps(content).encode(), 'application/json')

            def _send(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                for name, value in HEADERS.items():
                    self.send_header(name, value)
                if self.close_connection:
                    self.send_header('Connection', 'close')
                self.send_header('Content-Type', kind)
                self.send_header('Content-Length', str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the address has the token in it."""

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, TimeoutError):
                    pass  # the page has asked something else meanwhile, or was closed

        return Handler

    def reply(self, question: Any) -> dict:
        """The answer to a question.

        Raises:
            ValueError: It cannot be answered; says why.
        """
        if self.answer is None:
            raise ValueError('this page has nothing to ask for')
        if not isinstance(question, dict):
            raise ValueError('a question is an object')
        with self.lock:
            return self.answer(question)
