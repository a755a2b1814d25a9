"""Versions of what the package stands beside."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.version import Version

from diffpose_mm import requirements

PINS = Path(__file__).parents[1] / 'requirements'


def fake_versions(monkeypatch, **changed):
    def version(name):
        name = name.removesuffix('-lite')
        found = changed.get(name, requirements.REQUIRED[name][0])
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(requirements, 'version', version)


@pytest.mark.parametrize('name', requirements.REQUIRED)
@pytest.mark.parametrize(
    'found, told',
    [(None, 'not installed'), ('0.1', '0.1 is installed'), ('99.0', '99.0 is installed')],
)
def test_what_does_not_fit_is_told_with_what_to_install(monkeypatch, name, found, told):
    """Broken if a wrong or missing library were found late, by an error deep inside of it."""
    fake_versions(monkeypatch, **{name: found})
    with pytest.raises(ImportError, match=f'{name}.*{told}.*mim install "{name}>='):
        requirements.check_requirements()


def test_lowest_releases_are_taken_and_the_pins_fit(monkeypatch):
    """Broken if the ranges and the pins of requirements/ said different things."""
    requirements.check_requirements()
    text = '\n'.join(path.read_text() for path in PINS.glob('*.txt'))
    for name, (lowest, too_high) in requirements.REQUIRED.items():
        pinned = re.search(rf'(?m)^{name}==([\d.]+)', text)
        assert Version(lowest) <= Version(pinned[1]) < Version(too_high)
    fake_versions(monkeypatch)
    requirements.check_requirements()
