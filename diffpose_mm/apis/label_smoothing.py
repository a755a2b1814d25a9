"""Labels of a teacher of single frames, made steady over time: numpy alone.

What a teacher says of a joint trembles from frame to frame while the joint does not. The label of a
frame is the value of a parabola that is fitted to the joint's places around it, each as heavy as
the teacher was sure and as it is near in time (locally weighted regression: Cleveland, Robust
locally weighted regression and smoothing scatterplots, JASA 74, 1979). A parabola follows a joint
that speeds up; two of its parameters are lost to that, so it takes out less than a mean would.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .label_rules import Label

_FEWEST = 4


def smooth(labels: Sequence[Label], half_width: float) -> None:
    """Smooth the labelled joints of the people of a video, in place.

    A joint without a label stays as it is and moves no other; nothing crosses from one track to
    another. Where fewer than four labelled frames are near, a joint stays as it is.

    Args:
        labels: Of a video, judged, in any order.
        half_width: Frames farther than this have no weight, in frames of the video.
    """
    if half_width <= 1:
        return
    tracks: dict[int, list[Label]] = defaultdict(list)
    for label in labels:
        if label.track is not None:
            tracks[label.track].append(label)
    for track in tracks.values():
        track.sort(key=lambda label: label.frame)
        frames = np.array([label.frame for label in track], float)
        places = np.stack([label.keypoints for label in track])
        sure = np.stack([np.where(x.labelled, x.scores, 0) for x in track])
        for joint in range(places.shape[1]):
            found = local_parabolas(frames, places[:, joint], sure[:, joint], half_width)
            for label, place in zip(track, found):
                if label.labelled[joint]:
                    label.keypoints[joint] = place


def local_parabolas(
    times: np.ndarray, places: np.ndarray, weights: np.ndarray, half_width: float
) -> np.ndarray:
    """The value at each time of a parabola fitted around it, tricube weights.

    Args:
        times: (N, ) in order.
        places: (N, D).
        weights: (N, ); a place of weight 0 may be anything.
        half_width: In the unit of the times.

    Returns:
        (N, D); as it came where the weight is 0 or fewer than four places are near.
    """
    result = places.copy()
    for i, time in enumerate(times):
        if weights[i] <= 0:
            continue
        near = (np.abs(times - time) < half_width) & (weights > 0)
        if near.sum() < _FEWEST:
            continue
        x = (times[near] - time) / half_width
        root = np.sqrt(weights[near] * (1 - np.abs(x) ** 3) ** 3)
        design = np.stack((np.ones_like(x), x, x**2), axis=1) * root[:, None]
        solution = np.linalg.lstsq(design, places[near] * root[:, None], rcond=None)[0]
        result[i] = solution[0]
    return result
