#!/usr/bin/env bash
# sleap-io 0.9.5: its own CSV files, written by save_csv in each of its formats and read back by load_csv.
#
# One would guess: joints keep their names, and with them their order, which is that of the columns.
# What happens: in three of five formats the joints come back in the order of the alphabet, so that
# labels.numpy() has the shoulder where the nose was; "frames" also makes a joint of each person's prefix
# (inst0, inst1); "dlc" comes back without a single frame. "points" is right. Naming the format to load_csv changes
# nothing. No warning, no error. Guessed before the run: all exact. Missed: the default format is one of the three.
# Versions: sleap-io 0.9.5, pandas 3.1.1, numpy 2.4.6, Python 3.11. Who meets it: whoever exchanges tracked poses
# as tables and indexes joints by number.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-compile --disable-pip-version-check sleap-io==0.9.5 pandas==3.1.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - << 'PY'
import numpy as np
import sleap_io as sio

skeleton = sio.Skeleton(['nose', 'left_shoulder', 'right_shoulder'])
video = sio.Video(filename='walk.mp4', open_backend=False)
people = [sio.Track('anna'), sio.Track('ben')]
points = np.array([[10, 20], [30, 40], [50, 60]], float)
frames = [
    sio.LabeledFrame(video, number, [
        sio.PredictedInstance.from_numpy(points + 100 * n + number, skeleton=skeleton, point_scores=np.full(3, 0.9), score=0.8, track=track)
        for n, track in enumerate(people)
    ])
    for number in range(4)
]
labels = sio.Labels(frames, videos=[video], tracks=people, skeletons=[skeleton])

seen = {}
for name in ('sleap', 'instances', 'frames', 'dlc', 'points'):
    sio.save_csv(labels, 'walk.csv', format=name)
    read = sio.load_csv('walk.csv', format=name)
    seen[name] = read.skeletons[0].node_names, len(read)
    first = read[0].numpy()[0].tolist() if len(read) else 'no frame'
    print(f'sleap-io {sio.__version__}, {name}: {len(read)} of 4 frames, joints {read.skeletons[0].node_names}')
    print(f'    first person (written as {points.tolist()}): {first}')
by_alphabet = ['left_shoulder', 'nose', 'right_shoulder']
assert seen == {
    'sleap': (by_alphabet, 4), 'instances': (by_alphabet, 4), 'frames': (['inst0', 'inst1', *by_alphabet], 4),
    'dlc': (by_alphabet, 0), 'points': (skeleton.node_names, 4),
}, 'CHANGED'
PY
