"""A checkpoint to give away: ``mim run diffpose_mm publish CHECKPOINT --config C --out FILE``."""

import argparse
import hashlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS, MODELS

from diffpose_mm.configs import read_config
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.files import atomic_write, prepare_folder
from diffpose_mm.loading import (
    CheckpointError,
    check_checkpoint,
    encode_metadata,
    read_checkpoint,
    weights_digest,
)
from diffpose_mm.version import __version__
from diffpose_mm.weights import write_safetensors

ENDINGS = ('.safetensors', '.pth')
KEPT_META = ('epoch', 'iter', 'seed', 'mmengine_version', 'spread_calibration')
EXAMPLES = """
Reads the weights of a checkpoint, sees that they are those of the config's model, and writes them
without optimiser, logs and paths. The file says what it is: config, keypoints, commit, licence, a
digest of the weights. It is read back and compared before the tool ends, and is then a checkpoint
wherever one is asked for:

    mim run diffpose_mm publish work_dirs/diffpose_synthetic/epoch_4.pth \\
        --config diffpose_synthetic.py --out diffpose_synthetic.safetensors
    mim test diffpose_mm diffpose_synthetic.py --checkpoint diffpose_synthetic.safetensors
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='publish',
        description='Write a checkpoint to give away.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('checkpoint', help='a file, a folder, hf:NAME')
    parser.add_argument('--config', required=True, help='config it was trained with')
    parser.add_argument('--out', required=True, help=f'file to write: {" or ".join(ENDINGS)}')
    parser.add_argument(
        '--weights',
        choices=['averaged', 'last'],
        default='averaged',
        help='of a training with averaged weights (EMA): these, which it was validated with, or '
        'those of the last step (default: averaged)',
    )
    parser.add_argument('--half', action='store_true', help='in float16, half the size')
    parser.add_argument(
        '--licence', default='not stated', help='of the weights, as an SPDX name: CC-BY-NC-4.0'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a file that is there')
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def chosen_weights(checkpoint: dict, which: str, source: str) -> dict[str, torch.Tensor]:
    """The averaged weights of a checkpoint, or those of the last step.

    mmengine's EMAHook saves the averaged ones as ``state_dict`` and the others, with its counter,
    as ``ema_state_dict``.

    Raises:
        CheckpointError: ``which`` is 'last' and the checkpoint has one kind alone.
    """
    weights = checkpoint['state_dict']
    if which == 'last':
        if 'ema_state_dict' not in checkpoint:
            raise CheckpointError(
                f'checkpoint {source} has no weights beside the averaged ones: leave out --weights'
            )
        last = checkpoint['ema_state_dict']
        weights = {key: last.get(f'module.{key}', value) for key, value in weights.items()}
    return {key.removeprefix('module.'): value for key, value in weights.items()}


def describe(cfg: Config, checkpoint: dict, weights: dict, licence: str) -> dict[str, Any]:
    """What the file says about itself.

    Args:
        cfg: The model's config.
        checkpoint: The one that is published.
        weights: What is written.
        licence: Of the weights.
    """
    meta = checkpoint.get('meta') or {}
    keypoints = meta.get('dataset_meta')
    if keypoints is None:
        keypoints = parse_pose_metainfo(DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO)
    text = without_paths(cfg.pretty_text)
    return dict(
        {key: meta[key] for key in KEPT_META if key in meta},
        format='pt',
        config=Path(cfg.filename).name,
        config_sha256=hashlib.sha256(text.encode()).hexdigest(),
        cfg=text,
        dataset_meta=dict(keypoints),
        weights_sha256=weights_digest(weights),
        licence=licence,
        version=__version__,
        commit=commit(),
        published=date.today().isoformat(),
    )


def without_paths(config: str) -> str:
    """Reduce the absolute paths in the text of a config to their last part."""
    return re.sub(r"(['\"])/[^'\"]*?([^/'\"]+)/?\1", r'\1\2\1', config)


def commit() -> str:
    """Commit of the package, where it runs in a clone; 'not known' where it is installed."""
    spec = find_spec('diffpose_mm')
    folder = Path((spec and spec.origin) or '.').resolve().parents[1]
    if (folder / '.git').exists():
        try:
            result = subprocess.run(
                ['git', 'rev-parse', 'HEAD'], cwd=folder, capture_output=True, text=True, check=True
            )
            return result.stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return 'not known'


def write(path: Path, weights: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write a checkpoint in the form that its name says, whole or not at all."""
    prepare_folder(str(path.parent))
    with atomic_write(path, 'wb') as file:
        if path.suffix == '.pth':
            torch.save(dict(state_dict=weights, meta=meta), file)
            return
        write_safetensors(file, weights, encode_metadata(meta))


def verify(path: Path, weights: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Read a checkpoint back and compare it with what was to be written.

    Raises:
        CheckpointError: It is another one.
    """
    read = read_checkpoint(str(path))
    if weights_digest(read['state_dict']) != weights_digest(weights):
        raise CheckpointError(f'{path} holds other weights than were written: is the disk sound?')
    for key, value in meta.items():
        if not _same(read['meta'].get(key), value):
            raise CheckpointError(f'{path} says something else of {key} than was written')


def _same(one: Any, other: Any) -> bool:
    if isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and one.dtype == other.dtype and (one == other).all()
    if isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in other)
    return one == other


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Publish as the command line says.

    Args:
        argv: The arguments, without the program's name. Default: those of the process.

    Returns:
        What the file says about itself.

    Raises:
        SystemExit: With what is wrong with the checkpoint, the config or the file.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        path = Path(args.out)
        if path.suffix not in ENDINGS:
            raise ValueError(f'--out {args.out} must end with {" or ".join(ENDINGS)}')
        if path.exists() and not args.overwrite:
            raise ValueError(f'{args.out} exists: choose another name, or give --overwrite')
        cfg = read_config(args.config)
        init_default_scope(cfg.get('default_scope') or 'mmpose')
        checkpoint = check_checkpoint(MODELS.build(cfg.model), args.checkpoint)
        weights = {
            key: (value.half() if args.half and value.is_floating_point() else value)
            .detach()
            .clone()
            .contiguous()
            for key, value in chosen_weights(checkpoint, args.weights, args.checkpoint).items()
        }
        meta = describe(cfg, checkpoint, weights, args.licence)
        write(path, weights, meta)
        verify(path, weights, meta)
    size, digest = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
    print(f'{path}: {len(weights)} weights, {size:,} bytes, read back and compared')
    print(f'sha256 {digest}; config {meta["config"]}; licence {meta["licence"]}')
    return meta


if __name__ == '__main__':
    main()
