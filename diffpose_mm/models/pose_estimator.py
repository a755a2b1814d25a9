"""Top-down estimator of clips: fold time into the batch for the backbone, unfold for the neck."""

from typing import Any

import torch
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import InstanceList, PixelDataList, SampleList
from torch import Tensor

from ..loading import prepare_pretrained

LENGTHS = ('keypoint_std',)
POINTS = ('hypotheses',)


@MODELS.register_module()
class TopdownClipEstimator(TopdownPoseEstimator):
    """mmpose's :class:`TopdownPoseEstimator` for clips of T frames of one person.

    Any mmpose or mmpretrain backbone serves: it sees (N*T, 3, h, w). The neck receives the
    last feature as (N, T, C, H, W) and returns (N, C, H, W), see :class:`ClipNeck`, so that head,
    codec, metric and visualizer are those of an ordinary top-down model. Without a neck T must
    be 1.

    Predictions beside the keypoints are mapped to image pixels as well: ``hypotheses``
    (1, N, K, 2) like keypoints and ``keypoint_std`` (1, K, 2) as lengths.

    Args:
        freeze_backbone (bool): The backbone is not trained: no gradients, and norms and drop path
            as in testing. Only then may features kept on disk take the place of frames. Defaults
            to False.
        *args, **kwargs: Those of :class:`TopdownPoseEstimator`.

    Raises:
        ValueError: The head cannot use the neck's ``feature_size`` or a field of ``test_cfg``; the
            inputs are not clips; there are T > 1 frames and no neck.
    """

    def __init__(self, *args: Any, freeze_backbone: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.freeze_backbone = freeze_backbone
        if freeze_backbone:
            self.backbone.requires_grad_(False)
        feature_size = getattr(getattr(self, 'neck', None), 'feature_size', None)
        if feature_size is not None and hasattr(self.head, 'check_feature_size'):
            self.head.check_feature_size(feature_size)
        if hasattr(self.head, 'check_test_cfg'):
            self.head.check_test_cfg(self.test_cfg)

    def train(self, mode: bool = True) -> 'TopdownClipEstimator':
        """Switch between training and testing; a frozen backbone stays in testing."""
        super().train(mode)
        if self.freeze_backbone:
            self.backbone.eval()
        return self

    def forward(
        self,
        inputs: Tensor | None = None,
        data_samples: SampleList | None = None,
        mode: str = 'tensor',
        features: Tensor | None = None,
    ) -> Any:
        """As mmpose's, and the loss also from features of the frozen backbone.

        Args:
            inputs (Tensor, optional): (N, T, 3, h, w).
            data_samples (list[PoseDataSample], optional): N.
            mode (str): 'loss', 'predict' or 'tensor'. Defaults to 'tensor'.
            features (Tensor, optional): (N, T, C, H, W), what :meth:`extract_frames` gives for the
                inputs, in their place. Defaults to None.

        Raises:
            ValueError: Features are given and the backbone is trained, or not for the loss.
        """
        if features is None:
            return super().forward(inputs, data_samples, mode)
        if mode != 'loss' or not self.freeze_backbone:
            raise ValueError(
                'kept features take the place of frames in training only, and only with '
                'model.freeze_backbone=True: validate and test on frames'
            )
        return self.head.loss(self.merge(features), data_samples, train_cfg=self.train_cfg)

    def init_weights(self) -> None:
        """Initialise the parts; weights that an ``init_cfg`` names have to fill its part wholly.

        Raises:
            CheckpointError: They do not; see :func:`diffpose_mm.loading.prepare_pretrained`.
        """
        prepare_pretrained(self)
        super().init_weights()

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor]:
        """Features of a batch of clips.

        Args:
            inputs (Tensor): (N, T, 3, h, w).

        Returns:
            tuple[Tensor]: One feature, (N, C, H, W).
        """
        return self.merge(self.extract_frames(inputs))

    def extract_frames(self, inputs: Tensor) -> Tensor:
        """The backbone's features of the frames of clips: (N, T, 3, h, w) -> (N, T, C, H, W)."""
        if inputs.dim() != 5:
            raise ValueError(
                f'TopdownClipEstimator expects clips (N, T, 3, h, w), got {tuple(inputs.shape)}: '
                'load frames with LoadClip and use ClipDataPreprocessor'
            )
        # Convolutions are faster in this layout, on CPU and with AMP; others do not care.
        images = inputs.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_backbone):
            feature = self.backbone(images)
        feature = feature[-1] if isinstance(feature, (tuple, list)) else feature
        return feature.unflatten(0, tuple(inputs.shape[:2]))

    def merge(self, feature: Tensor) -> tuple[Tensor]:
        """Merge the features of clips: (N, T, C, H, W) -> one of (N, C, H, W)."""
        if self.with_neck:
            return (self.neck(feature),)
        frames = feature.shape[1]
        if frames != 1:
            raise ValueError(
                f'The clip has {frames} frames and the model no neck to merge them: add '
                "neck=dict(type='SpatioTemporalNeck', ...) or set frame_offsets=(0,)"
            )
        return (feature[:, 0],)

    def add_pred_to_datasample(
        self,
        batch_pred_instances: InstanceList,
        batch_pred_fields: PixelDataList | None,
        batch_data_samples: SampleList,
    ) -> SampleList:
        """Map predictions to image pixels and put them into the data samples."""
        extent = getattr(self.head.decoder, 'input_extent', None)
        for instances, sample in zip(batch_pred_instances, batch_data_samples):
            meta = sample.metainfo
            if extent is not None:
                # The base class divides by input_size, but a UDP crop spans input_size - 1 pixels.
                instances.keypoints = instances.keypoints * (meta['input_size'] / extent)
            ratio = meta['input_scale'] / (meta['input_size'] if extent is None else extent)
            for field in LENGTHS:
                if field in instances:
                    instances.set_field(instances.get(field) * ratio, field)
            origin = meta['input_center'] - 0.5 * meta['input_scale']
            for field in POINTS:
                if field in instances:
                    instances.set_field(instances.get(field) * ratio + origin, field)
        results = super().add_pred_to_datasample(
            batch_pred_instances, batch_pred_fields, batch_data_samples
        )
        indices = self.test_cfg.get('output_keypoint_indices', None)
        if indices is not None:
            # The base class selects among fields named keypoint*, with joints second.
            for sample in results:
                instances = sample.pred_instances
                for field in ('hypotheses', 'hypothesis_scores'):
                    if field in instances:
                        instances.set_field(instances.get(field)[:, :, indices], field)
        return results
