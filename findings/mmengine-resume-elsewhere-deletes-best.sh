#!/usr/bin/env bash
# mmengine 0.10.7: a training is resumed from another folder's checkpoint into a folder of its own.
#
# One would guess: the first folder is only read; what the second run writes and removes is in its
# own work_dir.
# What happens: the path of the best checkpoint so far comes along in the message hub, and at the
# first better validation CheckpointHook removes "the previous best", which is the first run's file.
# Missed by the guess: all of it; found when files that had been written down went missing.
# Versions: mmengine 0.10.7, torch 2.13.0 (its unpickling of log histories needs weights_only off
# here), Python 3.11. Who meets it: whoever branches off a run with save_best set and keeps the first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check mmengine==0.10.7 torch==2.13.0 opencv-python-headless==4.13.0.92
cd "$work"
cat > train.py << 'PY'
import sys

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner

work_dir, epochs, accuracy, resume = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs, mode='tensor'):
        output = self.layer(torch.as_tensor(inputs, dtype=torch.float32).reshape(-1, 1))
        return dict(loss=output.square().mean()) if mode == 'loss' else [output]


class Accuracy(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(accuracy)

    def compute_metrics(self, results):
        return dict(acc=results[0])


data = dict(dataset=[dict(inputs=1.0)], sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=1, num_workers=0)
Runner(
    model=Model(), work_dir=work_dir, train_dataloader=data, val_dataloader=data,
    train_cfg=dict(by_epoch=True, max_epochs=epochs), val_cfg=dict(), val_evaluator=Evaluator([Accuracy()]),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), log_level='ERROR',
    default_hooks=dict(checkpoint=dict(type='CheckpointHook', save_best='acc', rule='greater')),
    load_from=resume[0] if resume else None, resume=bool(resume),
).train()
PY
export TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1
python() { "$work/venv/bin/python" -W ignore "$@" > "$work/log" 2>&1 || { tail -n 5 "$work/log"; exit 1; }; }
python train.py first 1 0.5
echo "mmengine 0.10.7; the first run's folder: $(cd first && ls *.pth | tr '\n' ' ')"
before=$(ls first/*.pth)
python train.py second 2 0.9 first/epoch_1.pth
echo "after a second run resumed from first/epoch_1.pth into a folder of its own: $(cd first && ls *.pth | tr '\n' ' ')"
grep -q best_acc_epoch_1.pth <<< "$before" || { echo 'CHANGED: no best checkpoint'; exit 1; }
[ ! -e first/best_acc_epoch_1.pth ] || { echo 'CHANGED: the best checkpoint of the first run is still there'; exit 1; }
