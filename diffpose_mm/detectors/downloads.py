"""Weights from a fixed address: into torch's cache of downloads, whole and with the right hash."""

import os.path as osp
import re

import torch

from ..weights.downloading import download_file
from .interface import DetectorError


def download(address: str) -> str:
    """The file of an address, from torch's cache if it is there.

    Args:
        address: Of a file whose name ends in the first digits of its SHA-256, as in the zoos of
            OpenMMLab and torchvision: ``NAME-1a2b3c4d.pth``.

    Raises:
        DetectorError: The host does not answer, or the file is not the one of that name.
    """
    folder = osp.join(torch.hub.get_dir(), 'checkpoints')
    path = osp.join(folder, osp.basename(address))
    if osp.isfile(path):
        return path
    try:
        digits = re.search(r'-([0-9a-f]{8,})\.', osp.basename(address))
        download_file(address, path, digits and digits[1])
    except (OSError, ValueError) as error:  # ValueError: another hash
        reason = str(getattr(error, 'reason', None) or error)
        raise DetectorError(
            f'{address} cannot be downloaded ({reason}); a copy from elsewhere may be put to {path}'
        ) from error
    return path
