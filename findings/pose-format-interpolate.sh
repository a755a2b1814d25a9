#!/usr/bin/env bash
# pose-format 0.15.0: `interpolate(new_fps)` of a pose in which a joint is missing for a while.
#
# One would guess: frame k of the result is the pose at k / new_fps seconds; where the joint was missing (confidence
# 0, masked) it is missing still; confidences stay within 0 and 1.
# What happens: the ends of the two clips are laid on each other, so 25 to 50 frames a second makes the motion
# slower (of 10 frames, twice as many, the last sample is the last frame, half a frame late). A gap in the middle is
# filled with points as confident as their neighbours, while gaps at the ends stay gaps. The confidence is
# interpolated by the same cubic curve, and comes out above 1 beside a frame of low confidence.
# Guessed before the run: as above; right was the number of frames alone. Missed: how much of "not seen" is lost.
# Versions: pose-format 0.15.0, numpy 2.2.6, scipy 1.17.1, Python 3.11. Who meets it: who brings clips of pose
# (.pose files, sign language) to one frame rate before training, and weights joints by their confidence.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check pose-format==0.15.0 numpy==2.2.6 scipy==1.17.1
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY'
import importlib.metadata as metadata

import numpy as np
from pose_format.numpy import NumPyPoseBody

FRAMES = 10
x = np.arange(FRAMES, dtype=np.float32)  # a joint that moves one pixel a frame
data = np.zeros((FRAMES, 1, 3, 2), np.float32)  # frames, people, joints, xy
data[..., 0] = x[:, None, None]
confidence = np.ones((FRAMES, 1, 3), np.float32)
confidence[4:7, 0, 1] = 0  # the second joint is not seen in frames 4 to 6
confidence[5, 0, 2] = 0.02  # the third is doubtful in frame 5
result = NumPyPoseBody(25, data, confidence).interpolate(50)

time = np.arange(len(result.data)) / 50
late = np.asarray(result.data[:, 0, 0, 0]) - np.minimum(25 * time, FRAMES - 1)
lost = int((result.confidence[8:13, 0, 1] == 0).sum())
doubtful = result.confidence[:, 0, 2]
print(f'pose-format {metadata.version("pose-format")}, 25 to 50 frames a second: {FRAMES} frames become {len(result.data)}')
print('x of a joint at 25 pixels a second:', np.asarray(result.data[:, 0, 0, 0]).round(2).tolist())
print(f'against 25 * time: {late.min():.2f} to {late.max():.2f} pixels')
print(f'the joint that is not seen from 0.16 to 0.24 s: {lost} of 5 frames missing, confidences',
      result.confidence[8:13, 0, 1].round(2).tolist())
print(f'confidences of the third joint, given 0.02 to 1: {doubtful.min():.2f} to {doubtful.max():.2f}')
assert len(result.data) == 2 * FRAMES and late.min() < -0.4, 'CHANGED: time'
assert lost == 0 and result.confidence[8:13, 0, 1].min() > 0.8, 'CHANGED: gap'
assert doubtful.max() > 1.05, 'CHANGED: confidence'
PY
