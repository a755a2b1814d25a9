"""Models that are no ViTPose, told by their names, so that a refusal can say what they are."""

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import WeightsError

VITPOSE_TYPES = ('vitpose', 'vitpose_backbone')
# Parts of names of language models, in Hugging Face's namings of them.
_LANGUAGE = (
    'embed_tokens.weight',
    'lm_head.weight',
    'wte.weight',
    'word_embeddings.weight',
    'shared.weight',
    'tok_embeddings.weight',
)
# All parts of a row are found in the names of its family. The first row that fits counts.
_FAMILIES = (
    ('a detector of torchvision', ('rpn.head.', 'roi_heads.')),
    ('a detector of torchvision', ('head.classification_head.', 'head.regression_head.')),
    ('HRNet', ('stage4.', 'fuse_layers', 'transition1')),
    ('Swin Transformer', ('relative_position_bias_table',)),
    ('ResNet', ('layer1.0.conv1.weight', 'layer4.0.conv1.weight')),
    ('ConvNeXt', ('dwconv', 'gamma')),
    ('RTMPose or another CSPNeXt', ('stage1.', 'main_conv', 'short_conv')),
    ('YOLO', ('model.0.conv.weight', 'model.1.conv.weight')),
    ('a transformer detector (DETR and its kin)', ('decoder.layers.', 'class_embed')),
    ("Hugging Face's ViT for classification", ('embeddings.cls_token', 'encoder.layer.0.')),
    ("timm's or MAE's ViT", ('blocks.0.attn.qkv.weight', 'patch_embed.proj.weight')),
)


TORCHVISION_DETECTOR = _FAMILIES[0][0]


def family_of(names: Iterable[str]) -> str | None:
    """What a model is, by the names of its weights; None if it is none that is known here."""
    names = list(names)
    if any(name.endswith(_LANGUAGE) for name in names):
        return 'a language model'
    for family, parts in _FAMILIES:
        if all(any(part in name for name in names) for part in parts):
            return family
    return None


def check_config(config: Mapping[str, Any], origin: str) -> None:
    """Raise if a ``config.json`` says that a model is no ViTPose.

    Args:
        config: {} if there is none.
        origin: What errors call the model.

    Raises:
        WeightsError: With the type that it says.
    """
    kind = config.get('model_type')
    if kind is not None and kind not in VITPOSE_TYPES:
        names = config.get('architectures') or [kind]
        raise WeightsError(
            f'{origin} is {names[0]} ({kind}), not ViTPose; ViTPose of the hub is under '
            'hf:usyd-community, as hf:usyd-community/vitpose-base'
        )
