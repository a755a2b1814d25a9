"""The backbone of an export in int8, by onnxruntime's tools; what follows it is never rounded so.

Without calibration only matrix products are: their weights once, what they are multiplied with anew
in every pass. With calibration, convolutions too, whose inputs have ranges that were seen on real
crops. The decoder's heatmaps would move by pixels, the backbone's features move joints by little.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import nn

PRODUCTS = ('MatMul', 'Gemm')
QUANTISED = (*PRODUCTS, 'Conv')


def made_of_convolutions(backbone: nn.Module) -> bool:
    """Whether most weights of a backbone are those of convolutions, not of matrix products."""
    count = {
        kind: sum(m.weight.numel() for m in backbone.modules() if isinstance(m, kind))
        for kind in (nn.Linear, nn.modules.conv._ConvNd)
    }
    return count[nn.modules.conv._ConvNd] > count[nn.Linear]


def check_calibration(kind: str, calibrated: bool, convolutions: bool) -> None:
    """Raise where int8 is not to be had without calibration.

    Args:
        kind: 'onnx' or 'openvino'.
        calibrated: Whether there are clips.
        convolutions: Whether the backbone is made of convolutions, and not of matrix products.

    Raises:
        ValueError: It says what to give.
    """
    if calibrated or (kind == 'onnx' and not convolutions):
        return
    reason = (
        'a backbone of convolutions needs ranges'
        if convolutions
        else f'--format {kind} needs ranges'
    )
    raise ValueError(
        f'--precision int8: {reason} that were seen on real people, so give --calibration VIDEO '
        'and --boxes FILE'
    )


def quantise(path: Path, crops: np.ndarray | None = None) -> None:
    """Make the products of an ONNX file int8, in place.

    Args:
        path: Of a network with one input (B, 3, h, w).
        crops: (M, 3, h, w) float32, normalised, to learn ranges from. None: ranges are taken anew
            in every pass, of matrix products alone.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_dynamic,
        quantize_static,
        shape_inference,
    )

    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        ready, done = Path(temporary) / 'ready.onnx', Path(temporary) / 'done.onnx'
        shape_inference.quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        if crops is None:
            quantize_dynamic(
                str(ready),
                str(done),
                op_types_to_quantize=list(PRODUCTS),
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                extra_options=dict(MatMulConstBOnly=True),
            )
        else:
            quantize_static(
                str(ready),
                str(done),
                _Crops(path, crops),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options=dict(MatMulConstBOnly=True),
            )
        done.replace(path)


class _Crops:
    """Crops one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, path: Path, crops: np.ndarray) -> None:
        import onnx

        self.name = onnx.load(str(path), load_external_data=False).graph.input[0].name
        self.rest = self._each(crops)

    def _each(self, crops: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        for crop in crops:
            yield {self.name: crop[None]}

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next, or None at the end."""
        return next(self.rest, None)
