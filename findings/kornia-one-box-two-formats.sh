#!/usr/bin/env bash
# kornia 0.9.0: one box, given to AugmentationSequential as bbox_xyxy and as bbox_xywh.
#
# One would guess: the two keys are two spellings of a box, and what comes back is one box in two spellings.
# What happens: of xyxy both corners are moved as points; of xywh the far corner is one pixel less. So a flip puts the
# two a pixel apart, and in half a picture a box of 20 pixels is 9.94 wide in the one and 10.44 in the other, though
# kornia's Boxes calls the extent of both exclusive. The middle of the xyxy box stays on the person, as do keypoints;
# that of the xywh box, which is what COCO has, does not. Guessed before the run, told of a flip that is one off:
# that it is the xyxy box. Missed: it is the other, and that sizes part as well.
# Versions: kornia 0.9.0, torch 2.13.0, Python 3.11. Who meets it: who feeds COCO boxes (xywh) and detections (xyxy)
# through one pipeline, or crops people by boxes and compares the joints.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check kornia==0.9.0 torch==2.13.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY'
import kornia
import kornia.augmentation as augmentation
import torch

X, Y, WIDTH, HEIGHT = 72, 50, 20, 16  # a spot in the middle of a box
rows, columns = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing='ij')
spot = torch.exp(-((columns - X) ** 2 + (rows - Y) ** 2) / 18)[None, None]
xyxy = torch.tensor([[[X - 10.0, Y - 8.0, X + 10.0, Y + 8.0]]])
xywh = torch.tensor([[[X - 10.0, Y - 8.0, WIDTH, HEIGHT]]])
keypoint = torch.tensor([[[float(X), float(Y)]]])

seen = {}
for name, step in (
    ('flip', augmentation.RandomHorizontalFlip(p=1.0)),
    ('turn by 180 degrees', augmentation.RandomRotation((180.0, 180.0), p=1.0)),
    ('half the size', augmentation.Resize((60, 80))),
):
    pipeline = augmentation.AugmentationSequential(step, data_keys=['input', 'keypoints', 'bbox_xyxy', 'bbox_xywh'])
    picture, point, edges, sizes = pipeline(spot, keypoint, xyxy, xywh)
    weights = picture[0, 0].clamp(min=0)
    true = ((weights.sum(0) * torch.arange(weights.shape[1])).sum() / weights.sum()).item()
    point, edges, sizes = point[0, 0].tolist(), edges[0, 0].tolist(), sizes[0, 0].tolist()
    row = [point[0] - true, (edges[0] + edges[2]) / 2 - true, sizes[0] + sizes[2] / 2 - true, edges[2] - edges[0], sizes[2]]
    seen[name] = [round(value, 2) + 0.0 for value in row]
    print(f'kornia {kornia.__version__}, {name}: the spot is at x = {true:.2f}; off it by: keypoint {row[0]:+.2f}, '
          f'middle of xyxy {row[1]:+.2f}, of xywh {row[2]:+.2f}; widths {row[3]:.2f} and {row[4]:.2f}')
for name, middle, widths in (('flip', 1, (20, 20)), ('turn by 180 degrees', 1, (20, 20)), ('half the size', 0.25, (9.94, 10.44))):
    wanted = torch.tensor([0.0, 0.0, middle, *widths])
    assert torch.allclose(torch.tensor(seen[name]), wanted, atol=0.02), f'CHANGED: {name}'
PY
