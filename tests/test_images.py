"""Pictures as they are to be seen."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from diffpose_mm.images import damage_of, read_image


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif', 'webp'])
def test_every_orientation_of_exif_is_applied(tmp_path, suffix, orientation):
    """Broken if a phone's picture is posed lying on its side; the reference is Pillow's."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:20, :30] = 200
    picture[-8:, -8:] = (90, 160, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'a.{suffix}'
    more = dict(lossless=True) if suffix == 'webp' else {}
    Image.fromarray(picture).save(path, exif=exif, **more)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))[..., ::-1]
    found = read_image(str(path))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < (3 if suffix == 'jpg' else 0.01)


def test_a_png_with_something_behind_it_is_whole(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(path)
    data = path.read_bytes()
    assert damage_of(data + bytes(100)) is None
    assert damage_of(data[:-20]) == 'is a truncated PNG'
