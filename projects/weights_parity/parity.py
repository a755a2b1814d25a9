"""Real sizes of ViTPose in every naming: what we compute of random weights, and transformers does.

``python projects/weights_parity/parity.py`` prints the table of docs/weights.md, where transformers
is installed. Of H the classic head alone is run, which keeps the files below 3 GB.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from diffpose_mm.models.vitpose import run_vitpose
from diffpose_mm.tools.weights import picture
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


class Transformers:
    """The process of transformers' side."""

    def __init__(self, work):
        self.input, self.output = work / 'in.npy', work / 'out.npz'
        np.save(self.input, picture(192, 256).numpy())
        script = [sys.executable, '-W', 'ignore', HERE / 'transformers_worker.py']
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen(script, text=True, **pipes)

    def order(self, *words):
        print(json.dumps(words), file=self.process.stdin, flush=True)
        if self.process.stdout.readline().strip() != 'done':
            raise RuntimeError(f'transformers failed at {words}')

    def run(self, folder, expert=0):
        """Features and heatmaps of a folder; nothing of it may stay random."""
        self.order('run', str(folder), str(self.input), str(self.output), expert)
        with np.load(self.output) as arrays:
            report = json.loads(str(arrays['report']))
            assert not report['missing_keys'] + report['mismatched_keys'], report
            return {name: arrays[name] for name in ('features', 'heatmaps')}


def measure(theirs, size, head, experts, work, half):
    """Print the rows of one model: the hub's form, ViTAE's, and there and back."""
    name = f'{size} {"++" if experts > 1 else head}'
    folder = work / 'hub'
    theirs.order('make', str(folder), size, head, experts, half)
    first = theirs.run(folder)
    row(['hub, safetensors', name, *difference(ours_of(folder), first)])
    if experts > 1:
        last = EXPERTS[experts - 1]
        outputs = difference(ours_of(folder, last), theirs.run(folder, experts - 1))
        row([f'hub, expert {last}', name, *outputs])
    state = read_safetensors(folder / 'model.safetensors')[0]
    torch.save({'state_dict': vitae_names(state)}, work / 'vitae.pth')
    del state
    row(["ViTAE's .pth", name, *difference(ours_of(work / 'vitae.pth'), first)])
    (work / 'vitae.pth').unlink()
    if not half:
        write_hugging_face(read_weights(folder), work / 'back')
        pair = [torch.from_numpy(first[key]) for key in ('features', 'heatmaps')]
        row(
            [
                "to mmpose's and back, by transformers",
                name,
                *difference(pair, theirs.run(work / 'back')),
            ]
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', default='SBLH', help='which of S, B, L, H')
    parser.add_argument(
        '--half', default='LH', help='sizes whose files are float16, to need half the disk'
    )
    args = parser.parse_args()
    start = time.time()
    row(['source', 'model', 'features: largest difference', 'heatmaps'])
    row(['---'] * 4)
    common = tempfile.TemporaryDirectory()
    theirs = Transformers(Path(common.name))
    for head, experts in (('classic', 1), ('simple', 1), ('classic', 6)):
        for size in args.sizes:
            if size == 'H' and (head, experts) != ('classic', 1):
                continue
            with tempfile.TemporaryDirectory() as work:
                measure(theirs, size, head, experts, Path(work), size in args.half)
    theirs.process.stdin.close()
    common.cleanup()
    print(f'{time.time() - start:.0f} s', file=sys.stderr)


if __name__ == '__main__':
    main()
