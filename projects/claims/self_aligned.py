"""Fine-tune the decoder of a checkpoint on kept features, with and without its own predictions.

    python projects/claims/self_aligned.py diffpose_synthetic --checkpoint CKPT --data-root DIR \
        --features work_dirs/claims/train.pkl --out work_dirs/claims/self_aligned.pth --share 0.5

Backbone and neck are frozen, in testing mode; each training clip is seen in one augmented view.
``--share 0`` is the control: the same iterations on true heatmaps alone.
"""

import argparse
import math
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample
from neck_features import Setting, build

from diffpose_mm.engine import read_checkpoint
from diffpose_mm.files import atomic_write
from diffpose_mm.models.self_alignment import SelfAlignment


def training_features(
    setting: Setting, path: Path, seed: int, batch_size: int = 32
) -> list[np.ndarray]:
    """Features (M, C, H, W), heatmaps (M, K, h, w) and weights (M, K) of one augmented view."""
    if path.is_file():
        with open(path, 'rb') as file:
            return pickle.load(file)
    torch.manual_seed(seed)
    np.random.seed(seed)
    model, dataset = setting
    rows: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(dataset), batch_size):
        part = range(start, min(start + batch_size, len(dataset)))
        data = model.data_preprocessor(pseudo_collate([dataset[i] for i in part]), False)
        with torch.no_grad():
            features = model.extract_feat(data['inputs'])[-1].half().numpy()
        for feature, sample in zip(features, data['data_samples']):
            labels = sample.gt_instance_labels.keypoint_weights.numpy()[0]
            rows.append((feature, sample.gt_fields.heatmaps.half().numpy(), labels))
        if start // batch_size % 20 == 0:
            print(f'{start} of {len(dataset)} people', flush=True)
    kept = [np.stack(column) for column in zip(*rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'wb') as file:
        pickle.dump(kept, file, protocol=4)
    return kept


def sample_of(heatmaps: np.ndarray, weights: np.ndarray) -> PoseDataSample:
    """What the loss reads."""
    sample = PoseDataSample()
    sample.gt_fields = PixelData(heatmaps=torch.from_numpy(heatmaps.astype(np.float32)))
    sample.gt_instance_labels = InstanceData(keypoint_weights=torch.from_numpy(weights[None]))
    return sample


def main(argv: Sequence[str] | None = None) -> None:
    """Train and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--checkpoint', required=True)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--features', type=Path, required=True, help='file that keeps them')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--share', type=float, default=0.5, help='of samples on own predictions')
    parser.add_argument('--steps', type=int, nargs=2, help='range of their t (default: all)')
    parser.add_argument('--iterations', type=int, default=400)
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--lr', type=float, default=3e-4)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    setting = build(args.config, args.checkpoint, args.data_root, 'train')
    features, heatmaps, weights = training_features(setting, args.features, args.seed)
    head = setting.model.head.train()
    head.self_alignment = SelfAlignment(args.share, args.steps) if args.share else None
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    optimizer = torch.optim.AdamW(head.parameters(), args.lr, weight_decay=0.05)
    averaged = {k: v.clone() for k, v in head.state_dict().items()}
    order: list[int] = []
    start, losses = time.process_time(), []
    for i in range(args.iterations):
        if len(order) < args.batch_size:
            order += rng.permutation(len(features)).tolist()
        batch, order = order[: args.batch_size], order[args.batch_size :]
        rate = 0.5 * (1 + math.cos(math.pi * i / args.iterations)) * min((i + 1) / 20, 1)
        for group in optimizer.param_groups:
            group['lr'] = args.lr * rate
        feature = torch.from_numpy(features[batch].astype(np.float32))
        samples = [sample_of(heatmaps[j], weights[j]) for j in batch]
        loss = head.loss((feature,), samples, dict(compute_acc=False))['loss_kpt']
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss))
        keep = min(0.98, (i + 1) / (i + 10))
        for key, value in head.state_dict().items():
            if value.is_floating_point():
                averaged[key].lerp_(value, 1 - keep)
        if (i + 1) % 20 == 0:
            seconds = time.process_time() - start
            print(f'{i + 1}: loss {np.mean(losses[-20:]):.6f}, {seconds:.0f} s', flush=True)
    state = dict(read_checkpoint(args.checkpoint)['state_dict'])
    state.update({f'head.{key}': value for key, value in averaged.items()})
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.out, 'wb') as file:
        torch.save(dict(state_dict=state, meta=dict(losses=losses)), file)


if __name__ == '__main__':
    main(sys.argv[1:])
