"""Videos whose pictures say their own frame number, and predictions that go with them."""

import json
from fractions import Fraction

import av
import numpy as np

from diffpose_mm.report.predictions import FORMAT
from diffpose_mm.video_reader import VideoReader

BITS = 14  # of a frame number, as blocks across the lower edge of the picture
JOINTS = ('nose', 'left_wrist', 'right_wrist', 'left_ankle')
SKELETON = ((0, 1), (0, 2), (0, 3))
TURNED = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


def picture(number, width, height):
    """Grey, (height, width, 3), with ``number`` in black and white along the lower edge."""
    image = np.full((height, width, 3), 96, np.uint8)
    for bit in range(BITS):
        x = slice(bit * width // BITS, (bit + 1) * width // BITS)
        image[-height // 8 :, x] = 255 if number >> bit & 1 else 0
    return image


def write_video(path, times, size=(320, 240), codec='libx264', options=None, turned=False):
    """A video of ``picture(i)`` at ``times`` (seconds); `turned`: stored lying, shown upright."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        width, height = size
        stream.width, stream.height = (height, width) if turned else (width, height)
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_matrix(TURNED)
        for number, time in enumerate(times):
            image = picture(number, *size)
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(np.rot90(image, 1) if turned else image), format='bgr24'
            )
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def place_of(number, person, joint, size):
    """Where a joint is in frame ``number``: (x, y) in image pixels, another place in each frame."""
    width, height = size
    x = 0.1 * width + (7.3 * number + 61 * person + 23 * joint) % (0.8 * width)
    y = 0.1 * height + (3.7 * number + 31 * person + 17 * joint) % (0.7 * height)
    return x, y


def write_predictions(path, video, people=2, joints=JOINTS, empty=(), hypotheses=0):
    """Predictions of a video as infer writes them: times by our reader, joints by `place_of`."""
    reader = VideoReader(video)
    size = reader.width, reader.height
    meta = dict(
        format=FORMAT,
        keypoints=list(joints),
        skeleton=[list(bone) for bone in SKELETON],
        fps=float(reader.fps),
        pixel_aspect_ratio=float(reader.pixel_aspect_ratio),
        image_size=list(size),
    )
    with open(path, 'w', encoding='utf-8') as file:
        file.write('[\n')
        for frame in reader:
            entry = dict(frame_id=frame.number, time=frame.time, instances=[])
            for person in range(0 if frame.number in empty else people):
                entry['instances'].append(_person(frame.number, person, joints, size, hypotheses))
            if frame.number == 0:
                entry.update(meta=meta, run=dict(input=dict(name=video.name)))
            file.write((',\n' if frame.number else '') + json.dumps(entry))
        file.write('\n]\n')
    return size


def _person(number, person, joints, size, hypotheses):
    points = [place_of(number, person, joint, size) for joint in range(len(joints))]
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    # Sure by turns, and once not at all.
    score = 0.9 - 0.5 * (number % 40 == 17)
    found = dict(
        keypoints=[[round(float(v), 3) for v in point] for point in points],
        keypoint_scores=[score] * len(joints),
        bbox=[[*map(float, low), *map(float, high)]],
        bbox_score=1.0,
        track_id=person,
    )
    if hypotheses:
        shifts = np.arange(hypotheses) - (hypotheses - 1) / 2
        found['hypotheses'] = [
            [[float(x + s), float(y - s)] for x, y in found['keypoints']] for s in shifts
        ]
        found['keypoint_std'] = [[float(shifts.std())] * 2] * len(joints)
    return found
