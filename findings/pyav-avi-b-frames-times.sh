#!/usr/bin/env bash
# PyAV 18.1.0: times of the frames of an AVI with B-frames.
#
# One would guess: frames come out of the decoder in the order in which they are shown, so their times
# (frame.time, from frame.pts) rise; AVI has no times of showing, so they may be missing.
# What happens: the pictures are in order, and all have a pts, but the pts are those of the order of
# decoding: they go up and down. frame.dts rises evenly. Guessed before the run: "None, or right". Missed:
# plausible numbers that are wrong, in a file that OpenCV and every player shows at an even pace.
# Versions: PyAV 18.1.0 (FFmpeg 8), Python 3.11 or later. Who meets it: whoever takes times or the order of
# frames from PyAV and is given recordings in AVI, which cameras and labs still write.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check av==18.1.0 'numpy==2.2.6'
cd "$work"
"$work/venv/bin/python" - << 'PY'
import av
import numpy as np

seen = {}
for suffix in ('avi', 'mp4'):
    with av.open(f'walk.{suffix}', 'w') as container:
        stream = container.add_stream('libx264', rate=25, options=dict(bf='2'))
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for number in range(24):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * number, np.uint8), format='rgb24')
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(f'walk.{suffix}') as container:
        frames = [f for f in container.decode(video=0) if f.pts is not None and f.dts is not None]
        grey = [int(f.to_ndarray(format='gray').mean()) for f in frames]
        pts, dts = [f.pts for f in frames], [f.dts for f in frames]
    in_order = grey == sorted(grey)
    rising = [list(values) == sorted(values) for values in (pts, dts)]
    print(f'PyAV {av.__version__}, {suffix}: pictures in order {in_order}, pts rise {rising[0]}, dts rise {rising[1]}; pts {pts[:6]}')
    seen[suffix] = in_order, *rising
assert seen == {'avi': (True, False, True), 'mp4': (True, True, True)}, 'CHANGED'
PY
