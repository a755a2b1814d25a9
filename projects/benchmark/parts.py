"""The parts of a model that cost.py measures: functions to time, their parameters and FLOPs."""

import copy
from collections.abc import Callable, Sequence

import torch
from mmengine.config import Config
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from vitpose import vitpose_head as vitpose_head_config

import diffpose_mm  # noqa: F401  (registers the models)

FRAME, VITPOSE, BACKBONE = 'backbone, 1 frame', 'ViTPose, 1 frame', 'backbone, {} frames'
NECK, PREPARE, CALL = 'STRL', 'decoder: prepare', 'decoder: one call, N={}'
KEYPOINTS, WHOLE, ONE_PASS = 'heatmaps to keypoints, N={}', 'whole, S={} N={}', ' (in one pass)'


def build_models(cfg: Config) -> tuple[nn.Module, nn.Module]:
    """Build a config's estimator with random weights and ViTPose's head for its backbone."""
    model_cfg = copy.deepcopy(cfg.model)
    model_cfg.backbone.init_cfg = None
    model = MODELS.build(model_cfg)
    head = MODELS.build(vitpose_head_config(model.neck.in_channels, model.head.out_channels))
    return model.eval(), head.eval()


def count_flops(function: Callable[[], object]) -> int:
    """FLOPs of matrix products, convolutions and attention: two for each multiply-add."""
    # The fused attention of CPUs is unknown to the counter, the plain one is two products to it.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        function()
    return counter.get_total_flops()


def count_parameters(model: nn.Module, vitpose_head: nn.Module) -> dict[str, int]:
    """Parameters of the backbone, STRL, the decoder's two parts, the whole, and ViTPose."""

    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    prepare = sum(
        p.numel()
        for name, p in model.head.pose_decoder.named_parameters()
        if name.startswith('lift_') or '.map_feature.' in name
    )
    return dict(
        backbone=count(model.backbone),
        neck=count(model.neck),
        prepare=prepare,
        call=count(model.head.pose_decoder) - prepare,
        whole=count(model),
        vitpose=count(model.backbone) + count(vitpose_head),
    )


def make_parts(
    model: nn.Module,
    vitpose_head: nn.Module,
    input_size: Sequence[int],
    batch: int,
    settings: Sequence[tuple[int, int]],
    device: torch.device,
) -> dict[str, Callable[[], object]]:
    """The parts to measure, each a function without arguments.

    Args:
        model: The estimator.
        vitpose_head: ViTPose's head.
        input_size: (w, h) in input pixels.
        batch: Clips in a batch.
        settings: (S, N) to sample with; the first also runs from the images on, in one pass.
        device: Of the models.
    """
    frames = model.neck.num_frames
    decoder, codec = model.head.pose_decoder, model.head.decoder
    clips = torch.randn(batch, frames, 3, input_size[1], input_size[0], device=device)
    samples = [PoseDataSample(metainfo=dict(img_id=i, id=i)) for i in range(batch)]

    def backbone(images: Tensor) -> Tensor:
        # The layout that the estimator chooses, for ViTPose too.
        return model.backbone(images.contiguous(memory_format=torch.channels_last))[-1]

    def sample(feats: tuple[Tensor], steps: int, hypotheses: int) -> Tensor:
        cfg = dict(sampling_steps=steps, num_hypotheses=hypotheses)
        return model.head.sample(feats, samples, model.head.check_test_cfg(cfg))

    tokens = backbone(clips.flatten(0, 1)).unflatten(0, (batch, frames))
    feats = (model.neck(tokens),)
    prepared = decoder.prepare(feats[0])
    width, height = codec.heatmap_size

    parts = {
        BACKBONE.format(frames): lambda: backbone(clips.flatten(0, 1)),
        FRAME: lambda: backbone(clips[:, frames // 2]),
        VITPOSE: lambda: vitpose_head((backbone(clips[:, frames // 2]),)),
        NECK: lambda: model.neck(tokens),
        PREPARE: lambda: decoder.prepare(feats[0]),
    }
    for n in sorted({1, *(n for _, n in settings)}):
        x_t = torch.randn(batch * n, model.head.out_channels, height, width, device=device)
        t = torch.full((batch * n,), model.head.schedule.num_steps - 1, device=device)
        heatmaps = x_t.unflatten(0, (batch, n)).float()
        parts[CALL.format(n)] = lambda x_t=x_t, t=t: decoder.denoise(x_t, t, prepared)
        parts[KEYPOINTS.format(n)] = lambda heatmaps=heatmaps: [
            codec.decode_hypotheses(h) for h in heatmaps.cpu().numpy()
        ]
    first = settings[0]
    parts[WHOLE.format(*first) + ONE_PASS] = lambda: sample(model.extract_feat(clips), *first)
    for s, n in settings:
        parts[WHOLE.format(s, n)] = lambda s=s, n=n: sample(feats, s, n)
    return parts
