"""Detectors at their real size with random weights: this package beside the library by hand.

    python projects/detector_parity/compare.py [torchvision] [transformers] [--only WORD]

For each architecture: weights are drawn and saved as their library saves them, and one frame of
640x360 goes through `PersonDetector` and through the library's own calls. Printed are the persons
that both found and the largest difference of a box (pixels) and of a score. torchvision's models
see it at 256 pixels, so that the twelve take minutes. --only: architectures with that word.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from diffpose_mm.apis.detector import PersonDetector

HEIGHT, WIDTH = 360, 640
SIDE = 256
TRANSFORMERS = ('RTDetrV2', 'RTDetr', 'DFine', 'RfDetr', 'Yolos', 'ConditionalDetr',
                'DeformableDetr', 'Detr')  # fmt: skip
NAMES = {0: 'person', 1: 'bicycle', 2: 'car'}


def make_frame():
    """Noise on blocks, BGR."""
    blocks = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def rows(boxes, scores, labels, person):
    """The persons of a library's answer, cut at the frame, best first."""
    chosen = (labels == person).numpy()
    boxes = boxes.numpy()[chosen].clip(0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
    found = np.column_stack((boxes, scores.numpy()[chosen]))
    found = found[(found[:, 2:4] > found[:, :2]).all(1)]
    return found[np.lexsort((*found[:, :4].T.round(2), -found[:, 4].round(4)))]


def quick(model):
    """A detector of torchvision on a smaller picture; SSD's has a fixed size."""
    if type(model).__name__ != 'SSD':
        model.transform.min_size, model.transform.max_size = (SIDE,), 2 * SIDE
    return model


def torchvision_cases(folder, only):
    """(name, what det_model is, its weights, rows by hand) of every detector of torchvision."""
    from torchvision.models import detection, get_model, get_model_weights, list_models
    from torchvision.models._api import WeightsEnum

    picture = torch.from_numpy(make_frame()[..., ::-1].copy()).permute(2, 0, 1) / 255
    for name in list_models(module=detection):
        if only not in name:
            continue
        weights = get_model_weights(name).DEFAULT
        classes = len(weights.meta['categories'])
        torch.manual_seed(0)
        model = get_model(name, weights=None, weights_backbone=None, num_classes=classes)
        state = model.state_dict()
        for key, value in state.items():
            if 'running_var' in key:
                # Residual networks of random weights grow beyond what a float holds.
                value.uniform_(2, 3) if 'resnet' in name else value.uniform_(0.3, 0.6)
            elif 'cls_logits' in key or 'cls_score' in key or 'classification_head' in key:
                if value.dim() > 1:
                    value.normal_(std=0.2)
                elif len(value) % classes == 0:
                    value.fill_(-1)
                    value[1::classes] = 4  # more people than other things
        if not name.endswith('v2') and 'ssd' not in name:
            state = {key: value for key, value in state.items() if 'num_batches' not in key}
        torch.save(state, folder / 'weights.pth')
        WeightsEnum.get_state_dict = lambda self, state=state, **_: state
        with torch.no_grad():
            (found,) = quick(get_model(name, weights=weights).eval())([picture])
        expected = rows(found['boxes'], found['scores'], found['labels'], 1)
        yield name, f'torchvision:{name}', str(folder / 'weights.pth'), expected


def transformers_cases(folder, only):
    """The same of transformers, each in the size that its config has by default."""
    import transformers

    transformers.logging.set_verbosity_error()
    frame = make_frame()[..., ::-1].copy()
    for name in TRANSFORMERS:
        if only not in name:
            continue
        torch.manual_seed(0)
        own = dict(backbone_config=transformers.ResNetConfig(out_features=['stage4']))
        own |= dict(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None)
        if name == 'DeformableDetr':
            stages = ['stage2', 'stage3', 'stage4']
            own['backbone_config'] = transformers.ResNetConfig(out_features=stages)
        own = own if name in ('Detr', 'ConditionalDetr', 'DeformableDetr') else {}
        config = getattr(transformers, f'{name}Config')(id2label=NAMES, **own)
        model = getattr(transformers, f'{name}ForObjectDetection')(config).eval()
        for key, value in model.named_parameters():
            if 'class' in key and value.dim() == 1:
                value.data.zero_()
                value.data[0] = 5  # more people than other things
        kind = 'RTDetr' if name in ('RTDetrV2', 'DFine') else name
        size = dict(size=dict(height=560, width=560)) if name == 'RfDetr' else {}
        processor = getattr(transformers, f'{kind}ImageProcessor')(**size)
        target = folder / name
        model.save_pretrained(target)
        processor.save_pretrained(target)
        with torch.no_grad():
            outputs = model(**processor(frame, return_tensors='pt'))
        (found,) = processor.post_process_object_detection(
            outputs, threshold=0.0, target_sizes=[(HEIGHT, WIDTH)]
        )
        yield name, str(target), None, rows(found['boxes'], found['scores'], found['labels'], 0)


def main(libraries, only):
    torch.set_num_threads(1)
    cases = dict(torchvision=torchvision_cases, transformers=transformers_cases)
    print('| library | architecture | persons | box, px | score | s |')
    print('|---|---|---:|---:|---:|---:|')
    for library in libraries or cases:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.time()
            for name, model, weights, expected in cases[library](Path(folder), only):
                detector = PersonDetector(model, weights, device='cpu')
                detector.prepare()
                if library == 'torchvision':
                    quick(detector.network.model)
                (people,) = detector([make_frame()], 0.0, 1.0)
                found = np.array([[*p.box, p.score] for p in people]).reshape(-1, 5)
                found = found[np.lexsort((*found[:, :4].T.round(2), -found[:, 4].round(4)))]
                same = found.shape == expected.shape and len(found)
                off = np.abs(found - expected).max(0) if same else [float('nan')] * 5
                print(
                    f'| {library} {version(library)} | {name} | {len(found)} of {len(expected)} | '
                    f'{max(off[:4]):.1e} | {off[4]:.1e} | {time.time() - begin:.0f} |',
                    flush=True,
                )
                begin = time.time()


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('libraries', nargs='*')
    parser.add_argument('--only', default='')
    args = parser.parse_args()
    main(args.libraries, args.only)
