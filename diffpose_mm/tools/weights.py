"""What a file of weights is, converted and compared: ``mim run diffpose_mm weights SOURCE``."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from diffpose_mm.weights import (
    EXPERTS,
    Weights,
    WeightsError,
    check_target,
    read_weights,
    transformers_side,
    write_hugging_face,
    write_mmpose,
)
from diffpose_mm.weights.description import describe
from diffpose_mm.weights.hub import INDEX, MAIN_FILE

TOLERANCE = 1e-4
"""Largest difference that counts as equal, of the largest value; rounding gives a hundredth."""

EXAMPLES = """
SOURCE is a file or folder, hf:OWNER/NAME[/FILE][@REVISION] or an https address. Without --out the
tool only tells what it is.

    mim run diffpose_mm weights hf:usyd-community/vitpose-base
    mim run diffpose_mm weights hf:usyd-community/vitpose-plus-small --out vitpose-s.safetensors
    mim run diffpose_mm weights vitpose_b.pth --to hf --out vitpose-base

After a conversion both sides are run on one picture, and compared, where transformers is installed;
where it is not, what was written is read back and compared.
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='weights',
        description='Say what a file of weights is, and convert it.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', help='a file, a folder, hf:OWNER/NAME, an address')
    parser.add_argument(
        '--to',
        choices=('mmpose', 'hf'),
        help='mmpose: a .safetensors or .pth file; hf: a folder (default: by what --out is)',
    )
    parser.add_argument('--out', help='what to write; without it the tool only tells')
    parser.add_argument('--expert', choices=EXPERTS, help='of ViTPose++ (default: coco)')
    parser.add_argument(
        '--last-step',
        action='store_true',
        help='of a checkpoint with a moving average, the weights of the last step instead',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace what --out names')
    args = parser.parse_args(argv)
    if args.to and not args.out:
        parser.error('--to says how to write: say where with --out')
    if args.out and not args.to:
        args.to = 'mmpose' if Path(args.out).suffix else 'hf'
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Tell, write, compare; exits with one line on what cannot be read, written or is not equal."""
    args = parse_args(argv)
    try:
        if args.out:
            check_target(args.out, args.to, args.overwrite)
        weights = read_weights(args.source, args.expert, average=not args.last_step)
        print('\n'.join(describe(weights)))
        if args.out:
            write = write_hugging_face if args.to == 'hf' else write_mmpose
            written = write(weights, args.out, args.overwrite)
            print(f'written: {written}')
            print(compare(weights, written, args.to))
    except (WeightsError, OSError) as error:
        raise SystemExit(f'weights: {error}') from error


def compare(weights: Weights, written: Path, to: str) -> str:
    """Run what was written, and what it was made of, on one picture.

    Args:
        weights: What was read.
        written: What was written of them.
        to: 'mmpose' or 'hf'.

    Returns:
        What was compared, and the largest differences.

    Raises:
        WeightsError: They differ.
    """
    again = read_weights(str(written))
    if to == 'mmpose':
        _compare_tensors(weights, again)
    architecture = again.architecture
    runs = architecture is not None and not architecture.class_token and weights.prefix
    others = [name for name in again.state_dict if not name.startswith(('backbone.', 'head.'))]
    if (
        not runs
        or architecture is None
        or others
        or None in (architecture.num_heads, architecture.grid)
    ):
        return (
            f'compared: the {len(again.state_dict)} tensors read back are those that were written'
        )
    from diffpose_mm.models.vitpose import run_vitpose

    pixels = picture(*(architecture.input_size or (192, 256)))
    ours = _arrays(run_vitpose(_named(again, architecture.head), architecture, pixels))
    missing = find_spec('transformers') is None
    if missing or (architecture.head is None and not _opens(weights)):
        theirs = _arrays(run_vitpose(_named(weights, architecture.head), architecture, pixels))
        why = 'transformers is not installed' if missing else 'there is no head'
        what = f'before and after, both by mmpose ({why}, so not by its model)'
    else:
        theirs, side = _by_transformers(weights, pixels)
        what = f"mmpose's model of what was written and {side}"
    lines = [
        f'{name} differ by {np.abs(theirs[name] - ours[name]).max():.1e} of '
        f'{np.abs(theirs[name]).max():.2g}'
        for name in ours
    ]
    for name in ours:
        limit = TOLERANCE * max(float(np.abs(theirs[name]).max()), 1e-3)
        if not np.abs(theirs[name] - ours[name]).max() <= limit:
            raise WeightsError(
                f'{written} does not compute what {weights.origin} does: {"; ".join(lines)}. '
                'Do not use it, and please report this'
            )
    return f'compared, on one picture: {what}: {"; ".join(lines)}'


def picture(width: int, height: int) -> torch.Tensor:
    """A normalised picture of waves and noise, the same on every machine, (1, 3, height, width)."""
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    waves = torch.sin(torch.arange(height).view(-1, 1) / 17) * torch.cos(torch.arange(width) / 11)
    return 0.5 * noise + 1.5 * waves


def _compare_tensors(weights: Weights, again: Weights) -> None:
    different = [
        name
        for name, value in weights.state_dict.items()
        if name not in again.state_dict or not torch.equal(value, again.state_dict[name])
    ]
    # NaN differs from itself.
    broken = [n for n in different if torch.isnan(weights.state_dict[n].float()).any()]
    if broken:
        raise WeightsError(f'{weights.origin} holds values that are no numbers, as in {broken[0]}')
    if different:
        raise WeightsError(
            f'{again.origin} was not written as it should be: {different[0]} differs'
        )


def _named(weights: Weights, head: str | None) -> dict[str, torch.Tensor]:
    """The weights of the backbone, and of the head if it is one of ViTPose."""
    starts = ('backbone.', 'head.') if head else ('backbone.',)
    return {name: value for name, value in weights.state_dict.items() if name.startswith(starts)}


def _arrays(outputs: tuple[torch.Tensor, torch.Tensor | None]) -> dict[str, np.ndarray]:
    named = dict(zip(('features', 'heatmaps'), outputs))
    return {name: value.numpy() for name, value in named.items() if value is not None}


def _by_transformers(weights: Weights, pixels: torch.Tensor) -> tuple[dict[str, np.ndarray], str]:
    """What transformers' model computes: of the source where it opens it, else of a conversion."""
    with tempfile.TemporaryDirectory() as folder:
        if _opens(weights):
            expert = EXPERTS.index(weights.expert or 'coco')
            side = f"transformers' of {weights.origin}"
            return run_transformers(weights.path.parent, pixels, expert), side
        model = write_hugging_face(weights, Path(folder, 'model'))
        side = "transformers' of the same weights under its names"
        return run_transformers(model, pixels), side


def _opens(weights: Weights) -> bool:
    """Whether transformers opens the very file that was read."""
    own = weights.path.name in (MAIN_FILE, MAIN_FILE + INDEX) and 'config' in weights.meta
    return weights.naming == 'hugging face' and own


def run_transformers(folder: Path, pixels: torch.Tensor, expert: int = 0) -> dict[str, np.ndarray]:
    """Features and heatmaps of transformers' own model, which runs in a process of its own.

    Args:
        folder: With ``config.json`` and weights.
        pixels: (N, 3, H, W), normalised.
        expert: Index of the data set, for a model with experts.

    Raises:
        WeightsError: It cannot open the folder, or leaves a part random.
    """
    with tempfile.TemporaryDirectory() as work:
        image, out = str(Path(work, 'in.npy')), str(Path(work, 'out.npz'))
        np.save(image, pixels.numpy())
        script = Path(transformers_side.__file__).read_text(encoding='utf-8')
        run = subprocess.run(
            [sys.executable, '-c', script, str(folder.resolve()), image, out, str(expert)],
            cwd=work,
            capture_output=True,
            text=True,
        )
        if run.returncode:
            reason = run.stderr.strip().splitlines()[-1:] or ['no reason']
            raise WeightsError(f'transformers cannot run {folder}: {reason[0]}')
        with np.load(out) as arrays:
            report = json.loads(str(arrays['report']))
            result = {name: arrays[name] for name in ('features', 'heatmaps')}
    random = report['missing_keys'] + report['mismatched_keys']
    if random:
        raise WeightsError(f'transformers leaves {len(random)} weights random, as {random[0]}')
    return result


if __name__ == '__main__':
    main()
