"""What could time give? A single-frame model's estimates of neighbouring frames, put to use.

    python projects/claims/time_bound.py heatmap_synthetic --checkpoint CKPT \
        --data-root DIR --out work_dirs/claims/bound

For every annotated joint: is the model right in the frame itself; is the place right that lies
between those of a frame before and of one after, by the annotation of these frames and by the
model's own estimates; and how sure is the model there. The former is a bound that nobody can reach
who does not know the truth, the latter what a merge of estimates has to work with. Last, what the
smoother of the package (rts, by score, as it comes) makes of the estimates of a whole track.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from neck_features import build
from provenance import provenance

from diffpose_mm.files import atomic_write
from diffpose_mm.smoothing import smooth_predictions

SURE = 0.6
"""Score of a joint from which on the model counts as sure here."""
KINDS = ('all', 'occluded', 'blurred', 'clear')


class Estimates(NamedTuple):
    """What a model says of M people.

    Attributes:
        found, true: (M, K, 2), image pixels.
        scores: (M, K).
        kinds: Name of a kind of joint -> (M, K) bool, annotated ones only.
        sizes: (M,), the longer side of the boxes, pixels.
        places: (video, track, frame) of each person.
    """

    found: np.ndarray
    true: np.ndarray
    scores: np.ndarray
    kinds: dict[str, np.ndarray]
    sizes: np.ndarray
    places: list[tuple[str, int, int]]


@torch.no_grad()
def estimate(model: Any, dataset: Any, batch_size: int = 32) -> Estimates:
    """Pose all people of a data set of single frames."""
    found, scores, true, flags, sizes, places = [], [], [], [], [], []
    for start in range(0, len(dataset), batch_size):
        people = range(start, min(start + batch_size, len(dataset)))
        for sample in model.test_step(pseudo_collate([dataset[i] for i in people])):
            note = sample.metainfo['raw_ann_info']
            joints = np.reshape(note['keypoints'], (-1, 3))
            found.append(sample.pred_instances.keypoints[0])
            scores.append(sample.pred_instances.keypoint_scores[0])
            true.append(joints[:, :2])
            flags.append([joints[:, 2] > 0, note['occluded'], note['blurred']])
            sizes.append(max(note['bbox'][2:]))
            path = Path(sample.metainfo['clip_paths'][0])
            places.append((path.parent.name, note['track_id'], int(path.stem)))
        print(f'{people.stop} of {len(dataset)} people', flush=True)
    seen, occluded, blurred = np.asarray(flags).astype(bool).transpose(1, 0, 2)
    kinds = (seen, seen & occluded, seen & blurred, seen & ~occluded & ~blurred)
    return Estimates(
        np.asarray(found),
        np.asarray(true),
        np.asarray(scores),
        dict(zip(KINDS, kinds)),
        np.asarray(sizes, float),
        places,
    )


def neighbours(places: Sequence[tuple[str, int, int]], distance: int) -> np.ndarray:
    """(M,) index of the same person so many frames later, -1 where it is not there."""
    index = {place: i for i, place in enumerate(places)}
    return np.array([index.get((video, t, n + distance), -1) for video, t, n in places])


def share(right: np.ndarray, of: np.ndarray) -> dict[str, float | int]:
    """How many of some joints are right, in percent, and how many there are."""
    percent = round(100 * float(right[of].mean()), 1) if of.any() else None
    return dict(percent=percent, of=int(of.sum()))


def is_right(estimates: Estimates, places: np.ndarray, threshold: float) -> np.ndarray:
    """(M, K), which of these places (M, K, 2) are within so many sizes of the annotated ones."""
    return np.linalg.norm(places - estimates.true, axis=2) < threshold * estimates.sizes[:, None]


def bound(estimates: Estimates, distance: int, threshold: float) -> dict[str, Any]:
    """The figures of one distance.

    Args:
        estimates: Of :func:`estimate`.
        distance: Frames to either side.
        threshold: How far from the annotation a joint is right, in sizes of the person.
    """
    before, after = (neighbours(estimates.places, sign * distance) for sign in (-1, 1))
    both = ((before >= 0) & (after >= 0))[:, None]

    def between(places: np.ndarray) -> np.ndarray:
        return (places[before] + places[after]) / 2

    own, by_truth, by_model = (
        is_right(estimates, places, threshold)
        for places in (estimates.found, between(estimates.true), between(estimates.found))
    )
    seen, clear = estimates.kinds['all'], estimates.kinds['clear']
    annotated = both & seen & seen[before] & seen[after]
    sure = estimates.scores >= SURE
    groups = {kind: annotated & of for kind, of in estimates.kinds.items()}
    hidden = groups['occluded']
    groups['occluded, clear before and after'] = hidden & clear[before] & clear[after]
    unsure = annotated & ~sure
    groups['unsure'] = unsure
    groups['unsure, sure before and after'] = unsure & sure[before] & sure[after]
    groups['wrong before'] = annotated & ~own[before]
    groups['right before'] = annotated & own[before]
    return {
        name: dict(
            own=share(own, of),
            between_true_places=share(by_truth, of),
            between_estimates=share(by_model, of),
            own_or_between_estimates=share(own | by_model, of),
        )
        for name, of in groups.items()
    }


def persistence(estimates: Estimates, threshold: float) -> dict[str, float]:
    """How alike the errors of two frames in a row are, of joints that are wrong in both.

    Returns:
        ``joints``, how many; ``median cosine`` of the angle between the two errors, and the
        percentage ``along`` with a cosine of more than 0.7.
    """
    before = neighbours(estimates.places, -1)
    errors = estimates.found - estimates.true
    lengths = np.linalg.norm(errors, axis=2)
    wrong = estimates.kinds['all'] & (lengths >= threshold * estimates.sizes[:, None])
    both = wrong & wrong[before] & (before >= 0)[:, None]
    cosines = ((errors * errors[before]).sum(2) / (lengths * lengths[before]))[both]
    return {
        'joints': int(both.sum()),
        'median cosine': round(float(np.median(cosines)), 3),
        'along': round(100 * float((cosines > 0.7).mean()), 1),
    }


def smoothed(estimates: Estimates, fps: float) -> np.ndarray:
    """(M, K, 2) places of the estimates, each track smoothed, image pixels."""
    videos: dict[str, dict[int, list[int]]] = {}
    for row, (video, _, frame) in enumerate(estimates.places):
        videos.setdefault(video, {}).setdefault(frame, []).append(row)
    places = np.array(estimates.found, float)
    for frames in videos.values():
        entries: list[dict] = []
        for number, rows in sorted(frames.items()):
            people = [_person(estimates, row) for row in rows]
            entries.append(dict(frame_id=number, time=number / fps, instances=people))
        entries[0]['meta'] = dict(keypoints=[str(k) for k in range(places.shape[1])], fps=fps)
        for entry in smooth_predictions(entries, 'rts'):
            known = {person['track_id']: person for person in entry['instances']}
            for row in frames.get(entry['frame_id'], ()):
                places[row] = known[estimates.places[row][1]]['keypoints']
    return places


def _person(estimates: Estimates, row: int) -> dict[str, Any]:
    corner, side = estimates.found[row].min(0), estimates.sizes[row]
    return dict(
        keypoints=estimates.found[row].tolist(),
        keypoint_scores=estimates.scores[row].tolist(),
        track_id=estimates.places[row][1],
        bbox=[[*map(float, corner), *map(float, corner + side)]],
        bbox_score=1.0,
    )


def compared(estimates: Estimates, places: np.ndarray, threshold: float) -> dict[str, Any]:
    """Percent of joints of each kind that are right, as they are and as smoothed."""
    own, steady = (is_right(estimates, p, threshold) for p in (estimates.found, places))
    return {
        kind: dict(own=share(own, of), smoothed=share(steady, of))
        for kind, of in estimates.kinds.items()
    }


def rate_of(data_root: str) -> float:
    """Frames a second of a synthetic data set."""
    return json.loads(Path(data_root, 'synthetic.json').read_text())['frames_per_second']


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table for each distance, and write all to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--distances', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--thresholds', type=float, nargs='+', default=[0.05, 0.1])
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    estimates = estimate(*build(args.config, args.checkpoint, args.data_root))
    rows = []
    for threshold in args.thresholds:
        for distance in args.distances:
            rows.append(
                dict(
                    threshold=threshold, distance=distance, **bound(estimates, distance, threshold)
                )
            )
            print(f'\nwithin {threshold} of the size, {distance} frames to either side, percent:')
            for name, found in rows[-1].items():
                if isinstance(found, dict):
                    values = '  '.join(f'{k} {v["percent"]}' for k, v in found.items())
                    print(f'{name:34s} n {found["own"]["of"]:6d}  {values}')
    alike = {str(t): persistence(estimates, t) for t in args.thresholds}
    print(f'\nwrong twice in a row, by threshold: {alike}')
    steady = smoothed(estimates, rate_of(args.data_root))
    smoother = {str(t): compared(estimates, steady, t) for t in args.thresholds}
    for threshold, found in smoother.items():
        print(f'\nsmoothed, within {threshold} of the size, percent:')
        for kind, values in found.items():
            print(f'{kind:12s} {values["own"]["percent"]} -> {values["smoothed"]["percent"]}')
    args.out.mkdir(parents=True, exist_ok=True)
    made_by = provenance(args, sure=SURE, people=len(estimates.places))
    with atomic_write(args.out / 'time_bound.json', 'w') as file:
        json.dump(dict(made_by, rows=rows, persistence=alike, smoothed=smoother), file, indent=1)


if __name__ == '__main__':
    main(sys.argv[1:])
