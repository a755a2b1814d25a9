"""Make a checkpoint small enough to ship: weights alone, in float16, with where they come from.

``python projects/demo/publish.py WORK_DIR/epoch_4.pth projects/demo/checkpoints/NAME.pth``
"""

import argparse
import re
from pathlib import Path

import torch

from diffpose_mm.engine import read_checkpoint

LIMIT = 12 * 2**20
KEPT_META = (
    *('cfg', 'dataset_meta', 'epoch', 'iter', 'seed', 'mmengine_version', 'time'),
    'spread_calibration',
)


def publish(source: str, target: str) -> int:
    """Write the averaged weights of a training checkpoint; returns the size in bytes.

    Raises:
        ValueError: If the file would be larger than the 12 MiB that the repository takes.
    """
    checkpoint = read_checkpoint(source)
    weights = {
        key: value.half() if value.is_floating_point() else value
        for key, value in checkpoint['state_dict'].items()
    }
    meta = {key: value for key, value in checkpoint.get('meta', {}).items() if key in KEPT_META}
    if 'cfg' in meta:
        meta['cfg'] = without_paths(meta['cfg'])
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=weights, meta=meta), path)
    size = path.stat().st_size
    if size > LIMIT:
        path.unlink()
        raise ValueError(f'{target} would be {size / 2**20:.1f} MiB, the limit is 12 MiB')
    return size


def without_paths(config: str) -> str:
    """Reduce the absolute paths in the text of a config to their last part."""
    return re.sub(r"(['\"])/[^'\"]*?([^/'\"]+)/?\1", r'\1\2\1', config)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', help='checkpoint of a training run')
    parser.add_argument('target', help='file to write')
    args = parser.parse_args()
    print(f'{args.target}: {publish(args.source, args.target) / 2**20:.1f} MiB')
