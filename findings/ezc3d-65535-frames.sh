#!/usr/bin/env bash
# ezc3d 1.7.2 and c3d 0.6.0: a C3D file of more than 65535 frames (44 minutes at 25 frames a second).
#
# One would guess: both libraries write and read it whole. The header has 16 bits for the last frame, and the
# format's usual way out is known to both: the true number stands in the parameters, as TRIAL:ACTUAL_END_FIELD.
# What happens: ezc3d writes all frames into the file and reads 65535 of its own 70000 back, without a word.
# c3d reads none of them: 16-bit arithmetic of numpy wraps from 65535 to 0, and warnings are all that is said. Of
# 70000 frames that c3d wrote, with the parameter, ezc3d makes 70016: it reads on to the end of the last block of
# 512 bytes and takes the filling for frames with all points at the origin. Guessed before the run: 70000 by both,
# whoever wrote them. Missed: no way but c3d to c3d is right.
# Versions: as above, numpy 2.2.6, Python 3.11. Who meets it: whoever exports poses of an hour, or a recording of
# 100 frames a second after 11 minutes, for biomechanics.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check ezc3d==1.7.2 c3d==0.6.0 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" -W ignore - << 'PY'
import os

import c3d
import ezc3d
import numpy as np


def write_ezc3d(frames):
    file = ezc3d.c3d()
    file['parameters']['POINT']['RATE']['value'] = [25.0]
    file['parameters']['POINT']['LABELS']['value'] = ['nose']
    points = np.ones((4, 1, frames))
    points[0, 0] = np.arange(frames)
    file['data']['points'] = points
    file.write('walk.c3d')


def write_c3d(frames):
    writer = c3d.Writer(point_rate=25.0)
    writer.set_point_labels(['nose'])
    for frame in range(frames):
        writer.add_frames([(np.array([[frame, 1, 1, 0, 0]], np.float32), np.zeros((0, 1), np.float32))])
    with open('walk.c3d', 'wb') as file:
        writer.write(file)


def read_c3d():
    with open('walk.c3d', 'rb') as file:
        return sum(1 for _ in c3d.Reader(file).read_frames())


seen = {}
for writer in (write_ezc3d, write_c3d):
    for frames in (65534, 65535, 70000):
        writer(frames)
        points = ezc3d.c3d('walk.c3d')['data']['points']
        read = points.shape[2], read_c3d()
        room = os.path.getsize('walk.c3d') // 16
        print(f'{writer.__name__[6:]:5} wrote {frames} (room in the file for {room}); ezc3d reads {read[0]}, c3d reads {read[1]}')
        seen[writer.__name__[6:], frames] = read
        assert not points[:3, :, frames:].any(), 'CHANGED: more frames than zeros'
        assert room >= frames, 'CHANGED: frames are not in the file'
assert seen == {
    ('ezc3d', 65534): (65534, 65534), ('ezc3d', 65535): (65535, 0), ('ezc3d', 70000): (65535, 0),
    ('c3d', 65534): (65534, 65534), ('c3d', 65535): (65536, 65535), ('c3d', 70000): (70016, 70000),
}, 'CHANGED'
PY
