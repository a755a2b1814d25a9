"""Imports what the set-up installed; with --devices, says what torch and mmcv can run on."""

import importlib
import sys
import warnings

NAMES = ('mmcv.ops', 'mmpose.apis', 'mmdet.apis', 'mmpretrain', 'mim', 'xtcocotools.cocoeval')


def devices():
    """One line: Python, torch, GPU and the kind of mmcv operators."""
    import torch
    from mmcv import _ext

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'no GPU'
    cuda = _ext.get_compiling_cuda_version()
    if not _ext.__file__.endswith('.py'):
        ops = 'CPU operators' if 'not available' in cuda.lower() else f'CUDA {cuda} operators'
    else:
        ops = 'nms alone (no compiled operators)'
    python = '.'.join(map(str, sys.version_info[:3]))
    return f'Python {python}, torch {torch.__version__} ({gpu}), mmcv with {ops}'


def check():
    """Import mmpose first, as somebody else's script does, then the package.

    Ends with one line where the package itself says what is wrong; two OpenCVs, of which it only
    warns, count too.
    """
    for name in NAMES:
        importlib.import_module(name)
        print('imported', name)
    try:
        from diffpose_mm.requirements import check_detector_library, check_requirements

        with warnings.catch_warnings():
            warnings.simplefilter('error', UserWarning)
            check_requirements()
        check_detector_library()
    except (ImportError, UserWarning) as error:
        sys.exit(str(error))
    print('imported diffpose_mm')


if __name__ == '__main__':
    if '--devices' in sys.argv:
        print(devices())
    else:
        check()
