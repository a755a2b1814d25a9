"""Predictions as inference writes them, small, and a reader of the pages that are made of them."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np

from diffpose_mm.report.predictions import FORMAT
from diffpose_mm.video_writer import VideoWriter

NAMES = ['nose', 'left_wrist', 'right_wrist']
KINDS = dict(
    times='<f8',
    pictureTimes='<f8',
    starts='<u4',
    tracks='<i4',
    scores='u1',
    points='<i2',
    boxes='<i2',
    deviations='<i2',
    hypotheses='<i2',
)


def person(track, shift=0.0, score=0.9, spread=None, hypotheses=0):
    """A person of three joints."""
    points = [[10.25 + shift, 20.5], [30.0 + shift, 40.0], [50.0 + shift, 60.125]]
    found = dict(
        keypoints=points,
        keypoint_scores=[score, score, score / 2],
        bbox=[[5.0 + shift, 10.0, 55.0 + shift, 70.0]],
        bbox_score=1.0,
        track_id=track,
    )
    if spread is not None:
        found['keypoint_std'] = [[spread, 2 * spread]] * 3
    if hypotheses:
        found['hypotheses'] = [[[x + n, y] for x, y in points] for n in range(hypotheses)]
    return found


def entries(people, fps=10.0, **meta):
    """The frames of a file: ``people`` is a list of lists."""
    frames = [
        dict(frame_id=i, time=i / fps, instances=instances) for i, instances in enumerate(people)
    ]
    frames[0]['meta'] = dict(
        format=FORMAT, keypoints=NAMES, skeleton=[[0, 1], [0, 2]], image_size=[120, 90], fps=fps
    )
    frames[0]['meta'].update(meta)
    frames[0]['run'] = dict(input=dict(name='walk.mp4'))
    return frames


def write(path, frames):
    """As PredictionLog finishes a file: a line a frame."""
    text = ',\n  '.join(json.dumps(frame) for frame in frames)
    path.write_text(f'[\n  {text}\n]\n', encoding='utf-8')
    return path


def write_video(path, times, size=(120, 90), **options):
    """A video of grey pictures, each lighter than the one before."""
    writer = VideoWriter(str(path), 10, None if times is None else options.pop('base'), **options)
    for i in range(12) if times is None else range(len(times)):
        image = np.full((size[1], size[0], 3), 10 * i, np.uint8)
        writer.write(image, None if times is None else times[i])
    writer.close()
    return path


class Page(HTMLParser):
    """What is in a page: elements with their attributes, and the blocks of data by their ids."""

    def __init__(self, data):
        super().__init__()
        self.text = data.decode()
        self.elements, self.blocks, self._script = [], {}, None
        self.scripts = []
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._script = attributes if tag == 'script' else None

    def handle_data(self, data):
        if self._script is None:
            return
        if 'id' in self._script:
            self.blocks[self._script['id']] = data
        else:
            self.scripts.append(data)
        self._script = None

    @property
    def facts(self):
        return json.loads(self.blocks['facts'])

    def array(self, name):
        """Numbers of a block; coordinates in image pixels."""
        numbers = np.frombuffer(base64.b64decode(self.blocks[f'array-{name}']), KINDS[name])
        scale = self.facts['scales'].get(name)
        return numbers if scale is None else numbers * scale

    @property
    def video(self):
        data = self.blocks.get('video-file')
        return None if data is None else base64.b64decode(data)

    @property
    def ids(self):
        return [attributes['id'] for _, attributes in self.elements if 'id' in attributes]

    @property
    def asked_ids(self):
        """What the scripts look for in the page."""
        return set(re.findall(r"(?:find|getElementById)\('([\w-]+)'\)", '\n'.join(self.scripts)))
