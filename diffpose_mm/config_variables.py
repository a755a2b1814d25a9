"""Settings of a config that would change nothing, found before anything runs.

A config is a Python file: while it is read, the value of a variable such as ``frame_offsets`` or
``codec`` is written out wherever the file uses it. A config on top of it that sets the variable
comes too late: the places keep the old value. Here the bases are read once more with the new value,
which shows what the setting was meant to change, and the config has to have changed all of that.
"""

import ast
import os.path as osp
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mmengine
from mmengine.config import Config

# What mmengine's runner and our tools read of a config; every other name at its top is a variable.
RUNNER_FIELDS = {
    'activation_checkpointing',
    'allow_partial',
    'auto_scale_lr',
    'compile',
    'custom_hooks',
    'custom_imports',
    'data_preprocessor',
    'default_hooks',
    'default_scope',
    'efficient_conv_bn_eval',
    'env_cfg',
    'experiment_name',
    'find_unused_parameters',
    'launcher',
    'load_from',
    'log_level',
    'log_processor',
    'model',
    'model_wrapper_cfg',
    'optim_wrapper',
    'param_scheduler',
    'randomness',
    'reinit',
    'resume',
    'sync_bn',
    'test_cfg',
    'test_dataloader',
    'test_evaluator',
    'train_cfg',
    'train_dataloader',
    'val_cfg',
    'val_dataloader',
    'val_evaluator',
    'visualizer',
    'work_dir',
}
MISSING = object()
# In these training and test have to agree, whatever the model reads of them.
SHARED = {'codec', 'frame_offsets'}
SHOWN = 6
Place = tuple[str | int, ...]


def check_variables(path: str) -> None:
    """Raise if a config, or one of its bases, sets a variable of its base and does not use it.

    A variable that reaches the model, ``codec`` and ``frame_offsets`` have to be changed wherever
    they are used, as model, training and test would no longer agree. One of the data alone
    (``data_root``, a pipeline) has to be changed, or be used by the config itself, somewhere:
    training on one's own data and testing on those of the base is a choice.

    Args:
        path: A config file. One without bases, such as the copy in a work directory, passes; so do
            variables of bases in other packages (``mmpose::...``), which are not looked at.

    Raises:
        ValueError: Names the file, the variable and the places that keep the old value.
    """
    try:
        bases = local_bases(path)
        own = assigned_names(path) & _names_below(path) - RUNNER_FIELDS
    except (SyntaxError, ValueError, OSError):
        # Not read here, for example for {{$VARIABLES}} of the environment. What is wrong with a
        # file, mmengine says.
        return
    for base in bases:
        check_variables(base)
    if not own:
        return
    config, before = read_with([path], {}), read_with(_bases(path), {})
    for name in sorted(own):
        if name not in before or config.get(name, before[name]) == before[name]:
            continue
        try:
            meant = read_with(_bases(path), {name: config[name]})
        except Exception:
            continue
        used = [place for place in differences(before, meant) if place[0] in RUNNER_FIELDS]
        kept = [
            place
            for place in used
            if value_at(config, place[:-1]) is not MISSING
            and value_at(config, place) == value_at(before, place)
        ]
        everywhere = name in SHARED or any(place[0] == 'model' for place in used)
        if kept and (everywhere or len(kept) == len(used) and name not in _names_read(path)):
            places = list(map(dotted, kept))
            more = ', ...' if len(places) > SHOWN else ''
            raise ValueError(
                f'config {path} sets {name}, which changes nothing by itself: its base has '
                f'already written the value of {name} where it is used. As in the base are still '
                f'{", ".join(places[:SHOWN])}{more}: set them in {osp.basename(path)} as well, or '
                f'leave {name} alone'
            )


def local_bases(path: str) -> list[str]:
    """Absolute paths of the bases of a config, without those in other packages."""
    return [base for base in _bases(path) if '::' not in base]


def assigned_names(path: str) -> set[str]:
    """Names that a config gives a value itself, not through its bases."""
    if not path.endswith('.py'):
        return set(mmengine.load(path))
    names = set()
    for statement in _parse(path).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement]
        for target in targets:
            if isinstance(target, ast.Name):
                names.add(target.id)
                continue
            # _base_.codec.sigma = 3, or _base_.codec.update(sigma=3)
            names |= {
                node.attr
                for node in ast.walk(target)
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == '_base_'
            }
    return names


def read_with(paths: Sequence[str], values: dict[str, Any]) -> dict:
    """What configs make up together if their variables, and those of their bases, are others.

    Args:
        paths: Config files, none of which sets a name of another one.
        values: By name. They take the place of whatever a file assigns to the name.
    """
    with TemporaryDirectory() as folder:
        return _read(*(_rewritten(path, values, Path(folder)) for path in paths))


def differences(before: Any, after: Any, place: Place = ()) -> Iterator[Place]:
    """Places at which two values differ: keys of dicts, indices of lists of equal length."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            a, b = before.get(key, MISSING), after.get(key, MISSING)
            yield from differences(a, b, (*place, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (a, b) in enumerate(zip(before, after)):
            yield from differences(a, b, (*place, index))
    elif before is not after and before != after:
        yield place


def value_at(value: Any, place: Place) -> Any:
    """The value at a place, ``MISSING`` where there is no such place."""
    for key in place:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value


def dotted(place: Place) -> str:
    """A place as ``--cfg-options`` writes it."""
    return '.'.join(map(str, place))


def _bases(path: str) -> list[str]:
    """What ``_base_`` of a config names, as absolute paths; ``package::config`` as it is."""
    if path.endswith('.py'):
        values = [
            statement.value
            for statement in _parse(path).body
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == '_base_'
        ]
        bases = ast.literal_eval(values[0]) if values else []
    elif path.endswith(('.json', '.yaml', '.yml')):
        bases = mmengine.load(path).get('_base_', [])
    else:
        raise ValueError(f'config {path} is no .py, .json, .yaml or .yml file')
    folder = osp.dirname(osp.abspath(path))
    return [
        base if '::' in base else osp.normpath(osp.join(folder, base))
        for base in ([bases] if isinstance(bases, str) else bases)
    ]


def _names_read(path: str) -> set[str]:
    """Names whose values a Python config uses itself."""
    if not path.endswith('.py'):
        return set()
    return {
        node.id
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _names_below(path: str) -> set[str]:
    """Names that the bases of a config give a value."""
    bases = local_bases(path)
    return set().union(*(assigned_names(base) | _names_below(base) for base in bases))


def _parse(path: str) -> ast.Module:
    """The statements of a Python config, with mmengine's ``{{ fileDirname }}`` and the like."""
    text = Path(path).read_text(encoding='utf-8')
    full = osp.abspath(path)
    stem, extension = osp.splitext(osp.basename(full))
    for name, value in dict(
        fileDirname=osp.dirname(full),
        fileBasename=stem + extension,
        fileBasenameNoExtension=stem,
        fileExtname=extension,
    ).items():
        text = re.sub(rf'\{{\{{\s*{name}\s*\}}\}}', lambda _: value.replace('\\', '/'), text)  # noqa: B023
    return ast.parse(text)


def _read(*paths: str) -> dict:
    """Read files together, as the bases of a config without anything of its own."""
    with TemporaryDirectory() as folder:
        top = Path(folder, 'top.py')
        top.write_text(f'_base_ = {list(paths)!r}\n', encoding='utf-8')
        return Config.fromfile(str(top), import_custom_modules=False).to_dict()


# mmengine reads some 150 files to find a config of another package.
_read_package = lru_cache(_read)


def _rewritten(path: str, values: dict[str, Any], folder: Path) -> str:
    """A copy of a config, and of its bases, in which variables have other values."""
    copy = folder / f'base_{len(list(folder.iterdir()))}.py'
    if '::' in path:
        lines = [f'{name} = {value!r}\n' for name, value in _read_package(path).items()]
        copy.write_text('_base_ = []\n' + ''.join(lines), encoding='utf-8')
        return str(copy)
    if not path.endswith('.py'):
        return path
    copy.touch()
    module = _parse(path)
    for statement in module.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            if name == '_base_':
                value = [_rewritten(base, values, folder) for base in _bases(path)]
            elif name in values:
                value = values[name]
            else:
                continue
            statement.value = ast.parse(repr(value), mode='eval').body
    copy.write_text(ast.unparse(ast.fix_missing_locations(module)), encoding='utf-8')
    return str(copy)
