"""Mixed precision where mmengine has none: bfloat16 autocast on any device, the CPU included."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from mmpose.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Run the forward pass in bfloat16 and keep weights and optimiser in float32.

    bfloat16 has float32's range, so no loss is scaled and no GPU is needed. mmengine's
    ``AmpOptimWrapper``, made for float16, refuses to start without an accelerator.
    """

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Autocast the forward pass of ``model``."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
