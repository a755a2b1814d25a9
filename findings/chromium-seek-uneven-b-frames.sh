#!/usr/bin/env bash
# Chromium 150: which picture a jump shows, in an MP4 with B-frames and a variable frame rate.
#
# One would guess: video.currentTime = t shows the frame whose time of showing has come last at t, as the
# specification says; in the middle between two frames no rounding can play a part.
# What happens: without B-frames it does. With them, at uneven times, 12 of 33 jumps show a neighbour, mostly
# the frame before: a frame's duration in the file is the step to the next one in the order of decoding, which
# is another frame's, and the jump goes by it. Guessed before the run: "right". Missed: that the steps between
# other frames matter.
# Versions: Chromium 150.0.7871.100 of Debian 12 with its driver, selenium 4.51.0, PyAV 18.1.0. Needs
# `apt-get install chromium chromium-driver`. Who meets it: whoever draws labels or poses over a video in a
# page (annotation tools, viewers) and steps through it frame by frame.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check selenium==4.51.0 av==18.1.0 'numpy==2.2.6'
cd "$work"
"$work/venv/bin/python" - << 'PY'
import os
import shutil
from fractions import Fraction

import av
import numpy as np
from selenium import webdriver

STEPS = [0.04, 0.04, 0.1, 0.03, 0.04, 0.12, 0.02, 0.04, 0.04, 0.15, 0.03] * 3
times = np.concatenate([[0], np.cumsum(STEPS)])


def write(path, b_frames):
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', rate=25, options=dict(bf=str(b_frames)))
        stream.width, stream.height, stream.pix_fmt = 320, 64, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            image = np.zeros((64, 320, 3), np.uint8)
            for bit in range(6):
                image[:, 50 * bit : 50 * bit + 50] = 255 * (number >> bit & 1)
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(path) as container:
        decoded = [frame.time for frame in container.decode(video=0)]
    assert np.allclose(decoded, times), 'the file is not what it is meant to be'


PAGE = """<video id=v muted></video><script>
const video = document.getElementById('v');
const pen = Object.assign(document.createElement('canvas'), {width: 320, height: 64})
  .getContext('2d', {willReadFrequently: true});
async function jump(time) {
  await new Promise((done) => { video.onseeked = done; video.currentTime = time; });
  await new Promise((done) => setTimeout(done, 120));
  pen.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < 6; bit++) number += (pen.getImageData(50 * bit + 25, 32, 1, 1).data[0] > 127) << bit;
  return number;
}
</script>"""
options = webdriver.ChromeOptions()
for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--allow-file-access-from-files'):
    options.add_argument(argument)
browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which('chromedriver')))
wrong = {}
with open('page.html', 'w') as file:
    file.write(PAGE)
try:
    for b_frames in (0, 2):
        write(f'{b_frames}.mp4', b_frames)
        browser.get(f'file://{os.getcwd()}/page.html')
        browser.execute_async_script(
            'const done = arguments[1]; video.onloadeddata = () => done(); video.src = arguments[0];', f'{b_frames}.mp4'
        )
        middles = (times[:-1] + times[1:]) / 2
        shown = [
            browser.execute_async_script('jump(arguments[0]).then(arguments[1])', float(t)) for t in middles
        ]
        off = [(number, seen) for number, seen in enumerate(shown) if seen != number]
        wrong[b_frames] = off
        print(f'Chromium {browser.capabilities["browserVersion"]}, B-frames in a row {b_frames}: '
              f'{len(off)} of {len(shown)} jumps show another frame; (asked for, shown): {off}')
finally:
    browser.quit()
assert not wrong[0] and len(wrong[2]) > 5, 'CHANGED'
PY
