"""What a runtime has to know of a model beside its networks, and which models can be exported."""

from typing import Any

from mmengine.config import ConfigDict

from diffpose_mm_runtime.poser import CHANGED
from diffpose_mm_runtime.streams import CROP_TOLERANCE

from ..codecs import DiffusionHeatmap
from ..models import DiffPoseHead

STEPS = ('LoadClip', 'GetBBoxCenterScale', 'TopdownAffine', 'PackClipInputs')


def export_settings(model: Any, cfg: ConfigDict, frame_offsets: tuple[int, ...]) -> dict[str, Any]:
    """The fields of the manifest that come from model and config, as JSON has them.

    Args:
        model: The estimator, with its ``dataset_meta``.
        cfg: Its config.
        frame_offsets: Of the clips it is tested with, oldest first.

    Raises:
        ValueError: Something in the model is done by no runtime; the message names it.
    """
    head, preprocessor = model.head, model.data_preprocessor
    if not isinstance(head, DiffPoseHead) or not isinstance(head.decoder, DiffusionHeatmap):
        codec = type(getattr(head, 'decoder', None)).__name__
        raise ValueError(
            'export is of models with a DiffPoseHead and the codec DiffusionHeatmap, but these are '
            f'{type(head).__name__} and {codec}'
        )
    test_cfg = head.check_test_cfg(model.test_cfg)
    if test_cfg['sampler'] != 'ddim' or test_cfg['eta']:
        raise ValueError(
            "the exported model samples by deterministic DDIM: set model.test_cfg.sampler='ddim' "
            f'and eta=0, not {test_cfg["sampler"]!r} and {test_cfg["eta"]}'
        )
    if preprocessor.pad_size_divisor != 1:
        raise ValueError(
            f'model.data_preprocessor.pad_size_divisor={preprocessor.pad_size_divisor}: the '
            'exported model does not pad, set it to 1'
        )
    steps = {step['type']: step for step in cfg.test_dataloader.dataset.pipeline}
    foreign = [name for name in steps if name not in STEPS]
    if foreign:
        raise ValueError(f'the test pipeline has {foreign[0]}, which the exported model cannot do')
    codec = head.decoder
    meta = model.dataset_meta
    names = meta['keypoint_id2name']
    return dict(
        keypoints=[names[i] for i in range(head.out_channels)],
        skeleton=[[int(i) for i in pair] for pair in meta['skeleton_links']],
        sigmas=[float(v) for v in meta['sigmas']],
        flip_indices=[int(i) for i in meta['flip_indices']],
        frame_offsets=list(frame_offsets),
        padding=float(steps['GetBBoxCenterScale'].get('padding', 1.25)),
        use_udp=bool(steps['TopdownAffine'].get('use_udp', False)),
        mean=preprocessor.mean.flatten().tolist() if preprocessor._enable_normalize else [0.0] * 3,
        std=preprocessor.std.flatten().tolist() if preprocessor._enable_normalize else [1.0] * 3,
        bgr_to_rgb=bool(preprocessor._channel_conversion),
        codec=dict(
            input_size=list(codec.input_size),
            heatmap_size=list(codec.heatmap_size),
            sigma=codec.sigma,
            signal_scale=codec.signal_scale,
            blur_kernel_size=codec.blur_kernel_size,
            decoding=codec.decoding,
        ),
        alphas_cumprod=head.schedule.alphas_cumprod.tolist(),
        test_cfg=dict(
            {name: test_cfg[name] for name in CHANGED},
            crop_tolerance=float(model.test_cfg.get('crop_tolerance', CROP_TOLERANCE)),
        ),
    )
