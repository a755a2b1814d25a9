"""Optimisation where mmengine and mmpose fall short: bfloat16 on any device, and weight decay."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.runner.amp import autocast
from mmpose.engine.optim_wrappers import LayerDecayOptimWrapperConstructor
from mmpose.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

# pos_embed, position_embedding, positional_encoding, relative_position_bias_table, ...
POSITION = re.compile(r'pos(ition(al)?)?_?(embed|encod|bias)')


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


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, whose optimiser gets no parameters that are not trained.

    Args and ``paramwise_cfg`` are those of mmengine's, which hands over frozen ones as well.
    """

    def __call__(self, model: torch.nn.Module) -> OptimWrapper:
        """Build the optimiser of a model."""
        wrapper = super().__call__(model)
        for group in wrapper.param_groups:
            group['params'] = [param for param in group['params'] if param.requires_grad]
        wrapper.param_groups[:] = [group for group in wrapper.param_groups if group['params']]
        return wrapper


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ClipLayerDecayOptimWrapperConstructor(LayerDecayOptimWrapperConstructor):
    """mmpose's layer-wise learning rates, without weight decay of any position embedding.

    mmpose's constructor decays neither biases nor norms, but knows a position embedding by the name
    ``pos_embed`` alone: that of the neck (``position_embedding``) was pulled to zero.

    Args and ``paramwise_cfg`` (``num_layers``, ``layer_decay_rate``) are those of mmpose's.
    """

    def add_params(
        self,
        params: list[dict],
        module: torch.nn.Module,
        prefix: str = '',
        lr: float | None = None,
    ) -> None:
        """Put the parameters of a model into groups of one learning rate and weight decay."""
        groups: list[dict] = []
        super().add_params(groups, module, prefix, lr)
        by_name = {group['group_name']: group for group in groups}
        for name, group in list(by_name.items()):
            if not group['weight_decay']:
                continue
            free = f'{name.removesuffix("_decay")}_no_decay'
            empty = dict(params=[], param_names=[], group_name=free, weight_decay=0.0)
            without_decay = by_name.setdefault(free, {**group, **empty})
            pairs = list(zip(group['param_names'], group['params']))
            group.update(params=[], param_names=[])
            for param_name, param in pairs:
                target = without_decay if POSITION.search(param_name) else group
                target['param_names'].append(param_name)
                target['params'].append(param)
        params.extend(group for group in by_name.values() if group['params'])
