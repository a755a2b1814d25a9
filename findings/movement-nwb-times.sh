#!/usr/bin/env bash
# movement 0.15.0 and ndx-pose 0.4.0: poses in NWB with a time stamp for each frame, read for analysis.
#
# One would guess: NWB is about times, and the series has one for each frame, so the `time` of the data set is
# those times: it starts where they start and is uneven where they are (or a warning says that it is not).
# What happens: time is the number of the row over a rate that is guessed from the stamps. It starts at 0, a pause
# in the recording is closed, and speeds after it are those of a jump within one frame. Nothing is said.
# The loss of uneven stamps was known from others; guessed: an even series keeps its start. Missed: that is dropped too.
# Versions: movement 0.15.0, ndx-pose 0.4.0, pynwb 4.2.0, Python 3.11. Who meets it: whoever aligns poses with
# other recordings, or writes rows for detected frames alone, which NWB allows.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check movement==0.15.0 ndx-pose==0.4.0 pynwb==4.2.0
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY' 2>&1
import importlib.metadata as metadata
from datetime import datetime, timezone

import numpy as np
from movement.io import load_poses
from movement.kinematics import compute_speed
from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
from pynwb import NWBHDF5IO, NWBFile
from pynwb.file import Subject

PACE = 10.0  # pixels a second


def write(times):
    file = NWBFile(session_description='a walk', identifier='1', session_start_time=datetime(2026, 1, 1, tzinfo=timezone.utc))
    file.subject = Subject(subject_id='anna', species='Homo sapiens')
    module = file.create_processing_module('behavior', 'poses')
    skeleton = Skeleton(name='joints', nodes=['nose', 'neck'], edges=np.array([[0, 1]], 'uint8'), subject=file.subject)
    series = [
        PoseEstimationSeries(
            name=name, data=np.stack([PACE * times, np.zeros(len(times))], axis=1), confidence=np.ones(len(times)),
            timestamps=times, unit='pixels', reference_frame='top left',
        )
        for name in ('nose', 'neck')
    ]
    module.add(Skeletons(skeletons=[skeleton]))
    module.add(PoseEstimation(name='PoseEstimation', pose_estimation_series=series, skeleton=skeleton))
    with NWBHDF5IO('walk.nwb', 'w') as stream:
        stream.write(file)


seen = {}
for name, times in (
    ('even, from 3 s', 3 + np.arange(8) / 25),
    ('a pause of 2 s', np.array([0, 1, 2, 3, 53, 54, 55, 56]) / 25),
):
    write(times)
    poses = load_poses.from_nwb_file('walk.nwb')
    speed = float(compute_speed(poses.position).max())
    print(f'movement {metadata.version("movement")}, {name}: written {times.round(2).tolist()}, read {poses.time.values.round(2).tolist()}')
    print(f'    highest speed of a joint that moves {PACE} pixels a second: {speed:.0f}')
    seen[name] = poses.time.values, speed
for name, (read, speed) in seen.items():
    assert np.allclose(read, np.arange(8) / 25), f'CHANGED: {name}'
assert seen['a pause of 2 s'][1] > 20 * PACE, 'CHANGED: speed'
PY
