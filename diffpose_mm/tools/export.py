"""A model for engines without torch: ``mim run diffpose_mm export CONFIG --checkpoint C ...``."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.defaults import weights_of_config
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.exporting import Differences, compare, export_settings, split, write_export
from diffpose_mm.exporting.calibration import calibration_clips
from diffpose_mm.exporting.quantising import check_calibration, made_of_convolutions, quantise
from diffpose_mm.exporting.writing import check_installed
from diffpose_mm.loading import read_checkpoint, weights_digest
from diffpose_mm.version import __version__

ENGINE = dict(onnx='onnxruntime', openvino='openvino')
EXAMPLES = """
Writes the three parts of a model (crop to tokens; tokens of a window to what the decoder needs; one
denoising call) with a manifest, and compares joints with those of the model before the folder is
put in its place:

    mim run diffpose_mm export diffpose_synthetic.py --checkpoint epoch_20.pth --out exported
    python -m diffpose_mm_runtime walk.mp4 --model exported --boxes boxes.json --out out

The latter needs neither torch nor mm*. The backbone in int8, which learns the ranges of its numbers
on people of a video and is compared with the model on them:

    mim run diffpose_mm infer walk.mp4 --config diffpose_synthetic.py --checkpoint epoch_20.pth \
        --out out
    mim run diffpose_mm export diffpose_synthetic.py --checkpoint epoch_20.pth --out exported_int8 \
        --precision int8 --calibration walk.mp4 --boxes out/predictions/walk.json
"""
BOUNDS = dict(float32=0.01, int8=0.5)
MOST_JUMPS = 0.02
"""Share of joints that an int8 export may put on another peak."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='export',
        description='Write a model as files that onnxruntime or OpenVINO can run.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file, or the name of one in this package')
    parser.add_argument(
        '--checkpoint',
        help='a file, a folder, hf:NAME; of diffpose_real by default the weights that come with it',
    )
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder to write')
    parser.add_argument('--format', choices=list(ENGINE), default='onnx', help='(default: onnx)')
    parser.add_argument(
        '--precision',
        choices=list(BOUNDS),
        default='float32',
        help='of the backbone; all else is in float32 (default: float32)',
    )
    parser.add_argument(
        '--calibration',
        metavar='VIDEO',
        help='with int8: video of people, or folder of its frames, of the kind that is to be posed',
    )
    parser.add_argument(
        '--boxes', metavar='FILE', help='of the people of --calibration, as infer takes them'
    )
    parser.add_argument(
        '--bound',
        type=float,
        help='largest distance of joints from where the model has them, in input pixels: in the '
        f'mean (default: {BOUNDS["float32"]}), with int8 in the median (default: '
        f'{BOUNDS["int8"]}); above it nothing is written',
    )
    parser.add_argument(
        '--licence', default='not stated', help='of the weights, as an SPDX name: CC-BY-NC-4.0'
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Export as the command line says.

    Returns:
        The differences in input pixels: ``mean``, ``median``, ``largest``.

    Raises:
        SystemExit: With what is wrong with an argument or a model.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        return export(args)


def export(args: argparse.Namespace) -> dict[str, Any]:
    """Export as parsed arguments say."""
    check_installed(args.format, args.precision)
    _check_calibration_arguments(args)
    weights = args.checkpoint or weights_of_config(args.config)
    if weights is None:
        raise ValueError(f'no weights come with {args.config}: give --checkpoint FILE')
    inferencer = DiffPoseInferencer(args.config, weights, device='cpu', det_model='whole_image')
    model = inferencer.model.eval()
    settings = export_settings(model, inferencer.cfg, clip_offsets(inferencer.cfg))
    clips = None
    if args.calibration:
        clips = calibration_clips(args.calibration, args.boxes, settings)
    changes = {}
    if args.precision == 'int8':
        check_calibration(args.format, clips is not None, made_of_convolutions(model.backbone))
        crops = None if clips is None else clips[:, settings['frame_offsets'].index(0)]
        changes['tokens'] = partial(quantise, crops=crops)
    checkpoint = read_checkpoint(weights)
    licence = args.licence
    if licence == 'not stated':
        licence = (checkpoint.get('meta') or {}).get('licence', licence)
    fitted = (checkpoint.get('meta') or {}).get('spread_calibration')
    manifest = dict(
        settings,
        precision=args.precision,
        licence=licence,
        weights_sha256=weights_digest(checkpoint['state_dict']),
        made_by=f'diffpose_mm {__version__}',
        **({} if clips is None else dict(calibration_clips=len(clips))),
        **({} if fitted is None else dict(spread_calibration=fitted)),
    )
    bound = BOUNDS[args.precision] if args.bound is None else args.bound
    checked: list[Differences] = []

    def check(folder: Path) -> dict[str, Any]:
        differences = compare(model, folder, ENGINE[args.format], clips=clips)
        refused = _refused(differences, args.precision, bound)
        if refused:
            raise ValueError(
                f'joints of the export are {_told(differences)}, more than {refused}: nothing was '
                'written'
            )
        checked.append(differences)
        return differences._asdict()

    write_export(split(model), args.out, args.format, manifest, check, print, changes)
    # Other random crops show more; the same clips would show the same.
    (differences,) = checked
    if clips is None:
        differences = compare(model, args.out, ENGINE[args.format], seed=1)
    size = sum(path.stat().st_size for path in args.out.iterdir()) / 2**20
    print(f'{args.out}: {size:.1f} MiB; joints differ: they are {_told(differences)}')
    return differences._asdict()


def _check_calibration_arguments(args: argparse.Namespace) -> None:
    """Raise unless what is given for calibration belongs together."""
    if args.calibration and args.precision != 'int8':
        raise ValueError('--calibration is for --precision int8: float32 has nothing to learn')
    if bool(args.calibration) != bool(args.boxes):
        raise ValueError(
            '--calibration VIDEO and --boxes FILE go together: predictions of a run of infer on '
            'that video are such a file'
        )


def _refused(differences: Differences, precision: str, bound: float) -> str | None:
    """The bound that is not kept.

    A joint with two peaks jumps at the smallest change: in int8 the mean would tell of few such
    joints and of no others, so they are counted by themselves.
    """
    moved = differences.mean if precision == 'float32' else differences.median
    if not moved <= bound:
        return f'--bound {bound}'
    if precision == 'int8' and differences.jumps > MOST_JUMPS:
        return f'{100 * MOST_JUMPS:g} % on another peak'
    return None


def _told(differences: Differences) -> str:
    """In words."""
    return (
        f'{differences.mean:.6f} input pixels from those of the model in the mean, '
        f'{differences.median:.6f} in the median, {differences.at_95:.6f} at 95 %, '
        f'{differences.largest:.6f} at most, {100 * differences.jumps:.2f} % on another peak'
    )


if __name__ == '__main__':
    main()
