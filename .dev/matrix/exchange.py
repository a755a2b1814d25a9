"""What one cell wrote is read in another, bit for bit.

    exchange.py write CELL            digests of what its smoke run left, and a log of predictions
    exchange.py read CELL OTHERS...   the same digests here; training goes on from their checkpoint,
                                      and a finished log of predictions is recognised as finished

A digest is taken of what was loaded, not of the file: every tensor, array, history and number in a
checkpoint, and every value in a log.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from diffpose_mm.engine import read_checkpoint

CONFIG = 'configs/diffpose_synthetic.py'


def feed(digest, value):
    """Add a value to a digest, with its type and shape, down to the last bit."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        digest.update(f'tensor {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b'')
    elif isinstance(value, np.ndarray):
        digest.update(f'array {value.dtype} {value.shape}'.encode() + value.tobytes())
    elif isinstance(value, np.generic):
        digest.update(f'{value.dtype}'.encode() + value.tobytes())
    elif isinstance(value, HistoryBuffer):
        for part in value.data:
            feed(digest, np.asarray(part))
    elif isinstance(value, dict):
        for key in sorted(value, key=repr):
            feed(digest, key)
            feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        digest.update(f'{type(value).__name__} {len(value)}'.encode())
        for part in value:
            feed(digest, part)
    else:
        digest.update(f'{type(value).__name__} {value!r}'.encode())


def digest_of(value):
    """Of anything that can be in a checkpoint or a log."""
    digest = hashlib.sha256()
    feed(digest, value)
    return digest.hexdigest()


def digests(cell):
    """Name -> digest of everything that a cell's smoke run left to be read."""
    train = cell / 'train'
    found = {
        path.name: digest_of(read_checkpoint(str(path))) for path in sorted(train.glob('*.pth'))
    }
    for path in sorted(train.glob('*/vis_data/*.json')):
        lines = path.read_text().splitlines()
        found[path.name] = digest_of([json.loads(line) for line in lines])
    for path in sorted((cell / 'poses').rglob('*.json')):
        found[f'poses/{path.name}'] = digest_of(json.loads(path.read_text()))
    for name, what in (('.pth', 'checkpoint'), ('scalars.json', 'log'), ('poses/', 'poses')):
        assert any(name in path for path in found), f'{cell} has no {what}'
    return found


def tool(*arguments):
    """Run a tool of the package; raises with its last words."""
    command = [sys.executable, '-W', 'ignore', '-m', 'diffpose_mm', *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f'{command}: {done.stderr[-2000:]}'
    return done


def infer(cell, out, *more):
    """Poses of one of the cell's videos, by the cell's own checkpoint."""
    video = min(path for path in (cell / 'smoke/images').glob('*/*') if path.is_dir())
    return tool(
        'infer', video, '--as-clip', '--config', CONFIG, '--checkpoint', cell / 'train/epoch_1.pth',
        '--det-model', 'whole_image', '--device', 'cpu', '--out', out, *more,
    )  # fmt: skip


def write(cell):
    """Add poses to what the smoke run left, and the digests of it all."""
    shutil.rmtree(cell / 'poses', ignore_errors=True)
    infer(cell, cell / 'poses')
    (cell / 'exchange.json').write_text(json.dumps(digests(cell)))


def read(cell, other):
    """Raises unless all that another cell left can be read and gone on with here."""
    recorded, here = json.loads((other / 'exchange.json').read_text()), digests(other)
    assert here == recorded, (
        f'{other.name}: read otherwise: {set(recorded.items()) ^ set(here.items())}'
    )
    copy = cell / 'from_others'
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(other / 'train', copy / 'train')
    shutil.copytree(other / 'poses', copy / 'poses')
    tool(
        'train', CONFIG, '--data-root', other / 'smoke', '--work-dir', copy / 'train',
        '--resume', other / 'train/epoch_1.pth',
        '--cfg-options', 'train_cfg.max_epochs=2', 'train_cfg.val_interval=2',
    )  # fmt: skip
    state = read_checkpoint(str(copy / 'train/epoch_2.pth'))
    assert state['meta']['epoch'] == 2
    infer(other, copy / 'poses', '--resume')
    before = {path.name: path.read_bytes() for path in (other / 'poses').rglob('*.json')}
    after = {path.name: path.read_bytes() for path in (copy / 'poses').rglob('*.json')}
    assert before == after, f'{other.name}: a finished log was written again, with other poses'


def main():
    """Write or read, as the first argument says."""
    command, cell, *others = sys.argv[1], *map(Path, sys.argv[2:])
    if command == 'write':
        write(cell)
        return
    for other in others:
        read(cell, other)
    shutil.rmtree(cell / 'from_others', ignore_errors=True)
    print(json.dumps([other.name for other in others]))


if __name__ == '__main__':
    main()
