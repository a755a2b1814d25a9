"""A file from an address, whole or not at all, without waiting for a host that says nothing."""

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import Any

from torch.hub import tqdm

from ..files import atomic_write

SILENT_SECONDS = 10
"""After which a host that sends nothing counts as down; torch.hub would wait for ever."""


def download_file(address: str, target: str | os.PathLike, digits: str | None = None) -> None:
    """Download, with a progress bar.

    Args:
        address: ``https://...``, or another that urllib can open.
        target: The file to write; its folder is made.
        digits: First digits of its SHA-256, compared where given.

    Raises:
        OSError: The host does not answer, falls silent or sends less than it said; or the file
            cannot be written.
        ValueError: The content is not that of ``digits``; or no address.
    """
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    request = urllib.request.Request(address, headers={'User-Agent': 'diffpose_mm'})
    with urllib.request.urlopen(request, timeout=SILENT_SECONDS) as answer:
        length = answer.headers.get('Content-Length')
        size = int(length) if length and length.isdigit() else None
        bar: Any = tqdm(total=size, unit='B', unit_scale=True, unit_divisor=1024)
        with bar, atomic_write(target, 'wb') as file:
            received = 0
            while block := answer.read(1 << 18):
                digest.update(block)
                file.write(block)
                received += len(block)
                bar.update(len(block))
            if size is not None and received != size:
                raise OSError(f'only {received:,} of {size:,} bytes came')
            if digits and not digest.hexdigest().startswith(digits):
                raise ValueError(
                    f'its SHA-256 begins with {digest.hexdigest()[: len(digits)]} and not with '
                    f'{digits}: another file, or a damaged one'
                )
