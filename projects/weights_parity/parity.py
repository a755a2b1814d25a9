"""Real sizes of ViTPose in every naming: what we compute of random weights, and transformers does.

``python projects/weights_parity/parity.py`` prints the table of docs/weights.md, where transformers
is installed. Of H the classic head alone is run, which keeps the files below 3 GB.
"""

import argparse
import gc
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from diffpose_mm.models.vitpose import run_vitpose
from diffpose_mm.tools.weights import picture, run_transformers
from diffpose_mm.weights import EXPERTS, read_safetensors, read_weights, write_hugging_face

HERE = Path(__file__).parent
TO_VITAE = (
    (r'^backbone\.encoder\.layer\.', 'backbone.blocks.'),
    (r'embeddings\.position_embeddings', 'pos_embed'),
    (r'embeddings\.patch_embeddings\.projection', 'patch_embed.proj'),
    (r'layernorm_before', 'norm1'),
    (r'layernorm_after', 'norm2'),
    (r'attention\.output\.dense', 'attn.proj'),
    (r'attention\.attention\.query', 'attn.qkv'),
    (r'^backbone\.layernorm', 'backbone.last_norm'),
    (r'^head\.deconv1', 'keypoint_head.deconv_layers.0'),
    (r'^head\.batchnorm1', 'keypoint_head.deconv_layers.1'),
    (r'^head\.deconv2', 'keypoint_head.deconv_layers.3'),
    (r'^head\.batchnorm2', 'keypoint_head.deconv_layers.4'),
    (r'^head\.conv', 'keypoint_head.final_layer'),
)


def vitae_names(state):
    """The weights of a Hugging Face model by ViTAE's names, query, key and value stacked."""
    renamed = {}
    for name, value in state.items():
        if '.attention.key.' in name or '.attention.value.' in name:
            continue
        if '.attention.query.' in name:
            parts = [name.replace('.query.', f'.{part}.') for part in ('query', 'key', 'value')]
            value = torch.cat([state[part] for part in parts])
        for old, new in TO_VITAE:
            name = re.sub(old, new, name)
        renamed[name] = value
    return renamed


def difference(ours, theirs):
    """'largest difference (largest value)' of features and of heatmaps, where both are."""
    texts = []
    for one, name in zip(ours, ('features', 'heatmaps')):
        if one is None:
            texts.append('no head')
            continue
        other = torch.from_numpy(theirs[name])
        texts.append(f'{(one - other).abs().max():.1e} (of {other.abs().max():.1f})')
    return texts


def ours_of(source, expert=None):
    weights = read_weights(source, expert)
    return run_vitpose(weights.state_dict, weights.architecture, picture(192, 256))


def row(cells):
    print('| ' + ' | '.join(cells) + ' |', flush=True)


def measure(size, head, experts, work, half):
    """Print the rows of one model: the hub's form, ViTAE's, and there and back."""
    name = f'{size} {"++" if experts > 1 else head}'
    folder = work / 'hub'
    script = [sys.executable, HERE / 'random_model.py', folder, size, head, str(experts)]
    subprocess.run([*script, 'half' if half else 'whole'], check=True, stderr=subprocess.DEVNULL)
    pixels = picture(192, 256)
    chosen = sorted({0, experts - 1})  # the tests compare all six of a small model
    theirs = {i: run_transformers(folder, pixels, i) for i in chosen}
    for i in chosen:
        which = f', {EXPERTS[i]}' if experts > 1 else ''
        row([f'hub, safetensors{which}', name, *difference(ours_of(folder, EXPERTS[i]), theirs[i])])
    state = read_safetensors(folder / 'model.safetensors')[0]
    torch.save({'state_dict': vitae_names(state)}, work / 'vitae.pth')
    del state
    row(["ViTAE's .pth", name, *difference(ours_of(work / 'vitae.pth'), theirs[0])])
    (work / 'vitae.pth').unlink()
    if not half:
        write_hugging_face(read_weights(folder), work / 'back')
        back = run_transformers(work / 'back', pixels)
        pair = [torch.from_numpy(theirs[0][key]) for key in ('features', 'heatmaps')]
        row(["to mmpose's and back, transformers' both", name, *difference(pair, back)])
    gc.collect()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', default='SBLH', help='which of S, B, L, H')
    parser.add_argument(
        '--half', default='H', help='sizes whose files are float16, to need half the disk'
    )
    args = parser.parse_args()
    start = time.time()
    row(['source', 'model', 'features: largest difference', 'heatmaps'])
    row(['---'] * 4)
    for head, experts in (('classic', 1), ('simple', 1), ('classic', 6)):
        for size in args.sizes:
            if size == 'H' and (head, experts) != ('classic', 1):
                continue
            with tempfile.TemporaryDirectory() as work:
                measure(size, head, experts, Path(work), size in args.half)
    print(f'{time.time() - start:.0f} s', file=sys.stderr)


if __name__ == '__main__':
    main()
