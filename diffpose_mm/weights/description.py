"""What a person wants to know of weights before using them, as lines of text."""

from .architecture import VITPOSE_SIZES, Architecture
from .weights_reading import Weights

SHOWN = 6
# What a file says of itself that a reader wants first.
FIRST = ('config', 'config_sha256', 'keypoints', 'commit', 'weights_sha256', 'epoch')
LEFT_OUT = ('licence', 'mmengine_version', 'format', 'seed', 'iter')


def describe(weights: Weights) -> list[str]:
    """Lines that say what weights are; what is not known is said to be not known."""
    count = sum(value.numel() for value in weights.state_dict.values())
    where = (
        f'{weights.origin}'
        if weights.origin == str(weights.path)
        else (f'{weights.origin} ({weights.path})')
    )
    lines = [
        f'{where}: {weights.form}',
        f'  as read: {len(weights.state_dict)} tensors, {count / 1e6:.1f} million numbers',
        f'  naming: {_naming(weights)}',
    ]
    if weights.architecture is None:
        what = weights.family or 'not known; no vision transformer of a known naming'
        lines.append(f'  architecture: {what}')
    else:
        lines += _architecture(weights.architecture)
    if weights.experts:
        folded = weights.expert or 'not known'
        lines.append(f'  experts: {", ".join(weights.experts)}; folded in: {folded}')
    lines.append(f'  licence: {weights.licence or "nothing beside the weights says"}')
    said = {key: value for key, value in weights.meta.items() if key not in LEFT_OUT}
    said = {key: said[key] for key in FIRST if key in said} | said
    short = [f'{key} {value}' for key, value in said.items() if len(str(value)) <= 64]
    if short:
        lines.append(f'  it says of itself: {"; ".join(short[:SHOWN])}')
    lines += [f'  {note}' for note in weights.notes]
    if weights.unused:
        some = ', '.join(weights.unused[:SHOWN]) + (', ...' if len(weights.unused) > SHOWN else '')
        lines.append(f'  not used: {len(weights.unused)} ({some})')
    return lines


def _naming(weights: Weights) -> str:
    text = {
        'hugging face': 'Hugging Face (VitPoseForPoseEstimation)',
        'vitae': "ViTAE's original",
        'mmpose': 'mmpose 1.x' if weights.prefix else 'mmpretrain, a backbone alone',
    }
    return text.get(weights.naming, 'not known')


def _architecture(architecture: Architecture) -> list[str]:
    heads = (
        f'{architecture.num_heads} heads (from {architecture.heads_from})'
        if architecture.num_heads
        else 'heads not known'
    )
    size = architecture.input_size
    pixels = f'{size[0]}x{size[1]} pixels' if size else 'not known'
    token = 'with a class token' if architecture.class_token else 'no class token'
    lines = [
        f'  architecture: {architecture.name}: {architecture.embed_dims} channels, '
        f'{architecture.depth} layers, {heads}, MLP of {architecture.feedforward}, {token}',
        f'  input: {pixels}, patches of {architecture.patch_size}',
    ]
    known = VITPOSE_SIZES.get(architecture.embed_dims)
    if known and architecture.num_heads not in (None, known[2]):
        lines.append(
            f'  ViTPose-{known[0]} has {known[2]} heads: this is another transformer of its size'
        )
    if architecture.head:
        lines.append(f'  head: {architecture.head}, {architecture.keypoints} keypoints')
    else:
        lines.append('  head: none of ViTPose')
    return lines
