"""Detectors of transformers cut down until they run in milliseconds, with random weights.

The classes are those of the real ones; only widths, depths and input sizes are small.
"""

import torch

NAMES = {0: 'cat', 1: 'Person', 2: 'dog'}
SIZE = (64, 96)
"""Height and width, or least and greatest side, of what the networks see."""


# (seed, spread) of the random weights: with these each finds several people, not in one place.
RANDOM = dict(
    rt_detr=(3, 2), rt_detr_v2=(3, 2), d_fine=(4, 2), rf_detr=(1, 1.2), detr=(2, 2),
    conditional_detr=(1, 2), deformable_detr=(0, 2), yolos=(1, 1.2),
)  # fmt: skip


def tiny(kind, **changes):
    """(model, image processor) of a ``model_type``; weights such that boxes and scores differ."""
    seed, spread = RANDOM[kind]
    torch.manual_seed(seed)
    model, processor = MAKERS[kind]({'id2label': NAMES, **changes})
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        classifies = 'class' in name or 'score' in name
        if parameter.dim() > 1:
            std = (4 if classifies else spread) / parameter[0].numel() ** 0.5
            parameter.data.normal_(std=std, generator=generator)
        elif classifies:
            parameter.data.zero_()
        else:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval(), processor


def save_tiny(folder, kind, **changes):
    """The same as files, as the hub has them."""
    model, processor = tiny(kind, **changes)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def _backbone(**more):
    from transformers import ResNetConfig

    return ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, layer_type='basic', **more
    )


def _rt_detr(kind, config):
    import transformers

    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, layer_type='basic',
        out_features=['stage2', 'stage3', 'stage4'],
    )  # fmt: skip
    if kind == 'DFine':
        backbone = transformers.HGNetV2Config(
            stem_channels=[3, 8, 8], stage_in_channels=[8, 16, 16, 24],
            stage_mid_channels=[8] * 4, stage_out_channels=[16, 16, 24, 32],
            stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4, hidden_sizes=[16, 16, 24, 32],
            depths=[1] * 4, embedding_size=8, out_features=['stage2', 'stage3', 'stage4'],
        )  # fmt: skip
    config = getattr(transformers, f'{kind}Config')(
        backbone_config=backbone, d_model=32, encoder_hidden_dim=32,
        encoder_in_channels=[16, 24, 32], decoder_in_channels=[32] * 3, encoder_ffn_dim=32,
        decoder_ffn_dim=32, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        num_queries=20, num_denoising=0, hidden_expansion=0.5, **config,
    )  # fmt: skip
    size = dict(height=SIZE[0], width=SIZE[1])
    return (
        getattr(transformers, f'{kind}ForObjectDetection')(config),
        transformers.RTDetrImageProcessor(size=size),
    )


def _detr(kind, config, **more):
    import transformers

    stages = ['stage2', 'stage3', 'stage4'] if kind == 'DeformableDetr' else ['stage4']
    config = getattr(transformers, f'{kind}Config')(
        backbone_config=_backbone(out_features=stages), use_timm_backbone=False,
        use_pretrained_backbone=False, backbone=None, d_model=32, encoder_layers=1,
        decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_attention_heads=2,
        decoder_attention_heads=2, num_queries=20, **config,
    )  # fmt: skip
    size = dict(shortest_edge=SIZE[0], longest_edge=SIZE[1])
    return (
        getattr(transformers, f'{kind}ForObjectDetection')(config),
        getattr(transformers, f'{kind}ImageProcessor')(size=size),
    )


def _yolos(config):
    import transformers

    config = transformers.YolosConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=list(SIZE), num_detection_tokens=20, **config,
    )  # fmt: skip
    size = dict(shortest_edge=SIZE[0], longest_edge=SIZE[1])
    return (
        transformers.YolosForObjectDetection(config),
        transformers.YolosImageProcessor(size=size),
    )


def _rf_detr(config):
    import transformers
    from transformers.models.rf_detr.configuration_rf_detr import RfDetrDinov2Config

    backbone = RfDetrDinov2Config(
        hidden_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14,
        num_windows=2, out_features=['stage2', 'stage4'], window_block_indexes=[0, 2],
    )  # fmt: skip
    config = transformers.RfDetrConfig(
        backbone_config=backbone, d_model=32, decoder_ffn_dim=32, decoder_layers=2,
        decoder_cross_attention_heads=2, decoder_self_attention_heads=2, num_queries=10,
        group_detr=1, c2f_num_blocks=1, decoder_n_points=2, **config,
    )  # fmt: skip
    size = dict(height=56, width=56)
    return (
        transformers.RfDetrForObjectDetection(config),
        transformers.RfDetrImageProcessor(size=size),
    )


MAKERS = {
    'rt_detr': lambda config: _rt_detr('RTDetr', config),
    'rt_detr_v2': lambda config: _rt_detr('RTDetrV2', config),
    'd_fine': lambda config: _rt_detr('DFine', config),
    'rf_detr': _rf_detr,
    'detr': lambda config: _detr('Detr', config),
    'conditional_detr': lambda config: _detr('ConditionalDetr', config),
    'deformable_detr': lambda config: _detr('DeformableDetr', config),
    'yolos': _yolos,
}
