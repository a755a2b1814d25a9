"""Parts as files of one artefact each; the folder is whole or not there."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from diffpose_mm_runtime.manifest import ENDINGS, NAME, VERSION, file_hash

from ..optional_modules import missing_of
from .parts import Parts

NEEDED = dict(onnx=('onnx', 'onnxscript'), openvino=('onnx', 'onnxscript', 'openvino'))
NEEDED_FOR_INT8 = ('onnxruntime',)


def check_installed(kind: str, precision: str = 'float32') -> None:
    """Raise unless what writes a format in a precision is installed.

    Raises:
        ModuleNotFoundError: With the command that installs it.
    """
    needed = (*NEEDED[kind], *(NEEDED_FOR_INT8 if precision == 'int8' else ()))
    if missing_of(needed):
        what = f'--format {kind}' + (' --precision int8' if precision == 'int8' else '')
        raise ModuleNotFoundError(f'{what} needs: pip install {" ".join(needed)}')


def write_export(
    parts: Parts,
    folder: Path,
    kind: str,
    manifest: dict[str, Any],
    check: Callable[[Path], dict],
    progress: Callable[[str], None] = lambda line: None,
    changes: Mapping[str, Callable[[Path], None]] | None = None,
) -> Path:
    """Write the parts and their manifest, check them, and only then put them in their place.

    Args:
        parts: From :func:`split`.
        folder: To write; must not exist, or be empty.
        kind: 'onnx' or 'openvino'.
        manifest: Its fields, less those of the files.
        check: Given the folder that was written; returns what goes into the manifest as
            ``verified``, or raises.
        progress: Called with a line a part.
        changes: By the name of a part, what is done to its ONNX file before all else.

    Raises:
        ModuleNotFoundError: What writes the format is not installed.
        FileExistsError: There is something in the folder.
    """
    check_installed(kind)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f'{folder} is not an empty folder: remove it, or choose another --out'
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f'.{folder.name}-') as temporary:
        half = Path(temporary) / folder.name
        half.mkdir()
        for number, (name, module) in enumerate(parts.modules.items(), 1):
            progress(f'part {number} of {len(parts.modules)}: {name}')
            change = (changes or {}).get(name)
            export_part(module, parts.examples[name], half / f'{name}.{ENDINGS[kind]}', change)
        files = {path.name: file_hash(path) for path in sorted(half.iterdir())}
        manifest = dict(
            manifest, version=VERSION, format=kind, prepared=parts.prepared, files=files
        )
        path = half / NAME
        path.write_text(json.dumps(manifest, indent=1), encoding='utf-8')
        progress('comparing with the model')
        manifest['verified'] = check(half)
        path.write_text(json.dumps(manifest, indent=1), encoding='utf-8')
        if folder.exists():
            folder.rmdir()
        shutil.move(str(half), str(folder))
    return folder


def export_part(
    module: torch.nn.Module,
    example: tuple,
    path: Path,
    change: Callable[[Path], None] | None = None,
) -> None:
    """Write a network as one artefact: .onnx, or .xml with its .bin for OpenVINO.

    The first axis of every tensor is free, and the second of the first of several, which are the
    hypotheses of a denoising call.

    Args:
        module: In evaluation.
        example: Tensors that it is called with.
        path: To write.
        change: Done to the ONNX file, from which those of OpenVINO are made.
    """
    rows = torch.export.Dim('rows')
    shapes: tuple = ({0: rows},)
    if len(example) > 1:
        hypotheses = torch.export.Dim('hypotheses')
        shapes = ({0: rows, 1: hypotheses}, None, tuple({0: rows} for _ in example[2:]))
    program = torch.onnx.export(
        module, example, dynamo=True, dynamic_shapes=shapes, verbose=False, optimize=True
    )
    assert program is not None
    onnx = path.with_suffix('.onnx')
    # One file: with two, one may be lost on the way.
    program.save(str(onnx), external_data=False)
    if change is not None:
        change(onnx)
    if path.suffix == f'.{ENDINGS["openvino"]}':
        import openvino

        model = openvino.convert_model(str(onnx))
        openvino.save_model(model, str(path), compress_to_fp16=False)
        onnx.unlink()
