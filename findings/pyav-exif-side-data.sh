#!/usr/bin/env bash
# PyAV 18.1.0: asking a frame for its display matrix where its JPEG has EXIF.
#
# One would guess: frame.side_data.get('DISPLAYMATRIX') gives the matrix or None, whatever else a frame
# carries; a camera's Motion JPEG with a line of EXIF in it is read as any other.
# What happens: ValueError, "31 is not a valid Type", for every kind of side data: all of it is put into an
# enumeration that ends before the kinds that the FFmpeg in the same wheel makes. The frame itself is sound.
# Guessed before the run: None. Missed: that one unknown kind hides all the others.
# Versions: PyAV 18.1.0, Pillow 12.0.0. Who meets it: whoever turns videos upright by their display matrix
# and is given pictures of a camera as a stream (an IP camera, .mjpeg, MJPEG in AVI or MP4).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check av==18.1.0 pillow==12.0.0 'numpy==2.2.6'
cd "$work"
"$work/venv/bin/python" - << 'PY'
import io

import av
import numpy as np
from PIL import Image

seen = {}
for name, maker in (('plain', ''), ('exif', 'a camera')):
    exif, data = Image.Exif(), io.BytesIO()
    if maker:
        exif[0x010F] = maker
    Image.fromarray(np.full((48, 64, 3), 120, np.uint8)).save(data, 'JPEG', exif=exif)
    with open(f'{name}.mjpeg', 'wb') as file:
        file.write(3 * data.getvalue())
    with av.open(f'{name}.mjpeg') as container:
        frame = next(container.decode(video=0))
        grey = round(float(frame.to_ndarray(format='gray').mean()))
        try:
            answer = repr(frame.side_data.get('DISPLAYMATRIX'))
        except ValueError as error:
            answer = f'ValueError: {error}'
    print(f'PyAV {av.__version__}, {name}: picture of grey {grey}, display matrix: {answer}')
    seen[name] = answer
assert seen['plain'] == 'None' and seen['exif'].startswith('ValueError'), 'CHANGED'
PY
