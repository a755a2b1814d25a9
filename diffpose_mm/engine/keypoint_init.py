"""A head that starts from weights for another set of keypoints."""

from __future__ import annotations

from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from ..keypoint_sets import keypoint_set
from ..models.keypoint_rows import map_keypoint_rows
from .checkpoint import CheckpointError, read_checkpoint


@WEIGHT_INITIALIZERS.register_module()
class PretrainedKeypoints:
    """mmengine's ``Pretrained`` for a head of other keypoints than those of the checkpoint.

    ::

        head=dict(init_cfg=dict(
            type='PretrainedKeypoints', checkpoint=FILE, prefix='head.',
            source='coco17', target='posetrack17'))

    Rows of keypoints that both have are taken by name (fifteen of COCO-17 and PoseTrack-17; the
    ears, which PoseTrack never labels, among them); the others keep their initialisation.

    Args:
        checkpoint: File or address.
        source: Name of the checkpoint's set, in ``KEYPOINT_SETS``.
        target: Name of the head's.
        prefix: Of the head's names in the checkpoint. Defaults to ``'head.'``.
    """

    def __init__(self, checkpoint: str, source: str, target: str, prefix: str = 'head.') -> None:
        self.checkpoint, self.prefix = checkpoint, prefix
        self.source, self.target = keypoint_set(source), keypoint_set(target)

    def __call__(self, module: nn.Module) -> None:
        """Load into a head.

        Raises:
            CheckpointError: It cannot be read, or has nothing that fits.
        """
        weights = {
            name.removeprefix(self.prefix): tensor
            for name, tensor in read_checkpoint(self.checkpoint)['state_dict'].items()
            if name.startswith(self.prefix)
        }
        own = module.state_dict()
        try:
            weights, absent = map_keypoint_rows(
                weights, own, self.source.keypoints, self.target.keypoints
            )
        except ValueError as error:
            raise CheckpointError(f'checkpoint {self.checkpoint}: {error}') from error
        fitting = {
            name: tensor
            for name, tensor in weights.items()
            if name in own and tensor.shape == own[name].shape
        }
        if not any(name.endswith('final_layer.weight') for name in fitting):
            raise CheckpointError(
                f'checkpoint {self.checkpoint} has no weights under {self.prefix!r} that fit the '
                f"head's last layer; {len(fitting)} of {len(own)} fit"
            )
        module.load_state_dict(fitting, strict=False)
        print_log(
            f'{len(fitting)} of {len(own)} weights of the head are from {self.checkpoint} '
            f'({self.source.name} to {self.target.name}); initialised anew: {", ".join(absent)}',
            'current',
        )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'PretrainedKeypoints: from {self.checkpoint}')
