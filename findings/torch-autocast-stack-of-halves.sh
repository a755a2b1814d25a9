#!/usr/bin/env bash
# torch 2.14.1: under torch.autocast('cpu', bfloat16), stacking two float16 tensors raises.
#
# One would guess: stack and cat move memory and compute nothing, so autocast has no say in them; features that were kept
# in float16 can be batched under it as without it. At most they would come out in bfloat16, as those of a linear layer do.
# What happens: stack and cat are on autocast's list of operations that take the widest type of their tensors, and on the CPU float16 is
# none of the types it knows there: "Unexpected floating ScalarType in at::autocast::prioritize". a + b of the same tensors stays
# float16, linear takes them and gives bfloat16, float32 ones can be stacked. Guessed before the run: bfloat16 comes out.
# Missed: an error, and only of the operations that compute nothing.
# Versions: torch 2.14.1, numpy 2.2.6, Python 3.11. Who meets it: who trains a pose head on kept features or heatmaps (float16 on disk)
# with AMP on a CPU, and collates clips inside the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check torch==2.14.1 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY'
import torch

feature = torch.ones(3, 4, 4, dtype=torch.float16)
weight = torch.ones(2, 4)
tries = {
    'stack of float16': lambda: torch.stack([feature, feature]),
    'cat of float16': lambda: torch.cat([feature, feature]),
    'sum of float16': lambda: feature + feature,
    'linear of float16': lambda: torch.nn.functional.linear(feature, weight),
    'stack of float32': lambda: torch.stack([feature.float(), feature.float()]),
}
seen = {}
for name, function in tries.items():
    with torch.autocast('cpu', torch.bfloat16):
        try:
            seen[name] = str(function().dtype)
        except RuntimeError as error:
            seen[name] = f'RuntimeError: {error}'
    print(f'torch {torch.__version__}, under autocast, {name}: {seen[name]}')
for name in ('stack of float16', 'cat of float16'):
    assert 'Unexpected floating ScalarType' in seen[name], f'CHANGED: {name}'
assert seen['sum of float16'] == 'torch.float16' and seen['linear of float16'] == 'torch.bfloat16', 'CHANGED'
assert torch.stack([feature, feature]).dtype == torch.float16, 'CHANGED: without autocast'
PY
