"""Models of the Hugging Face hub by name: ``hf:OWNER/NAME`` to a local folder that holds them.

huggingface_hub is imported only here, and only when a name is asked for. Its cache, its offline
switch (``HF_HUB_OFFLINE``) and its tokens (``HF_TOKEN``, ``hf auth login``) count as they do
everywhere: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
"""

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .errors import UnavailableWeightsError, WeightsError

SCHEME = 'hf:'
MAIN_FILE = 'model.safetensors'
INDEX = '.index.json'
# Small files that say what the weights are.
DESCRIPTIONS = ('*.json', 'README.md', 'LICENSE*')
WEIGHT_ENDINGS = ('.safetensors', '.bin', '.pth', '.pt', '.ckpt')
# What trainers leave beside weights.
NO_WEIGHTS = ('training_args.bin', 'optimizer.*', 'scheduler.*', 'rng_state*', 'scaler.pt')
_FORM = re.compile(
    r'(?P<repository>[\w.-]+/[\w.-]+)(/(?P<file>[^@]+))?(@(?P<revision>[\w./-]+))?', re.ASCII
)
_ADDRESS = re.compile(r'https?://(www\.)?(huggingface\.co|hf\.co)/(?P<name>[\w.-]+/[\w.-]+?)/?')


@dataclass(frozen=True)
class HubName:
    """A model of the hub.

    Attributes:
        repository: ``OWNER/NAME``.
        revision: A branch, tag or commit; None is the repository's main branch.
        file: One file of the repository, where it holds several models; None takes the model that
            stands in its root.
    """

    repository: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        file = f'/{self.file}' if self.file else ''
        revision = f'@{self.revision}' if self.revision else ''
        return f'{SCHEME}{self.repository}{file}{revision}'


def parse(source: str) -> HubName | None:
    """The hub's model that a name means.

    Args:
        source: ``hf:OWNER/NAME[/FILE][@REVISION]``, or the address of a model's page on the hub.

    Returns:
        None if ``source`` is neither.

    Raises:
        WeightsError: It starts with ``hf:`` and does not go on as a name does.
    """
    page = _ADDRESS.fullmatch(source)
    if page:
        return HubName(page['name'])
    if not source.startswith(SCHEME):
        return None
    found = _FORM.fullmatch(source.removeprefix(SCHEME).removeprefix('//'))
    if not found:
        raise WeightsError(
            f'{source} is no name of the hub: write hf:OWNER/NAME, hf:OWNER/NAME@REVISION or '
            'hf:OWNER/NAME/FILE@REVISION, as hf:usyd-community/vitpose-base'
        )
    return HubName(found['repository'], found['revision'], found['file'])


def fetch(source: str | HubName, only: Sequence[str] = ()) -> Path:
    """Get a model of the hub, or find it in the hub's cache.

    Of the files in the repository's root, the small ones that describe the model are taken
    (``DESCRIPTIONS``) and one set of weights: ``model.safetensors``, or the shards of its index, or
    all safetensors, or, where there are none, all ``WEIGHT_ENDINGS``.

    Args:
        source: See :func:`parse`.
        only: Names or patterns of files to take in place of these. What the repository does not
            have is left out without an error, so look for it in the folder.

    Returns:
        Folder that holds all that was chosen. With a ``file`` in the name, the folder of that file.

    Raises:
        UnavailableWeightsError: There is no such model, or file in it, it may not be read, the hub
            cannot be reached and the cache does not hold all of it, or huggingface_hub is not
            installed.
    """
    name = source if isinstance(source, HubName) else parse(source)
    if name is None:
        raise WeightsError(f'{source} is no name of the hub: it does not start with hf:')
    try:
        import huggingface_hub
    except ImportError as error:
        raise UnavailableWeightsError(
            f'{name} is a model of the Hugging Face hub, for which huggingface_hub is missing: '
            'pip install huggingface_hub'
        ) from error

    try:
        info = huggingface_hub.HfApi().model_info(name.repository, revision=name.revision)
    except Exception as error:  # the kinds differ between releases and their HTTP libraries
        if not _is_out_of_reach(error):
            _refuse(name, error)
        return _from_cache(name, only, error)
    there = [sibling.rfilename for sibling in info.siblings or ()]
    chosen = choose(there, name.file, only)
    if name.file and name.file not in there:
        raise UnavailableWeightsError(
            f'{name}: {name.repository} has no file {name.file}; {_shown(there)}'
        )
    if not only and not weights_among(chosen):
        raise UnavailableWeightsError(f'{name} holds no weights; {_shown(there)}')
    if not chosen:
        raise UnavailableWeightsError(f'{name} has none of {", ".join(only)}; {_shown(there)}')
    try:
        folder = huggingface_hub.snapshot_download(
            name.repository, revision=info.sha, allow_patterns=[_literally(file) for file in chosen]
        )
    except Exception as error:
        if not _is_out_of_reach(error):
            _refuse(name, error)
        return _from_cache(name, only, error)
    missing = [file for file in chosen if not Path(folder, file).is_file()]
    if missing:
        _refuse_incomplete(name, folder, missing, None)
    return Path(folder, name.file).parent if name.file else Path(folder)


def choose(files: Iterable[str], file: str | None = None, only: Sequence[str] = ()) -> list[str]:
    """Those of a repository's files that :func:`fetch` takes.

    Args:
        files: All of them, as paths in the repository.
        file: The one that was named.
        only: See :func:`fetch`.
    """
    files = sorted(files)
    if only:
        return [name for name in files if any(fnmatch.fnmatch(name, pattern) for pattern in only)]
    folder = file.rpartition('/')[0] if file else ''
    level = [name for name in files if name.rpartition('/')[0] == folder]
    base = {name.rpartition('/')[2]: name for name in level}
    taken = [
        path
        for name, path in base.items()
        if any(fnmatch.fnmatch(name, pattern) for pattern in DESCRIPTIONS)
    ]
    if file:
        shards = [file] if not file.endswith(INDEX) else weights_among(level)
        return sorted({*taken, *shards} & {*files})
    return sorted(taken + [base[name] for name in weights_among(base)])


def weights_among(files: Iterable[str]) -> list[str]:
    """One set of weights among a folder's files: the preferred form, or all of the next best."""
    names = [
        name
        for name in sorted(files)
        if name.lower().endswith(WEIGHT_ENDINGS)
        and not any(fnmatch.fnmatch(name.rpartition('/')[2], other) for other in NO_WEIGHTS)
    ]
    if MAIN_FILE in names:
        return [MAIN_FILE]
    return [name for name in names if name.lower().endswith('.safetensors')] or names


def _from_cache(name: HubName, only: Sequence[str], cause: Exception) -> Path:
    """The folder in the hub's cache, if it is complete: the library itself returns any that is."""
    import huggingface_hub

    try:
        folder = huggingface_hub.snapshot_download(
            name.repository,
            revision=name.revision,
            allow_patterns=[_literally(name.file)] if name.file else (list(only) or None),
            local_files_only=True,
        )
    except Exception as error:  # also an incomplete folder, since huggingface_hub 2
        incomplete: Any = getattr(error, 'snapshot_path', None)
        if incomplete is None:
            raise UnavailableWeightsError(
                f'{name}: {_why_out_of_reach(cause)}, and its cache does not hold this model. Get '
                'it where there is a network (hf download '
                f'{name.repository}) and copy the cache, or give the path of a file or folder in '
                'its place'
            ) from cause
        folder = str(incomplete)
    there = [
        path.relative_to(folder).as_posix() for path in Path(folder).rglob('*') if _whole(path)
    ]
    if only:
        wanted = [pattern for pattern in only if not set('*?[') & set(pattern)]
    elif name.file:
        wanted = [name.file]
    else:
        wanted = weights_among(there) or [MAIN_FILE]
    for index in [file for file in there if file.endswith(INDEX) and not only]:
        if name.file in (None, index) and MAIN_FILE not in there:
            wanted += _shards(Path(folder, index))
    missing = sorted({file for file in wanted if file not in there})
    if missing:
        _refuse_incomplete(name, folder, missing, cause)
    return Path(folder, name.file).parent if name.file else Path(folder)


def _shards(index: Path) -> list[str]:
    try:
        return list(json.loads(index.read_text(encoding='utf-8'))['weight_map'].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return []  # the reader of weights says what is wrong with it


def _whole(path: Path) -> bool:
    return path.is_file() and not path.name.endswith('.incomplete')


def _literally(file: str) -> str:
    return re.sub(r'([*?[])', r'[\1]', file)


def _shown(files: Sequence[str]) -> str:
    weights = [file for file in files if file.lower().endswith(WEIGHT_ENDINGS)]
    some = ', '.join(weights[:8]) + (', ...' if len(weights) > 8 else '')
    return f'its weights are {some}' if some else 'it holds no file of weights'


def _is_out_of_reach(error: Exception) -> bool:
    """Whether the hub gave no answer; an answer is one of the hub's own errors."""
    from huggingface_hub import errors

    answers = (errors.HfHubHTTPError, errors.HFValidationError)
    if isinstance(error, answers):
        return _status(error) in (408, 429) or _status(error) >= 500
    return True


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, 'response', None), 'status_code', 0) or 0)


def _why_out_of_reach(error: Exception) -> str:
    if type(error).__name__ == 'OfflineModeIsEnabled':
        return 'HF_HUB_OFFLINE is set, so the hub is not asked'
    return f'the hub cannot be reached ({_first_line(error)})'


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__


def _refuse_incomplete(name: HubName, folder: Any, missing: list, cause: Any) -> NoReturn:
    some = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
    why = _why_out_of_reach(cause) if cause else 'the download ended early'
    raise UnavailableWeightsError(
        f'{name}: {why}, and its cache ({folder}) lacks {some}. Run it once with a network, or: '
        f'hf download {name.repository}'
    ) from cause


def _refuse(name: HubName, error: Exception) -> NoReturn:
    """Raise what the hub answered, in one line; the order is the one of its classes' kinship."""
    from huggingface_hub import errors

    page = f'https://huggingface.co/{name.repository}'
    for kind, text in (
        (
            'GatedRepoError',
            f'is gated: its owner asks readers to agree to terms. Agree at {page}, then log in '
            '(hf auth login) or set HF_TOKEN',
        ),
        ('DisabledRepoError', 'was disabled by the hub; choose another model'),
        (
            'RepositoryNotFoundError',
            'is not on the hub, or is private: check the spelling of OWNER/NAME, or log in '
            '(hf auth login) or set HF_TOKEN if it is yours',
        ),
        (
            'RevisionNotFoundError',
            f'has no revision {name.revision}; {page}/commits/main lists them',
        ),
        ('EntryNotFoundError', f'lacks a file ({_first_line(error)})'),
        ('HFValidationError', f'is no name that the hub allows ({_first_line(error)})'),
    ):
        if isinstance(error, getattr(errors, kind, ())):
            raise UnavailableWeightsError(f'{name} {text}') from error
    if _status(error) in (401, 403):
        raise UnavailableWeightsError(
            f'{name} may not be read with your token; log in anew (hf auth login) or unset HF_TOKEN'
        ) from error
    raise UnavailableWeightsError(f'{name} could not be had: {_first_line(error)}') from error
