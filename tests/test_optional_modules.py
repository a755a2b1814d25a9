"""Libraries that are needed here and there: missing, there, and there without being of use."""

import json
import sys

import pytest

from diffpose_mm.archive.requirements import needed
from diffpose_mm.interchange.requirements import check_installed
from diffpose_mm.optional_modules import import_modules, missing_of


def test_what_is_missing_is_told_from_what_is_there():
    """Broken if a submodule that is there were missing, or a missing library an odd error."""
    assert missing_of(['json.decoder', 'no_such_library.part', 'json']) == ['no_such_library.part']
    assert import_modules(['json'], 'a test') == [json]
    with pytest.raises(ModuleNotFoundError, match='needs no_such_library.*pip install this'):
        check_installed(['no_such_library'], 'this', 'a test')


@pytest.fixture
def refusing(tmp_path, monkeypatch):
    """A pyarrow that is installed and refuses NumPy, as pyarrow 26 does beside NumPy 1."""
    for name in [name for name in sys.modules if name.partition('.')[0] == 'pyarrow']:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / 'pyarrow'
    package.mkdir()
    (package / '__init__.py').write_text('raise ImportError("this NumPy is too old")')
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures('refusing')
def test_what_is_installed_and_cannot_be_imported_says_why_and_what_to_do():
    """Broken if an archive beside NumPy 1 ended with pyarrow's traceback."""
    with pytest.raises(ImportError, match=r'archive needs pyarrow.*too old.*pyarrow<26'):
        needed('pyarrow.parquet')
