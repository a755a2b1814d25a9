"""The floors of the package: which room imports which, read from the imports themselves."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'diffpose_mm'


def rows(text):
    """Room -> (words of what it may import, roots from outside that it may not), of a table."""
    found = re.findall(r'^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$', text, re.MULTILINE)
    return {
        room: (set(re.findall(r'\w+', allowed)), re.findall(r'[\w*]+', banned))
        for room, allowed, banned in found
    }


def floors():
    """Room -> (rooms of the package that it may import, roots from outside that it may not)."""
    text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    ground, above = map(rows, text.split('The floors above:'))
    for allowed, _ in above.values():
        if 'ground' in allowed:
            allowed.remove('ground')
            allowed.update(ground)
    assert not set(ground) & set(above)
    return ground | above


FLOORS = floors()
ROOMS = sorted(
    path.stem
    for path in (ROOT / PACKAGE).iterdir()
    if path.suffix == '.py' or (path / '__init__.py').exists()
)


def imported(source, package):
    """Full names of all that `source`, a module in `package`, imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split('.')
            start = parts[: len(parts) - node.level + 1] if node.level else []
            base = '.'.join([*start, *([node.module] if node.module else [])])
            # `from . import room` names rooms, `from .room import thing` a room.
            names += [f'{base}.{alias.name}' for alias in node.names]
    return names


def imports_of(room):
    """(file, full name) of all that a room imports."""
    folder = ROOT / PACKAGE
    files = sorted((folder / room).rglob('*.py')) or [folder / f'{room}.py']
    for file in files:
        package = '.'.join(file.relative_to(ROOT).parent.parts)
        for name in imported(file.read_text(encoding='utf-8'), package):
            yield file.relative_to(ROOT).as_posix(), name


def room_of(name):
    """The room of the package that a full name is of; None for another package's."""
    root, room, *_ = [*name.split('.'), '']
    if root != PACKAGE:
        return None
    return room if room in ROOMS else '__init__'


def test_every_room_has_a_floor():
    """Broken if a new room could import, and be imported by, anything."""
    assert len(FLOORS) > 20, 'the table of CONTRIBUTING.md could not be read'
    assert not set(ROOMS) - set(FLOORS), 'give it a row in the table of CONTRIBUTING.md'


@pytest.mark.parametrize('room', ROOMS)
def test_imports_go_down(room):
    """Broken if a room knew one above it, or a library that it has to do without."""
    allowed, banned = FLOORS[room]
    wrong = []
    for file, name in imports_of(room):
        other = room_of(name)
        if other is None:
            root = name.split('.')[0]
            wrong += [(file, name) for b in banned if re.fullmatch(b.replace('*', '.*'), root)]
        elif other not in allowed | {room}:
            wrong.append((file, name))
    assert not wrong


def test_there_is_no_circle():
    """Broken if the table itself let two rooms import each other, directly or by way of others."""
    left = {room: allowed & set(FLOORS) for room, (allowed, _) in FLOORS.items()}
    while left:
        ground = [room for room, below in left.items() if not below & set(left)]
        assert ground, f'a circle among {sorted(left)}'
        for room in ground:
            del left[room]


def test_tools_and_inference_are_on_top():
    """Broken if the table allowed what the design forbids."""
    for room, (allowed, _) in FLOORS.items():
        if room not in ('archive', 'tools', '__init__'):
            assert 'apis' not in allowed, room
        if room != 'tools':
            assert 'archive' not in allowed, room
        if room != '__main__':
            assert 'tools' not in allowed, room
        if room in ('datasets', 'codecs', 'evaluation', 'posetrack', 'synthetic', 'models'):
            assert not allowed & {'apis', 'engine'}, room
        if room in ('datasets', 'codecs', 'evaluation', 'posetrack', 'synthetic'):
            assert not allowed & {'models', 'diffusion'}, room
    assert 'datasets' not in FLOORS['models'][0]
    assert FLOORS['diffusion'] == (set(), ['mm*'])


@pytest.mark.parametrize(
    'source, package, name',
    [
        ('from ..apis import windows', 'diffpose_mm.models', 'diffpose_mm.apis.windows'),
        ('from .. import apis', 'diffpose_mm.models', 'diffpose_mm.apis'),
        ('from ...apis.people import Person', 'diffpose_mm.datasets.body',
         'diffpose_mm.apis.people.Person'),
        ('import diffpose_mm.apis as a', 'diffpose_mm.models', 'diffpose_mm.apis'),
        ('def f():\n    from diffpose_mm import apis', 'diffpose_mm.models', 'diffpose_mm.apis'),
        ('from . import apis', 'diffpose_mm', 'diffpose_mm.apis'),
    ],
)  # fmt: skip
def test_an_import_is_seen_however_it_is_written(source, package, name):
    """Broken if a relative, a late or a renamed import went unnoticed."""
    assert imported(source, package) == [name]
    assert room_of(name) == 'apis'
