"""What else lies in a download, and how its pictures are measured."""

import shutil

import cv2
import numpy as np
import pytest
from official_posetrack import WRITERS, load, make_truth, write_posetrack17, write_posetrack18
from PIL import Image

from diffpose_mm.datasets import LoadClip, PoseTrack18ClipDataset
from diffpose_mm.evaluation import load_ground_truth
from diffpose_mm.posetrack import find_annotations, prepare


@pytest.mark.parametrize('year', [17, 18, 21])
def test_hidden_and_foreign_files_are_no_data(year, tmp_path):
    """Broken if the files that macOS and Windows leave on a disk make a split unreadable, or if
    they count as frames."""
    src = tmp_path / 'src'
    files = WRITERS[year](src, make_truth())
    expected = prepare(year, src, tmp_path / 'clean', splits=['val'])
    for folder in {path.parent for path in src.rglob('*') if path.is_file()}:
        for path in list(folder.iterdir()):
            path.with_name(f'._{path.name}').write_bytes(b'\0\5\26\7 Mac OS X')
        (folder / '.DS_Store').write_bytes(b'Bud1')
        (folder / 'Thumbs.db').write_bytes(b'\xd0\xcf')
        (folder / '__MACOSX').mkdir()
    report = prepare(year, src, tmp_path / 'out', splits=['val'])
    assert report.as_dict() == expected.as_dict() and not report.needs_attention
    assert load(tmp_path / 'out', year) == load(tmp_path / 'clean', year)
    if year != 17:
        truth = load_ground_truth(files[0].parent)
        assert list(truth.videos) == [file.stem for file in files]


def test_annotation_files_may_end_in_capitals(tmp_path):
    """Broken if X.JSON and X.MAT, as some systems write them, are not there."""
    for form in ('json', 'mat'):
        files = write_posetrack17(tmp_path / form, make_truth(), form=form)
        for file in files:
            file.rename(file.with_suffix(f'.{form.upper()}'))
        report = prepare(17, tmp_path / form, tmp_path / f'out_{form}', splits=['val'])
        assert report.facts['val']['videos'] == 2 and not any(report.found.values())
    assert load(tmp_path / 'out_json', 17)['annotations']
    assert load(tmp_path / 'out_json', 17) == load(tmp_path / 'out_mat', 17)


def test_json_is_preferred_whatever_its_case(tmp_path):
    (file,) = write_posetrack17(tmp_path, make_truth(videos=1), form='mat')
    assert find_annotations(tmp_path, 'val') == [file]
    file.with_suffix('.JSON').write_text('{}')
    assert find_annotations(tmp_path, 'val') == [file.with_suffix('.JSON')]


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_a_byte_order_mark_is_no_damage(tmp_path, encoding):
    """Broken if a file that was saved by an editor of Windows is broken."""
    files = write_posetrack18(tmp_path / 'src', make_truth())
    for file in files:
        file.write_text(file.read_text().replace('images/val/', 'images\\\\val/'), encoding)
    report = prepare(18, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    assert not any(report.found.values())
    names = [image['file_name'] for image in load(tmp_path / 'out', 18)['images']]
    assert all(name.startswith('images/val/') for name in names)
    assert len(load_ground_truth(files[0].parent).videos) == 2


@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_measured_as_they_are_read(tmp_path, orientation):
    """Broken if a phone's picture, which OpenCV turns when it reads it, is measured on its side:
    boxes would be cut to the wrong size."""
    write_posetrack18(tmp_path / 'src', make_truth(videos=1))
    folder = tmp_path / 'src/images/val/000000_mpii_test'
    exif = Image.Exif()
    exif[0x0112] = orientation
    for path in folder.iterdir():
        with Image.open(path) as picture:
            picture.load()
        picture.save(path, exif=exif)
    width, height = cv2.imread(str(folder / '000000.jpg')).shape[1::-1]
    assert (width > height) == (orientation < 5)
    prepare(18, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    sizes = {(image['width'], image['height']) for image in load(tmp_path / 'out', 18)['images']}
    assert sizes == {(width, height)}
    data = PoseTrack18ClipDataset(
        ann_file='annotations/posetrack18_val.json', data_root=str(tmp_path / 'out')
    )
    assert LoadClip()(data.get_data_info(0))['img_shape'] == (height, width)


def test_a_damaged_first_picture_does_not_give_the_size(tmp_path):
    """Broken if a cut file, of which only the header is left, is measured."""
    write_posetrack18(tmp_path / 'src', make_truth(videos=1))
    folder = tmp_path / 'src/images/val/000000_mpii_test'
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / '000000.jpg'), noise)
    (folder / '000000.jpg').write_bytes((folder / '000000.jpg').read_bytes()[:700])
    report = prepare(18, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    assert not report.found['image of another size']
    assert {image['width'] for image in load(tmp_path / 'out', 18)['images']} == {160}


def test_a_copy_of_a_split_beside_it_is_not_read(tmp_path):
    """Archives of macOS hold __MACOSX/ with a shadow of every file."""
    write_posetrack18(tmp_path / 'src', make_truth())
    shutil.copytree(tmp_path / 'src/posetrack_data', tmp_path / 'src/__MACOSX/posetrack_data')
    assert len(find_annotations(tmp_path / 'src', 'val')) == 2
