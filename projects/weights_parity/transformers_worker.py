"""transformers' side of the study: random models saved as the hub has them, and folders run.

One process for the whole study, because transformers and mmpretrain can exclude each other, and
because transformers takes long to import. Orders are lines of JSON: a function's name, then its
arguments.
"""

import json
import runpy
import sys
from pathlib import Path

import torch

# The script that the tool `weights` runs; it imports nothing of the package.
SIDE = Path(__file__).parents[2] / 'diffpose_mm' / 'weights' / 'transformers_side.py'
run = runpy.run_path(str(SIDE))['main']
SIZES = {'S': (384, 12, 12), 'B': (768, 12, 12), 'L': (1024, 24, 16), 'H': (1280, 32, 16)}
# part_features of the hub's ViTPose++.
PARTS = {'S': 96, 'B': 192, 'L': 256, 'H': 320}


def make(folder, size, head, experts, half):
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    torch.manual_seed(0)
    dims, depth, heads = SIZES[size]
    backbone = VitPoseBackboneConfig(
        image_size=[256, 192],
        hidden_size=dims,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        num_experts=experts,
        part_features=PARTS[size],
        out_indices=[depth],
    )
    config = VitPoseConfig(
        backbone_config=backbone, use_simple_decoder=head == 'simple', num_labels=17
    )
    model = VitPoseForPoseEstimation(config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() == 1:
                value.normal_(0, 0.1).add_(1.0 if 'norm' in name and 'weight' in name else 0.0)
            elif 'position' in name:
                value.normal_(0, 0.5)
            elif 'mlp' in name or 'attention' in name:
                value.mul_(2)
            elif 'head.' in name:
                value.normal_(0, value[0].numel() ** -0.5)
        for name, value in model.named_buffers():
            if 'running_mean' in name:
                value.normal_(0, 0.1)
            elif 'running_var' in name:
                value.uniform_(0.5, 1.5)
    (model.half() if half else model).save_pretrained(folder)


if __name__ == '__main__':
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        {'make': make, 'run': run}[name](*arguments)
        print('done', flush=True)
