"""What the command line tools share: options, reading of configs, errors in one line."""

import argparse
import os
import os.path as osp
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_distributed
from torch.utils.data import Dataset

from ..config_variables import RUNNER_FIELDS
from ..configs import read_config
from .best_metric import MetricError
from .checkpoint import CheckpointError
from .finite_loss_hook import NonFiniteError

DATA_FIELDS = (
    'data_root',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'val_evaluator',
    'test_evaluator',
)
USER_ERRORS = (
    CheckpointError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AssertionError,
    ImportError,
)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing have in common."""
    parser.add_argument(
        '--work-dir', help='folder for logs and results (default: work_dirs/<name of the config>)'
    )
    parser.add_argument(
        '--data-root', help='use this folder wherever the config uses its own data_root'
    )
    parser.add_argument(
        '--allow-partial',
        action='store_true',
        help='go on with weights that fill the model, or a part of it, in part; the rest is random',
    )
    parser.add_argument('--show-dir', help='write drawn predictions to this folder')
    parser.add_argument('--show', action='store_true', help='show drawn predictions in a window')
    parser.add_argument(
        '--interval', type=int, default=1, help='draw every n-th batch (validation)'
    )
    parser.add_argument(
        '--wait-time', type=float, default=1, help='seconds that a window stays open'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='values that replace those of the config, as key=value, for example '
        'model.test_cfg.sampling_steps=10; lists as key="[a,b]"',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes either spelling, depending on its version.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help='set by the launcher'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )


def load_config(args: argparse.Namespace) -> Config:
    """Read ``args.config``, a path or the name of a shipped config, and merge the common options.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: A setting of the config, or an option, would change nothing.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', Path(cfg.filename).stem)
    if args.allow_partial:
        cfg.allow_partial = True
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    if args.show or args.show_dir is not None:
        hook = cfg.default_hooks.get('visualization')
        if hook is None:
            raise ValueError('--show and --show-dir need default_hooks.visualization in the config')
        # The hook joins a relative folder to itself at every batch.
        out_dir = None if args.show_dir is None else osp.abspath(args.show_dir)
        hook.update(
            enable=True,
            show=args.show,
            wait_time=args.wait_time,
            out_dir=out_dir,
            interval=args.interval,
        )
    merge_cfg_options(cfg, args.cfg_options)
    loop = cfg.get('train_cfg') or {}
    if 'type' in loop and not loop.pop('by_epoch', True):
        raise ValueError(
            f'train_cfg.by_epoch=False does not go with train_cfg.type={loop.type} of the base '
            'config: add _delete_=True to train_cfg'
        )
    return cfg


def merge_cfg_options(cfg: Config, options: dict[str, Any]) -> None:
    """Merge ``--cfg-options`` into a config, in place.

    Raises:
        ValueError: An option would silently change nothing.
    """
    for option, value in options.items():
        name = option.partition('.')[0]
        if isinstance(_value_at(cfg, option), dict) and not isinstance(value, (dict, type(None))):
            raise ValueError(
                f'--cfg-options {option}={value!r}: {option} is a group of settings; set one of '
                f'them, as {option}.NAME=VALUE'
            )
        if name == 'data_root':
            raise ValueError('--cfg-options data_root changes nothing: use --data-root')
        if name in RUNNER_FIELDS:
            continue
        if name in cfg:
            raise ValueError(
                f'--cfg-options {option} changes nothing, as the config has already written the '
                f'value of {name} where it is used (data sets, pipelines, model). Set it in each '
                'of these places, or write a config with this one as _base_'
            )
        similar = get_close_matches(name, RUNNER_FIELDS, 1)
        raise ValueError(
            f'--cfg-options {option} changes nothing, as nobody reads {name}'
            + (f': is {similar[0]} meant?' if similar else '')
        )
    cfg.merge_from_dict(options)


def _value_at(cfg: Config, option: str) -> Any:
    """What a config has at a dotted name, or None."""
    value: Any = cfg
    for part in option.split('.'):
        if not hasattr(value, 'get'):
            return None
        value = value.get(part)
    return value


def start_processes(cfg: Config) -> None:
    """Join the processes of a launcher where there is no GPU, which mmengine cannot.

    Whatever the backend, mmengine asks for a GPU of each process's own. With a GPU nothing is done
    here. Without one the processes talk by gloo. A group that the caller has made (Ray Train, a
    script with torch.distributed) is joined.

    Args:
        cfg: With ``launcher``. The model's wrapper is told that there is no device.

    Raises:
        ValueError: The process belongs to a group, and ``launcher`` is 'none': mmengine would give
            each process a share of the data, and a model of its own.
    """
    if cfg.launcher == 'none' and get_world_size() > 1:
        raise ValueError(
            f'this process is one of {get_world_size()} of a torch.distributed group, and launcher '
            'is none: each would train or test a model of its own on a share of the data. Give '
            '--launcher pytorch to join the group, or destroy it first'
        )
    if cfg.launcher != 'pytorch' or get_device() != 'cpu':
        return
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    wrapper = cfg.setdefault('model_wrapper_cfg', ConfigDict())
    wrapper.setdefault('type', 'MMDistributedDataParallel')
    wrapper.setdefault('broadcast_buffers', False)
    wrapper.setdefault('find_unused_parameters', cfg.get('find_unused_parameters', False))
    wrapper.device_ids = None


def set_data_root(cfg: Config, data_root: str) -> None:
    """Replace the config's ``data_root`` in every data loader and evaluator, in place.

    Paths are written out when a config is read, so that a new ``data_root`` alone would change none
    of them.

    Args:
        cfg: A config with a ``data_root``.
        data_root: The folder to use instead.

    Raises:
        ValueError: If the config has no ``data_root``.
    """
    old = cfg.get('data_root')
    if not old:
        raise ValueError(f'config {cfg.filename} has no data_root that --data-root could replace')
    stem, new = old.rstrip('/'), data_root.rstrip('/')

    def moved(value: Any) -> Any:
        if isinstance(value, str) and (value == stem or value.startswith(stem + '/')):
            return new + value[len(stem) :]
        if isinstance(value, dict):
            for key in value:
                value[key] = moved(value[key])
        elif isinstance(value, (list, tuple)):
            return type(value)(moved(item) for item in value)
        return value

    for name in DATA_FIELDS:
        if cfg.get(name) is not None:
            value = moved(cfg[name])
            cfg[name] = ConfigDict(value) if isinstance(value, dict) else value


def check_clip_length(model: torch.nn.Module, dataset: Dataset) -> None:
    """Raise if a data set gives clips of another length, or keyframe, than the model merges.

    Args:
        model: A model, perhaps with a neck that has ``num_frames`` and ``keyframe_index``.
        dataset: A data set, perhaps of clips, with ``num_frames`` and ``frame_offsets``; or one
            that is put together of others (``datasets``, ``dataset``).

    Raises:
        ValueError: Both say how many frames, or which of them is the keyframe, and not the same.
    """
    parts = [*getattr(dataset, 'datasets', ()), getattr(dataset, 'dataset', None)]
    for part in parts:
        if part is not None:
            check_clip_length(model, part)
    neck = getattr(getattr(model, 'module', model), 'neck', None)
    frames, keyframe = (getattr(neck, name, None) for name in ('num_frames', 'keyframe_index'))
    clip_frames = getattr(dataset, 'num_frames', None)
    if frames is None or clip_frames is None:
        return
    offsets = tuple(getattr(dataset, 'frame_offsets', ()))
    if frames != clip_frames:
        raise ValueError(
            f'the data set gives clips of {clip_frames} frames (frame_offsets={offsets}) and the '
            f'neck merges {frames} (model.neck.num_frames): set both to the same number'
        )
    place = getattr(dataset, 'keyframe_index', None)
    if place is None and len(offsets) == clip_frames and 0 in offsets:
        place = sorted(offsets).index(0)
    if None not in (place, keyframe) and place != keyframe:
        raise ValueError(
            f"the keyframe is frame {place} of the data set's clips (frame_offsets={offsets}, "
            f"counted from 0) and frame {keyframe} of the neck's: set "
            f'model.neck.keyframe_index={place}'
        )


@contextmanager
def one_line_errors(
    traceback: bool, kinds: tuple[type[Exception], ...] = USER_ERRORS
) -> Iterator[None]:
    """Turn what the user can mend into one message and exit status 1.

    Args:
        traceback: Let the exception through as it is.
        kinds: Errors that the user can mend. Defaults to :data:`USER_ERRORS`.
    """
    try:
        yield
    except kinds as error:
        if traceback:
            raise
        message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        if 'Original Traceback' in message:
            # Of a data loading process, whose words end with the message.
            message = message.strip().rpartition(f'\n{type(error).__name__}: ')[2]
        raise SystemExit(f'error: {message or type(error).__name__}') from error


@contextmanager
def announced_end(traceback: bool, work_dir: str) -> Iterator[None]:
    """Say in one message why training ended early, and how to go on.

    Handles expected ends: an interruption (exit status 130), a disk that is full, a file that
    cannot be read, a data loading process that was killed, a loss that is no number, a metric of
    ``save_best`` that there is not (exit status 1). Everything else comes through.

    Args:
        traceback: Let the exception through as it is.
        work_dir: Where the checkpoints are.
    """
    try:
        yield
    except (KeyboardInterrupt, OSError, RuntimeError) as error:
        killed = 'DataLoader worker (pid' in str(error)
        expected = isinstance(error, (KeyboardInterrupt, OSError, NonFiniteError, MetricError))
        if traceback or not (killed or expected):
            raise
        pointer = Path(work_dir, 'last_checkpoint')
        if pointer.is_file():
            advice = f'The last checkpoint is {pointer.read_text()}; --resume goes on from there.'
        else:
            advice = 'There is no checkpoint yet: start again.'
        if isinstance(error, KeyboardInterrupt):
            print(f'interrupted. {advice}', file=sys.stderr)
            raise SystemExit(130) from None
        message = str(error).strip()
        if 'Original Traceback' in message:
            message = message.rpartition(f'\n{type(error).__name__}: ')[2]
        if killed:
            message += ' If the system ran out of memory, take fewer num_workers'
        raise SystemExit(f'error: {message.rstrip(".")}. {advice}') from error
