#!/usr/bin/env bash
# opencv-python-headless 4.11.0.86 and 4.13.0.92: the colours of a video that says BT.709.
#
# One would guess: VideoCapture gives the same pixels in two releases of OpenCV 4, up to a decoder's
# rounding; and that they are those of PyAV, as both decode by FFmpeg.
# What happens: 4.11 takes BT.601 for every video, 4.13 follows the file. Of an HD recording, which says
# BT.709, saturated colours move by dozens of 255. PyAV 18.1.0 follows the file. Guessed before the run:
# that OpenCV of any release is on BT.601. Missed: the change between the releases; an untagged file, as a
# test would make it, is equal in both, and shows nothing.
# Versions: as above, numpy 1.26.4 and 2.2.6 (4.13 asks for numpy 2). Who meets it: whoever updates OpenCV
# between training and inference, or compares frames of two environments.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 4.11.0.86:1.26.4 4.13.0.92:2.2.6; do
    python3 -m venv "$work/${version%%:*}"
    "$work/${version%%:*}/bin/python" -m pip install -q --disable-pip-version-check av==18.1.0 \
        "opencv-python-headless==${version%%:*}" "numpy==${version##*:}"
done
cd "$work"
4.11.0.86/bin/python - << 'PY'
import av
import numpy as np

grid = np.mgrid[0:96, 0:128]
picture = np.stack([2 * grid[1], 255 - 2 * grid[0], (grid[0] + grid[1]) % 256], axis=-1).astype(np.uint8)
for name, tag in (('untagged', 2), ('BT.709', 1)):
    with av.open(f'{name}.mp4', 'w') as container:
        stream = container.add_stream('libx264', rate=25, options=dict(crf='10'))
        stream.width, stream.height, stream.pix_fmt = 128, 96, 'yuv420p'
        stream.codec_context.colorspace = tag
        frame = av.VideoFrame.from_ndarray(picture, format='bgr24').reformat(format='yuv420p')
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(f'{name}.mp4') as container:
        np.save(f'{name}-pyav.npy', next(container.decode(video=0)).to_ndarray(format='bgr24'))
PY
for version in 4.11.0.86 4.13.0.92; do
    "$version/bin/python" -c "
import cv2, numpy
for name in ('untagged', 'BT.709'):
    numpy.save(f'{name}-$version.npy', cv2.VideoCapture(f'{name}.mp4').read()[1])"
done
4.13.0.92/bin/python - << 'PY'
import numpy as np

seen = {}
for name in ('untagged', 'BT.709'):
    old, new, pyav = (np.load(f'{name}-{who}.npy').astype(int) for who in ('4.11.0.86', '4.13.0.92', 'pyav'))
    seen[name] = [int(np.abs(a - b).max()) for a, b in ((old, new), (old, pyav), (new, pyav))]
    print(f'{name}: largest difference OpenCV 4.11 to 4.13 {seen[name][0]}, 4.11 to PyAV {seen[name][1]}, 4.13 to PyAV {seen[name][2]}')
assert max(seen['untagged']) <= 2, 'CHANGED'
assert seen['BT.709'][0] > 10 and seen['BT.709'][1] > 10 and seen['BT.709'][2] <= 2, 'CHANGED'
PY
