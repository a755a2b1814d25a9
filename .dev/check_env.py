"""Imports what the set-up installed; with --devices, says what torch and mmcv can run on."""

import importlib
import sys

import torch


def devices():
    """One line: Python, torch, GPU and the kind of mmcv operators."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'
    from mmcv.ops import get_compiling_cuda_version

    cuda = get_compiling_cuda_version()
    ops = 'CPU operators' if 'not available' in cuda.lower() else f'CUDA {cuda} operators'
    python = '.'.join(map(str, sys.version_info[:3]))
    return f'Python {python}, torch {torch.__version__} ({gpu}), mmcv with {ops}'


if __name__ == '__main__':
    if '--devices' in sys.argv:
        print(devices())
    else:
        for name in ('mmcv.ops', 'mmpose.apis', 'mmdet.apis', 'mmpretrain', 'mim', 'xtcocotools'):
            importlib.import_module(name)
            print('imported', name)
