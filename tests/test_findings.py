"""Findings keep their form. They are run by hand: each installs packages of its own."""

import re
import subprocess
from pathlib import Path

import pytest

FINDINGS = Path(__file__).resolve().parents[1] / 'findings'
SCRIPTS = sorted(FINDINGS.glob('*.sh'))


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.stem)
def test_finding_says_what_is_guessed_and_what_happens(path):
    """Broken if a reader had to run a script to learn what it is about."""
    text = path.read_text()
    comment = re.match(r'#!/usr/bin/env bash\n((?:#.*\n)+)', text).group(1)
    for part in ('One would guess: ', 'What happens: ', 'Versions: ', 'Who meets it: '):
        assert part in comment.replace('\n# ', ' '), part
    assert 'diffpose' not in text, 'the behaviour must show without this package'
    assert 'mktemp -d' in text and 'trap ' in text, 'it must leave nothing behind'
    assert re.search(r'install.*==[\d.]+', text), 'versions must be pinned'
    assert 'CHANGED' in text, 'it must fail if the behaviour changes'
    subprocess.run(['bash', '-n', path], check=True)


def test_every_finding_is_listed():
    table = (FINDINGS / 'README.md').read_text()
    listed = re.findall(r'^\| ([a-z0-9-]+) \|', table, re.MULTILINE)
    assert listed and sorted(listed) == [path.stem for path in SCRIPTS]
