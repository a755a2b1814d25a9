"""Make a small file of a training checkpoint: the averaged weights, and what belongs to them.

Example::

    python projects/demo/ship.py work_dirs/ship/epoch_20.pth \
        projects/demo/checkpoints/diffpose_synthetic.pth
"""

import argparse
from pathlib import Path

import torch

from diffpose_mm.engine import read_checkpoint

META = ('epoch', 'iter', 'seed', 'dataset_meta', 'mmengine_version')


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', help='checkpoint of a training run')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--half', action='store_true', help='store the weights in float16')
    args = parser.parse_args()
    checkpoint = read_checkpoint(args.checkpoint)
    weights = checkpoint['state_dict']
    if args.half:
        weights = {k: v.half() if v.dtype == torch.float32 else v for k, v in weights.items()}
    meta = {key: checkpoint['meta'][key] for key in META if key in checkpoint.get('meta', {})}
    torch.save(dict(meta=meta, state_dict=weights), args.out)
    print(f'{args.out}: {Path(args.out).stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
