"""Files: written whole or not at all, errors that name them, and which of a folder's are data."""

import json
import os
import os.path as osp
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mmengine import fileio

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = '.part'
_FOREIGN = {'thumbs.db', 'desktop.ini', '__macosx'}


def prepare_folder(path: str) -> None:
    """Make a folder, and see that files can be written to it, before any work is done.

    Raises:
        OSError: It cannot be made or written to.
    """
    probe = osp.join(path or '.', f'.write_test_{os.getpid()}')
    try:
        os.makedirs(path or '.', exist_ok=True)
        with open(probe, 'w'):
            pass
        os.remove(probe)
    except OSError as error:
        raise OSError(
            f'cannot write to the output folder {path}: {error.strerror or error}; give another one'
        ) from error


@contextmanager
def writing(path: str | os.PathLike, advice: str = '') -> Iterator[None]:
    """Name the file in an error of writing it.

    Args:
        path: The file.
        advice: What else to say.

    Raises:
        OSError: What went wrong with ``path``.
    """
    try:
        yield
    except OSError as error:
        reason = f'cannot write {os.fspath(path)}: {error.strerror or error}'
        raise OSError(f'{reason}. {advice}' if advice else reason) from error


@contextmanager
def atomic_write(
    path: str | os.PathLike, mode: str = 'w', advice: str = '', part: str | None = None
) -> Iterator[IO[Any]]:
    """Open a file that takes the place of ``path`` when it is complete.

    Until then, and after an error, ``path`` is what it was.

    Args:
        path: The file.
        mode: 'w' (UTF-8) or 'wb'.
        advice: What to say beside the reason if it cannot be written.
        part: Name of the incomplete file, in the same folder. Defaults to ``path`` with the number
            of the process and ``.part``.

    Raises:
        OSError: It cannot be written.
    """
    part = part or f'{os.fspath(path)}.{os.getpid()}{PART}'
    with writing(path, advice):
        try:
            with open(part, mode, encoding=None if 'b' in mode else 'utf-8') as file:
                yield file
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise


def lock_file(file: IO[Any], path: str | os.PathLike) -> None:
    """Hold a file for this process until it is closed, where the system can (not on Windows).

    Args:
        file: Open.
        path: Its name, for the error.

    Raises:
        ValueError: Somebody else holds it.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f'{os.fspath(path)} is being written by another run: wait for it, or write to another '
            'folder'
        ) from error
    except OSError:
        pass  # a file system without locks


def reason_of(error: Exception) -> str:
    """What an error says is wrong, without the numbers and names around it."""
    return str(getattr(error, 'strerror', None) or error or type(error).__name__)


def is_data(name: str) -> bool:
    """Whether a file of a folder is one of the user's, and not one that a system left there.

    Hidden files are not (``._frame.jpg`` and ``.DS_Store`` of macOS, unfinished downloads), nor
    are Windows' ``Thumbs.db`` and ``desktop.ini``.

    Args:
        name: The name, without its folder.
    """
    return not name.startswith('.') and name.lower() not in _FOREIGN


def data_files(folder: str | os.PathLike, suffixes: Iterable[str] = ()) -> list[str]:
    """Names of a folder's data files, sorted.

    Args:
        folder: The folder.
        suffixes: Lower-case endings, as '.json'; none takes all files.
    """
    endings = tuple(suffixes)
    return sorted(
        name
        for name in os.listdir(folder)
        if is_data(name) and (not endings or name.lower().endswith(endings))
    )


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with a byte order mark or without.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is not JSON; the message says where, and leaves naming the file to the
            caller.
    """
    data = fileio.get(os.fspath(path))
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError('it is nested too deeply') from error
