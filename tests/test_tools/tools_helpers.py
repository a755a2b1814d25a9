"""How the tests of the tools run them: small, on one core."""

import os.path as osp

CONFIG_DIR = osp.join(osp.dirname(__file__), '..', '..', 'configs')
CONFIG = osp.join(CONFIG_DIR, 'diffpose_synthetic.py')
SMALL = [
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.interval=1',
    'model.test_cfg.sampling_steps=1',
    'model.test_cfg.flip_test=False',
]


def arguments(*argv, data_root, work_dir, options=()):
    """Command line of a small run."""
    return [
        *map(str, argv),
        '--data-root',
        str(data_root),
        '--work-dir',
        str(work_dir),
        '--cfg-options',
        *SMALL,
        *options,
    ]
