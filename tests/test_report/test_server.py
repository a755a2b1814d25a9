"""The server of a page: what it gives, and to whom it does not."""

import http.client
import json
import threading

import pytest

from diffpose_mm.report.server import HOST, MAX_QUESTION, PageServer

PAGE = '<p>poses ü</p>'.encode()


def answer(question):
    if 'bad' in question:
        raise ValueError('bad is no question')
    return dict(twice=2 * question['value'])


@pytest.fixture
def server():
    found = PageServer(PAGE, answer)
    thread = threading.Thread(target=found.serve, daemon=True)
    thread.start()
    yield found
    found.close()
    thread.join(5)
    assert not thread.is_alive()


def ask(server, method='GET', path=None, body=None, **headers):
    """(status, headers, content) of a request; ``path`` is under the token."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=5)
    place = f'/{server.token}/' if path is None else path
    connection.putrequest(method, place, skip_host=True)
    headers = {'Host': f'{HOST}:{server.port}', **headers}
    if body is not None:
        headers.setdefault('Content-Length', str(len(body)))
    for name, value in headers.items():
        connection.putheader(name.replace('_', '-'), value)
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


def test_the_page_is_at_its_address(server):
    """Broken if the address that is printed did not lead to the page."""
    status, headers, content = ask(server)
    assert (status, content) == (200, PAGE)
    assert headers['Content-Type'] == 'text/html; charset=utf-8'
    assert headers['Cache-Control'] == 'no-store' and headers['Referrer-Policy'] == 'no-referrer'
    assert server.address == f'http://127.0.0.1:{server.port}/{server.token}/'
    status, _, _ = ask(server, Host=f'localhost:{server.port}')
    assert status == 200


def test_tokens_are_long_and_differ():
    """Broken if another user of the machine could guess the address."""
    tokens = set()
    for _ in range(3):
        server = PageServer(PAGE)
        tokens.add(server.token)
        server._server.server_close()
    assert len(tokens) == 3 and min(map(len, tokens)) >= 32


@pytest.mark.parametrize(
    'path',
    ['/', '/sample', '/wrong/', '/../{token}/', '/{token}', '/{token}/../../etc/passwd',
     '/{token}/page.css', '/{token}//', '/{token}/?a', '/{token}/%2e%2e/'],
)  # fmt: skip
def test_there_is_nothing_else(server, path):
    """Broken if any other file of the machine could be read, or the page without its token."""
    status, _, content = ask(server, path=path.format(token=server.token))
    assert status == 404 and PAGE not in content


@pytest.mark.parametrize(
    'host', ['example.org', 'example.org:{port}', '127.0.0.1', '', '[::1]:{port}']
)
def test_other_names_of_this_machine_are_refused(server, host):
    """Broken if another site could read the page under a name of its own that leads here."""
    status, _, content = ask(server, Host=host.format(port=server.port))
    assert status == 403 and PAGE not in content


@pytest.mark.parametrize('origin', ['http://example.org', 'null', 'https://127.0.0.1:{port}'])
def test_other_pages_cannot_ask(server, origin):
    """Broken if a page of another site could have the model run."""
    body = json.dumps(dict(value=1)).encode()
    path = f'/{server.token}/sample'
    status, _, _ = ask(server, 'POST', path, body, Origin=origin.format(port=server.port))
    assert status == 403
    own = f'http://{HOST}:{server.port}'
    assert ask(server, 'POST', path, body, Origin=own)[0] == 200


def test_a_question_is_answered(server):
    """Broken if the sliders of a page did nothing."""
    path = f'/{server.token}/sample'
    status, headers, content = ask(server, 'POST', path, b'{"value": 21}')
    assert (status, json.loads(content)) == (200, dict(twice=42))
    assert headers['Content-Type'] == 'application/json'


@pytest.mark.parametrize(
    'body, headers, message',
    [
        (b'{"bad": 1}', {}, 'bad is no question'),
        (b'[1]', {}, 'a question is an object'),
        (b'{"value"', {}, 'not JSON'),
        (b'\xff', {}, 'not JSON'),
        (b'', dict(Content_Length='x'), 'at most'),
        (b'', dict(Content_Length='-1'), 'at most'),
        (b'', dict(Content_Length=str(MAX_QUESTION + 1)), 'at most'),
    ],
)
def test_a_bad_question_is_told_so(server, body, headers, message):
    """Broken if what a page sends could stop the server, or fill its memory."""
    status, _, content = ask(server, 'POST', f'/{server.token}/sample', body, **headers)
    assert status == 400 and message in json.loads(content)['error']
    assert ask(server)[0] == 200


def test_a_page_without_questions_has_none(server):
    """Broken if the page of a model without steps could ask it."""
    server.answer = None
    status, _, content = ask(server, 'POST', f'/{server.token}/sample', b'{}')
    assert status == 400 and 'nothing to ask for' in content.decode()


def test_it_listens_on_this_machine_alone(server):
    """Broken if the page could be reached from the network."""
    assert server._server.server_address[0] == '127.0.0.1'


def test_a_port_that_is_taken_is_named(server):
    """Broken if the second of two servers ended in a traceback."""
    with pytest.raises(OSError, match=rf'port {server.port} cannot be listened on.*--port'):
        PageServer(PAGE, port=server.port)
