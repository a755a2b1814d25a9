#!/usr/bin/env bash
# transformers 5.24.0: ViTPose++ (VitPoseForPoseEstimation with experts) asked for an expert that it does not have.
#
# One would guess: dataset_index is an index: 6 of six experts is an error, -1 is an error or the last expert.
# What happens: both give heatmaps without a word. An expert is chosen by comparison with each number in turn, and
# where none is equal its part of every layer (a quarter of the channels in ViTPose-S++) is left at zero. The two, and
# any other number out of range, give the same heatmaps, and they are none of the six experts'.
# Missed by the guess: -1 is no expert at all, though Python and torch count from the end. To leave the index out is
# refused; that is the only check.
# Versions: transformers 5.24.0, torch 2.13.0, Python 3.11. Who meets it: who counts the data sets of ViTPose++ from 1,
# or marks "no data set" by -1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check transformers==5.24.0 torch==2.13.0 numpy==2.2.6
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - << 'PY' 2> log || { tail -n 5 log; exit 1; }
import torch
import transformers
from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

torch.manual_seed(0)
EXPERTS = 6
backbone = VitPoseBackboneConfig(
    image_size=[64, 48], patch_size=[16, 16], hidden_size=32, num_hidden_layers=4, num_attention_heads=4,
    num_experts=EXPERTS, part_features=8, out_indices=[4],
)
model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).eval()
pictures = torch.randn(2, 3, 64, 48)


@torch.no_grad()
def heatmaps(index):
    return model(pictures, dataset_index=torch.full((2,), index)).heatmaps


known = [heatmaps(index) for index in range(EXPERTS)]
outside = {index: heatmaps(index) for index in (-1, EXPERTS, 40)}
for index, answer in outside.items():
    nearest = min((answer - other).abs().max().item() for other in known)
    print(f'transformers {transformers.__version__}, dataset_index {index} of {EXPERTS} experts: heatmaps of {tuple(answer.shape)}, '
          f'largest difference to the nearest expert {nearest:.3f}, equal to those of 40: {torch.equal(answer, outside[40])}')
    assert nearest > 1e-3 and torch.equal(answer, outside[40]), 'CHANGED'
# The same as experts whose weights and biases are zero.
with torch.no_grad():
    for name, value in model.named_parameters():
        if '.experts.' in name:
            value.zero_()
zero = [heatmaps(index) for index in range(EXPERTS)]
print('with all experts set to zero, each of the six gives those heatmaps:', all(torch.allclose(z, outside[40], atol=1e-6) for z in zero))
assert all(torch.allclose(z, outside[40], atol=1e-6) for z in zero), 'CHANGED: not an expert of zeros'
try:
    model(pictures)
    answer = 'heatmaps'
except ValueError as error:
    answer = f'ValueError: {error}'
print('without dataset_index:', answer)
assert answer.startswith('ValueError'), 'CHANGED'
PY
