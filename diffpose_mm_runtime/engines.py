"""The engines that run an exported part: onnxruntime and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .manifest import AGAIN, ExportError

Part = Callable[..., list[np.ndarray]]
"""Takes arrays in the order of the part's inputs, gives those of its outputs."""
FORMATS = {'onnxruntime': ('onnx',), 'openvino': ('openvino', 'onnx')}
"""Engine to the formats that it reads."""
PRECISIONS = ('float32', 'bfloat16')


def check_engine(engine: str, kind: str) -> None:
    """Raise unless an engine is there and reads a format.

    Raises:
        ValueError: There is no such engine, or it does not read the format.
        ModuleNotFoundError: It is not installed.
    """
    if engine not in FORMATS:
        raise ValueError(f'engine={engine!r} must be one of {", ".join(FORMATS)}')
    if kind not in FORMATS[engine]:
        others = ', '.join(name for name, kinds in FORMATS.items() if kind in kinds)
        raise ValueError(f'engine={engine!r} does not read {kind} files: use {others}')
    if find_spec(engine) is None:
        raise ModuleNotFoundError(f'engine={engine!r} is not installed: pip install {engine}')


@cache
def _openvino_core() -> Any:
    """OpenVINO's core, which lives as long as the process: models are of its plug-ins."""
    import openvino

    return openvino.Core()


def capabilities() -> list[str]:
    """What OpenVINO says that this processor computes in, as 'FP32' and 'BF16'."""
    return _openvino_core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


def check_precision(precision: str, engine: str) -> None:
    """Raise unless an engine computes in a number format on this processor.

    Raises:
        ValueError: It does not.
    """
    if precision == 'int8':
        raise ValueError(
            "precision='int8' is one of export's: write the folder with export --precision int8, "
            'and run it without --precision'
        )
    if precision not in PRECISIONS:
        raise ValueError(f'precision={precision!r} must be one of {", ".join(PRECISIONS)}')
    if precision == 'float32':
        return
    if engine != 'openvino':
        raise ValueError(f"engine={engine!r} computes in float32 here: {precision} is OpenVINO's")
    if 'BF16' not in capabilities():
        raise ValueError(
            f"precision={precision!r}: this processor has none; take precision='float32'"
        )


def load_part(path: Path, engine: str, threads: int = 0, precision: str = 'float32') -> Part:
    """A part, ready to run on the CPU.

    Args:
        path: Its file.
        engine: One of :data:`FORMATS`.
        threads: 0 leaves the choice to the engine.
        precision: One of :data:`PRECISIONS`; arrays are float32 all the same.

    Raises:
        ExportError: The engine cannot read the file; the part raises it for arrays that it does
            not take.
    """
    try:
        part = _load_part(path, engine, threads, precision)
    except ImportError:
        raise
    except Exception as error:  # each engine has exceptions of its own
        raise ExportError(
            f'{path} cannot be loaded by {engine} ({_one_line(error)}); {AGAIN}'
        ) from error

    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        try:
            return part(*arrays)
        except Exception as error:
            shapes = ', '.join(str(array.shape) for array in arrays)
            raise ExportError(
                f'{path} cannot be run by {engine} on arrays of {shapes} ({_one_line(error)})'
            ) from error

    return run


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())


def _load_part(path: Path, engine: str, threads: int, precision: str) -> Part:
    if engine == 'openvino':
        # By itself OpenVINO takes bfloat16 where the processor has it.
        hint = {'float32': 'f32', 'bfloat16': 'bf16'}[precision]
        config: dict = {'INFERENCE_PRECISION_HINT': hint, 'PERFORMANCE_HINT': 'LATENCY'}
        if threads:
            config['INFERENCE_NUM_THREADS'] = threads
        model = _openvino_core().compile_model(str(path), 'CPU', config)
        outputs = model.outputs

        def run(*arrays: np.ndarray) -> list[np.ndarray]:
            found = model(list(arrays), share_inputs=False)
            return [np.array(found[output]) for output in outputs]

        return run

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [item.name for item in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))
