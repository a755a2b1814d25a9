"""Number formats in which a model computes, other than float32."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

PRECISIONS = {'float32': torch.float32, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


def set_precision(model: nn.Module, precision: str) -> None:
    """Let backbone and neck of an estimator compute in another format, in place.

    Their weights are rounded to it, what goes in is, and what comes out is float32 again. The head
    stays in float32: diffusion adds up what it rounds, and it is a tenth of the work.

    Args:
        model: A pose estimator, on its device.
        precision: One of :data:`PRECISIONS`.

    Raises:
        ValueError: There is no such format, or the device has none: float16 is for GPUs, bfloat16
            for those and for processors that have it (AVX-512 BF16 or AMX).
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision={precision!r} must be one of {", ".join(PRECISIONS)}')
    if precision == 'float32':
        return
    device = next(model.parameters()).device
    if device.type == 'cpu' and not (precision == 'bfloat16' and has_bfloat16()):
        there = 'float32 and bfloat16' if has_bfloat16() else 'float32'
        raise ValueError(
            f"precision={precision!r}: this processor has {there}; take precision='float32'"
        )
    dtype = PRECISIONS[precision]
    for part, methods in (('backbone', ['forward']), ('neck', ['embed', 'fuse'])):
        module = getattr(model, part, None)
        if module is None:
            continue
        module.to(dtype)
        if not hasattr(module, methods[0]):
            methods = ['forward']  # a neck of mmpose
        for method in methods:
            # An instance's attribute, which torch calls in place of the class's method.
            setattr(module, method, _cast(getattr(module, method), dtype))


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16, and does not only pretend to."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _cast(function: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    def run(*inputs: Any) -> Any:
        lowered = pytree.tree_map_only(Tensor, lambda value: value.to(dtype), inputs)
        return pytree.tree_map_only(Tensor, Tensor.float, function(*lowered))

    return run
