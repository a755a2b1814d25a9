"""A model for engines without torch: ``mim run diffpose_mm export CONFIG --checkpoint C ...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.apis.defaults import weights_of_config
from diffpose_mm.apis.windows import clip_offsets
from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.exporting import compare, export_settings, split, write_export
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

The latter needs neither torch nor mm*.
"""


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
        '--bound',
        type=float,
        default=0.01,
        help='largest mean distance of a joint from where the model has it, in input pixels; above '
        'it nothing is written (default: %(default)s)',
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
    check_installed(args.format)
    weights = args.checkpoint or weights_of_config(args.config)
    if weights is None:
        raise ValueError(f'no weights come with {args.config}: give --checkpoint FILE')
    inferencer = DiffPoseInferencer(args.config, weights, device='cpu', det_model='whole_image')
    model = inferencer.model.eval()
    settings = export_settings(model, inferencer.cfg, clip_offsets(inferencer.cfg))
    checkpoint = read_checkpoint(weights)
    licence = args.licence
    if licence == 'not stated':
        licence = (checkpoint.get('meta') or {}).get('licence', licence)
    fitted = (checkpoint.get('meta') or {}).get('spread_calibration')
    manifest = dict(
        settings,
        precision='float32',
        licence=licence,
        weights_sha256=weights_digest(checkpoint['state_dict']),
        made_by=f'diffpose_mm {__version__}',
        **({} if fitted is None else dict(spread_calibration=fitted)),
    )

    def check(folder: Path) -> dict[str, Any]:
        differences = compare(model, folder, ENGINE[args.format])
        if not differences.mean <= args.bound:
            raise ValueError(
                f'joints of the export are {differences.mean:.4f} input pixels from those of the '
                f'model in the mean ({differences.largest:.4f} at most), more than --bound '
                f'{args.bound}: nothing was written'
            )
        return differences._asdict()

    write_export(split(model), args.out, args.format, manifest, check, print)
    differences = compare(model, args.out, ENGINE[args.format], seed=1)
    size = sum(path.stat().st_size for path in args.out.iterdir()) / 2**20
    print(
        f'{args.out}: {size:.1f} MiB; joints differ from those of the model by '
        f'{differences.mean:.6f} input pixels in the mean, {differences.largest:.6f} at most'
    )
    return differences._asdict()


if __name__ == '__main__':
    main()
