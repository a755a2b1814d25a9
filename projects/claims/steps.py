"""Do steps pay? AP and double counts over S and N, plain and going on from the first answer.

    python projects/claims/steps.py diffpose_synthetic --checkpoint CKPT --data-root DIR \
        --out work_dirs/claims/steps

Backbone and neck run once, and what they make of the people is kept. Every finished row stands in
``steps.json``, so that the same command goes on where it was interrupted.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from neck_features import NeckFeatures, build, features_of, heatmaps_of, score
from provenance import provenance

from diffpose_mm.files import atomic_write
from diffpose_mm_runtime.refinement import with_peaks_of

RESTART = dict(strength=0.2, temperature=0.5)
MIXES = ((0.0, False), (0.0, True), (0.25, True), (0.4, True))
"""first_weight and first_scores of the rows that go on from the first answer."""


def rows_of(
    model: Any, kept: NeckFeatures, steps: Sequence[int], number: int, seed: int
) -> Iterator[tuple[dict, np.ndarray]]:
    """The settings of one N and seed, each with its heatmaps (M, N, K, h, w).

    What only mixes the first and the last answer is not sampled again.
    """
    base = dict(model.test_cfg, num_hypotheses=number, seed=seed)

    def sample(**settings: Any) -> np.ndarray:
        return heatmaps_of(model.head, kept, dict(base, **settings)).astype(np.float32)

    first = sample(sampling_steps=1)
    yield dict(S=1, start='noise'), first
    for count in steps:
        if count == 1:
            continue
        yield dict(S=count, start='noise'), sample(sampling_steps=count)
        last = sample(sampling_steps=count, **RESTART)
        for weight, scores in MIXES:
            mixed = weight * first + (1 - weight) * last
            settings = dict(S=count, start='first answer', first_weight=weight, first_scores=scores)
            yield settings, with_peaks_of(mixed, first) if scores else mixed


def of_videos(kept: NeckFeatures, annotations: Path, count: int, out: Path) -> NeckFeatures:
    """The people of the first videos, with an annotation file of these alone at ``out``."""
    whole = json.loads(annotations.read_text())
    videos = sorted({image['vid_id'] for image in whole['images']})[:count]
    images = [image for image in whole['images'] if image['vid_id'] in videos]
    ids = {image['id'] for image in images}
    found = [a for a in whole['annotations'] if a['image_id'] in ids]
    out.write_text(json.dumps(dict(whole, images=images, annotations=found)))
    part = [i for i, sample in enumerate(kept.samples) if sample.metainfo['img_id'] in ids]
    return NeckFeatures(kept.features[part], [kept.samples[i] for i in part])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--hypotheses', type=int, nargs='+', default=[1])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--videos', type=int, help='the first of them only')
    parser.add_argument('--features', type=Path, help='file that keeps them (default: in --out)')
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    model, dataset = setting = build(args.config, args.checkpoint, args.data_root)
    args.out.mkdir(parents=True, exist_ok=True)
    kept = features_of(setting, args.features or args.out / 'features.pkl')
    annotations = Path(dataset.ann_file)
    if args.videos:
        kept = of_videos(kept, annotations, args.videos, args.out / 'annotations.json')
        annotations = args.out / 'annotations.json'
    path = args.out / 'steps.json'
    rows = json.loads(path.read_text())['rows'] if path.is_file() else []
    done = {(row['N'], row['seed']) for row in rows}
    made_by = provenance(args, people=len(kept.samples), restart=RESTART)
    for number, seed in itertools.product(args.hypotheses, args.seeds):
        if (number, seed) in done:
            continue
        found = []
        for settings, heatmaps in rows_of(model, kept, args.steps, number, seed):
            decoded = [model.head.decoder.decode_hypotheses(h) for h in heatmaps]
            kinds = dict(mean=decoded)
            if number > 1:
                kinds['consensus'] = [
                    model.head.take_consensus(d, s) for d, s in zip(decoded, kept.samples)
                ]
            for kind, poses in kinds.items():
                result = score(model, kept.samples, poses, dataset, annotations)
                found.append(dict(N=number, seed=seed, **settings, aggregate=kind, **result))
                print(json.dumps(found[-1]), flush=True)
        rows += found
        with atomic_write(path, 'w') as file:
            json.dump(dict(made_by, rows=rows), file, indent=1)


if __name__ == '__main__':
    main(sys.argv[1:])
