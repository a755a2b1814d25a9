"""Images: read from a file with a reason for failure, or taken from an array."""

import io
import os
import re
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine import fileio
from PIL import Image

Fault = tuple[str, str, str]
"""Why a frame was not used: one of ``FAULT_KINDS``, the path, and the reason in words."""

FAULT_KINDS = {
    'missing': 'missing',
    'jump': 'missing where the frame numbers of the video jump',
    'empty': 'of zero bytes',
    'broken': 'broken',
    'unreadable': 'unreadable',
    'size': 'of another size than their keyframe',
}
"""Kinds of faults, with words for "N frames ..."."""

# In the compressed data of a JPEG 0xff is escaped by 0x00; restart markers and fill bytes carry
# nothing.
_JPEG_MARKER = re.compile(rb'\xff([^\x00\xd0-\xd7\xff])')
_JPEG_SEGMENTS = {*range(0xC0, 0xD0), *range(0xDA, 0xE0), *range(0xE0, 0xF0), 0xFE}


def damage_of(data: bytes) -> str | None:
    """Tell from its markers whether an encoded image is cut short or overwritten.

    cv2 decodes a damaged JPEG or PNG without complaint and fills the rest with grey. The markers
    of a JPEG (ITU T.81, annex B) are followed segment by segment, so that neither the end marker of
    an embedded thumbnail counts nor one that is left of an older file. Zeros in the midst of
    compressed data leave the markers as they were, and are not noticed.

    Args:
        data (bytes): The file.

    Returns:
        str | None: What is wrong; None for a complete file and for formats that are not checked.
    """
    if not data:
        return 'is empty'
    if data[:2] == b'\xff\xd8':
        position = 2
        while match := _JPEG_MARKER.search(data, position):
            marker = match[1][0]
            if marker == 0xD9:
                return None
            if marker not in _JPEG_SEGMENTS:
                return f'is a corrupt JPEG (marker 0x{marker:02x} at byte {match.start()})'
            position = match.end() + int.from_bytes(data[match.end() : match.end() + 2], 'big')
        return 'is a truncated JPEG'
    # The last chunk with its check sum; cameras and editors may write behind it.
    if data[:4] == b'\x89PNG' and b'IEND\xaeB`\x82' not in data:
        return 'is a truncated PNG'
    return None


def to_bgr(image: Any, where: str) -> np.ndarray:
    """Bring an array to HxWx3 uint8.

    Grey becomes three equal channels, a fourth channel is dropped, floats of [0, 1] and 16 bit
    integers are scaled to [0, 255]. Three channels are taken for BGR.

    Args:
        image: The array.
        where: What to call it in an error.

    Raises:
        TypeError: Not an array.
        ValueError: Another shape or type, an empty array, or numbers out of range.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f'{where} is {type(image).__name__}, not an array or the path of an image')
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ValueError(
            f'{where} has shape {image.shape}; an image is (H, W), (H, W, 1), (H, W, 3) in BGR '
            'order or (H, W, 4)'
        )
    image = image[..., :3] if image.shape[2] > 1 else np.repeat(image, 3, axis=2)
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if image.dtype == bool:
        image = image * np.uint8(255)
    elif image.dtype == np.uint16:
        image = image // 257
    elif np.issubdtype(image.dtype, np.number):
        low, high = float(image.min()), float(image.max())
        # The comparison is false for NaN too.
        if not (low >= 0 and high <= 255):
            raise ValueError(
                f'{where} is {image.dtype} with values from {low:g} to {high:g}; give [0, 1] or '
                '[0, 255]'
            )
        if np.issubdtype(image.dtype, np.floating) and high <= 1:
            image = image * 255
        image = np.rint(image)
    else:
        raise ValueError(f'{where} is of type {image.dtype}; an image holds numbers')
    return np.ascontiguousarray(image.astype(np.uint8))


def decode_image(
    path: str, imdecode_backend: str = 'cv2', backend_args: dict | None = None
) -> np.ndarray | Fault:
    """Read an image as (H, W, 3) uint8, BGR, turned as its EXIF orientation says; or say why not.

    Args:
        path: The file.
        imdecode_backend: Backend of ``mmcv.imfrombytes``.
        backend_args: Arguments of mmengine's file backend.
    """
    try:
        data = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError:
        return 'missing', path, 'does not exist'
    except OSError as error:
        return 'unreadable', path, f'cannot be read ({error})'
    if not data:
        return 'empty', path, 'is empty'
    reason = damage_of(data)
    if reason is None:
        try:
            if data[:4] == b'RIFF' and data[8:12] == b'WEBP':
                image = _upright_webp(data)
            else:
                image = mmcv.imfrombytes(data, flag='color', backend=imdecode_backend)
        except (cv2.error, OSError, ValueError):
            # cv2 raises at sizes beyond its limit, Pillow at whatever it cannot read.
            image = None
        if image is not None:
            return image
        reason = 'is not an image that can be decoded'
    return 'broken', path, reason


def _upright_webp(data: bytes) -> np.ndarray | None:
    """A WebP picture turned as its EXIF says, which OpenCV does in some releases alone."""
    image = mmcv.imfrombytes(data, flag='color_ignore_orientation', backend='cv2')
    orientation = Image.open(io.BytesIO(data)).getexif().get(0x0112, 1)
    if image is None or orientation not in range(2, 9):
        return image
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def read_image(path: str) -> np.ndarray:
    """Read an image as (H, W, 3) uint8, BGR, turned as its EXIF orientation says.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: It is cut short, or not an image that can be decoded.
    """
    image = decode_image(path)
    if not isinstance(image, tuple):
        return image
    kind, _, reason = image
    if kind == 'missing':
        raise FileNotFoundError(f'image {path} does not exist (in {os.getcwd()})')
    raise (OSError if kind == 'unreadable' else ValueError)(f'{path} {reason}')
