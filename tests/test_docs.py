"""The documents: links lead somewhere, commands are those that the tools take."""

import ast
import contextlib
import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT, ROOT / 'docs', ROOT / 'projects', ROOT / '.github')
    for path in (folder.glob('*.md') if folder == ROOT else folder.rglob('*.md'))
)
# Options of mim itself, with their values.
MIM_OPTIONS = ('--gpus', '--gpus-per-node', '--cpus-per-task', '--partition')


def anchor(heading):
    """The name that GitHub gives to a heading."""
    heading = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).strip().lower()
    return re.sub(r'[^\w\- ]', '', heading).replace(' ', '-')


def without_code(text):
    return re.sub(r'```.*?```', '', text, flags=re.DOTALL)


def anchors(page):
    return [anchor(h) for h in re.findall(r'^#+ (.*)$', without_code(page.read_text()), re.M)]


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    """Broken if a file or a heading that a page points to were moved or renamed."""
    dead = []
    text = without_code((ROOT / page).read_text())
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'[a-z]+:', link):
            continue
        path, _, heading = link.partition('#')
        target = ROOT / page if not path else ((ROOT / page).parent / path).resolve()
        if not target.exists() or (heading and heading not in anchors(target)):
            dead.append(link)
    assert not dead


def blocks(language):
    """(page, content) of the fenced blocks of a language."""
    for page in PAGES:
        fences = re.findall(r'^```(\w*)\n(.*?)^```$', (ROOT / page).read_text(), re.DOTALL | re.M)
        yield from ((page, content) for kind, content in fences if kind == language)


def commands():
    """(page, tool, its arguments) of all commands of this package that can be run as they stand."""
    for page, block in blocks(''):
        for line in block.replace('\\\n', ' ').splitlines():
            found = re.match(
                r'(?:.*\bmim run diffpose_mm |.*-m diffpose_mm |mim (?=train|test))(.*)', line
            )
            if found is None or '...' in line or '[--' in line:
                continue
            tool, *arguments = shlex.split(found[1], comments=True)
            if tool in ('train', 'test') and line.startswith('mim'):
                arguments.remove('diffpose_mm')
                if '--checkpoint' in arguments:
                    arguments.remove('--checkpoint')
                for option in set(MIM_OPTIONS) & set(arguments):
                    place = arguments.index(option)
                    del arguments[place : place + 2]
            yield page, tool, arguments


COMMANDS = list(commands())


def test_the_commands_of_the_documents_are_seen():
    """Broken if the tests below looked at nothing."""
    tools = {path.stem for path in (ROOT / 'diffpose_mm/tools').glob('*.py')} - {'__init__'}
    assert {tool for _, tool, _ in COMMANDS} == tools
    assert sum(page == 'README.md' for page, _, _ in COMMANDS) >= 7


@pytest.mark.parametrize('page, tool, arguments', COMMANDS)
def test_tools_take_the_commands_of_the_documents(page, tool, arguments):
    """Broken if an option were renamed in a tool and not in the documents."""
    module = importlib.import_module(f'diffpose_mm.tools.{tool}')
    # --help prints and leaves, with status 0.
    with contextlib.suppress(SystemExit) if '--help' in arguments else contextlib.nullcontext():
        module.parse_args(arguments)


@pytest.mark.parametrize('page, block', blocks('python'))
def test_python_of_the_documents_can_be_imported(page, block):
    """Broken if an example used a name that is not there, or were not Python."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize('page', PAGES)
def test_tests_and_scripts_of_the_documents_exist(page):
    """Broken if a result could no longer be repeated by the command beside it."""
    text = (ROOT / page).read_text()
    missing = [
        path
        for path in re.findall(r'\b((?:tests|projects|diffpose_mm)/[\w/]+\.py)\b', text)
        if not (ROOT / path).exists()
    ]
    for path, several, one in re.findall(
        r'pytest (tests/[\w/]+\.py)(?: -k (?:"([^"]+)"|(\w+)))?', text
    ):
        names = ' '.join(re.findall(r'^def (test_\w+)', (ROOT / path).read_text(), re.MULTILINE))
        words = (several or one).split(' or ')
        missing += [f'{path} -k {word}' for word in words if word not in names]
    assert not missing


CONFIG_NAME = re.compile(
    r'\b((?:diffpose|strl|heatmap)_(?:posetrack|synthetic|jhmdb|real)[\w-]*|movenet_thunder)\.py'
)


@pytest.mark.parametrize('page', PAGES)
def test_configs_of_the_documents_exist(page):
    """Broken if a page sent a reader to a config that is not there (any more)."""
    configs = {path.stem for path in (ROOT / 'configs').glob('*.py')}
    if page != 'CHANGELOG.md':
        assert not set(CONFIG_NAME.findall((ROOT / page).read_text())) - configs


def test_every_config_is_in_the_table():
    """Broken if a config could only be found by listing the folder."""
    table = set(CONFIG_NAME.findall((ROOT / 'docs/training.md').read_text()))
    assert {path.stem for path in (ROOT / 'configs').glob('*.py')} <= table


def test_readme_is_one_that_is_read():
    """Broken if the manual grew back into the front page."""
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 150


def test_every_page_of_the_manual_is_in_its_index():
    """Broken if a page could only be found by those who know it."""
    index = (ROOT / 'docs/README.md').read_text()
    pages = {page.name for page in (ROOT / 'docs').glob('*.md')} - {'README.md'}
    assert not {page for page in pages if f'({page})' not in index}
