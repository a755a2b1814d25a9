"""A page that holds all it needs: poses as packed numbers, the video, styles and scripts."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np

from ..version import __version__
from .embedded_video import EmbeddedVideo
from .moments import filled_times, gaps, least_certain
from .predictions import Predictions

STYLES = ('uplot/uPlot.min.css', 'page.css')
SCRIPTS = (
    'uplot/uPlot.iife.min.js',
    'poses.js',
    'clock.js',
    'overlay.js',
    'strip.js',
    'trajectories.js',
    'live.js',
    'page.js',
)
LARGEST = 32767
"""Of the 16-bit numbers that stand for coordinates."""

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
POLICY += 'img-src data:; media-src blob:; connect-src '


def build_page(
    predictions: Predictions,
    video: EmbeddedVideo | None,
    max_bytes: int,
    title: str,
    live: Mapping[str, Any] | None = None,
) -> bytes:
    """The page as the bytes of an HTML file.

    Coordinates are kept as 16-bit numbers, off by at most 1 / 65534 of the largest coordinate
    (0.03 px at 1920 px). Hypotheses that do not fit are left out, which the page says.

    Args:
        predictions: What is shown.
        video: Under it; None for poses alone.
        max_bytes: Of the page.
        title: Of the page.
        live: What a page that is served can ask for: ``steps``, ``hypotheses`` and their limits,
            or ``reason`` why it cannot.

    Raises:
        ValueError: The page does not fit into ``max_bytes`` without hypotheses.
    """
    facts, arrays = _facts(predictions, video, live), _arrays(predictions)
    if video is not None:
        arrays['pictureTimes'] = video.times.astype('<f8').tobytes()
    blocks = [(f'array-{name}', base64.b64encode(data)) for name, data in arrays.items()]
    if video is not None:
        blocks.append(('video-file', base64.b64encode(video.data)))
    hypotheses = dict(blocks).get('array-hypotheses', b'')
    parts = [part.encode() for part in _frame(title, facts, live is not None)]
    size = sum(map(len, parts)) + sum(len(data) + 64 for _, data in blocks)
    if size > max_bytes and hypotheses:
        blocks = [(name, data) for name, data in blocks if name != 'array-hypotheses']
        size -= len(hypotheses)
        facts['shape'][2] = 0
        facts['notes'] += [
            f'hypotheses are left out: they would make the page {len(hypotheses) / 1e6:.1f} MB '
            'larger, beyond its bound (--max-size)'
        ]
        parts = [part.encode() for part in _frame(title, facts, live is not None)]
    if size > max_bytes:
        raise ValueError(
            f'the page would have {size / 1e6:.1f} MB, more than {max_bytes / 1e6:.1f} MB: give a '
            'larger --max-size'
        )
    head, tail = parts
    inlined = (
        b'<script type="text/plain" id="%s">%s</script>\n' % (name.encode(), data)
        for name, data in blocks
    )
    return b''.join([head, *inlined, tail])


def poses_bytes(predictions: Predictions) -> int:
    """How many bytes of a page are poses, without hypotheses."""
    arrays = _arrays(predictions)
    return sum(-(-len(data) // 3) * 4 + 64 for name, data in arrays.items() if name != 'hypotheses')


def shell_bytes() -> int:
    """How many bytes of a page are styles, scripts and text, whatever it shows."""
    return sum(len(asset(name).encode()) for name in (*STYLES, *SCRIPTS, 'page.html')) + 4096


def asset(name: str) -> str:
    """The text of a file that comes along."""
    return files(__package__).joinpath('assets', *name.split('/')).read_text(encoding='utf-8')


def _facts(
    predictions: Predictions, video: EmbeddedVideo | None, live: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the page reads as JSON; times of the picture apart from those of the poses."""
    hypotheses = 0 if predictions.hypotheses is None else predictions.hypotheses.shape[1]
    return dict(
        version=__version__,
        keypoints=predictions.keypoints,
        skeleton=predictions.skeleton,
        absent=predictions.absent,
        size=list(predictions.size),
        firstFrame=int(predictions.frames[0]),
        shape=[len(predictions.tracks), len(predictions.keypoints), hypotheses],
        scales={name: _scale(values) for name, values in _coordinates(predictions).items()},
        tracked=predictions.is_tracked,
        gaps=gaps(predictions),
        moments=[asdict(moment) for moment in least_certain(predictions)],
        notes=list(predictions.notes),
        video=None if video is None else dict(kind=video.kind, copy=video.is_copy),
        live=None if live is None else dict(live),
    )


def _coordinates(predictions: Predictions) -> dict[str, np.ndarray]:
    found = dict(
        points=predictions.points,
        boxes=predictions.boxes,
        deviations=predictions.deviations,
        hypotheses=predictions.hypotheses,
    )
    return {name: values for name, values in found.items() if values is not None}


def _scale(values: np.ndarray) -> float:
    """Image pixels of one unit of the packed numbers."""
    return max(float(np.abs(values).max(initial=0)), 1.0) / LARGEST


def _arrays(predictions: Predictions) -> dict[str, bytes]:
    """Little-endian numbers, by name."""
    packed = {
        name: np.round(values / _scale(values)).astype('<i2').tobytes()
        for name, values in _coordinates(predictions).items()
    }
    scores = np.round(np.clip(predictions.scores, 0, 1) * 255).astype(np.uint8)
    return dict(
        times=filled_times(predictions).astype('<f8').tobytes(),
        starts=predictions.starts.astype('<u4').tobytes(),
        tracks=predictions.tracks.astype('<i4').tobytes(),
        scores=scores.tobytes(),
        **packed,
    )


def _frame(title: str, facts: dict[str, Any], is_live: bool) -> Iterator[str]:
    """What comes before the blocks of data, and what comes after."""
    text = json.dumps(facts).replace('<', '\\u003c')
    styles = '\n'.join(f'<style>\n{asset(name)}\n</style>' for name in STYLES)
    scripts = '\n'.join(f'<script>\n{asset(name)}\n</script>' for name in SCRIPTS)
    filled = asset('page.html')
    for name, value in (
        ('POLICY', html.escape(POLICY + ("'self'" if is_live else "'none'"))),
        ('TITLE', html.escape(title)),
        ('LICENCE', f'<!--\nuPlot\n{asset("uplot/LICENSE")}-->'),
        ('STYLES', styles),
    ):
        filled = filled.replace(f'<!--{name}-->', value)
    head, tail = filled.split('<!--DATA-->')
    yield head + f'<script type="application/json" id="facts">{text}</script>\n'
    yield tail.replace('<!--SCRIPTS-->', scripts)
