"""Annotation files: what is read, and what is refused by name and field."""

import json
import os.path as osp
from functools import partial

import numpy as np
import pytest

from diffpose_mm.datasets import (
    PoseTrack18ClipDataset,
)
from diffpose_mm.datasets.body import clip_dataset
from diffpose_mm.datasets.body.clip_annotations import frame_path
from diffpose_mm.videos import split_frame_name

ANN = 'annotations/posetrack18_val.json'


def numbers(info):
    return [split_frame_name(path)[1] for path in info['clip_paths']]


def spoil(key, field, value=None):
    def edit(data):
        if value is None:
            del data[key][0][field]
        else:
            data[key][0][field] = value

    return edit


@pytest.mark.parametrize(
    'edit, message',
    [
        (spoil('images', 'file_name'), "image 10000000 lacks 'file_name'"),
        (spoil('images', 'file_name', 'a/b.jpg'), 'image 10000000.*000007.jpg'),
        (spoil('annotations', 'image_id', 7), 'annotation 1000000000 .*image_id 7'),
        (spoil('annotations', 'keypoints', [1] * 45), "45 values in 'keypoints', not 3 x 17"),
        (lambda data: data['images'], 'holds a list.*bbox_file'),
        (lambda data: dict(annolist=[]), "no list 'images'.*PoseTrack17"),
        (lambda data: dict(images=data['images']), "no list 'annotations'"),
        (
            lambda data: dict(data, annotations=[]),
            'is empty.*12 frames, 12 of them labelled.*a person counts',
        ),
    ],
)
def test_files_that_are_not_posetracks_are_refused_by_name_and_field(
    write_posetrack, edit, message
):
    root = write_posetrack(edit=edit)
    with pytest.raises(ValueError, match=f'(?s){message}') as error:
        PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))
    assert ANN in str(error.value)


def test_missing_and_unreadable_files_are_refused_by_name(write_posetrack):
    root = write_posetrack()
    make = partial(PoseTrack18ClipDataset, data_root=str(root))
    with pytest.raises(FileNotFoundError, match=r'ann_file .*nowhere\.json does not exist'):
        make(ann_file='nowhere.json')
    with pytest.raises(FileNotFoundError, match='bbox_file .*nowhere'):
        make(ann_file=ANN, bbox_file='nowhere.json', test_mode=True)
    with pytest.raises(ValueError, match=r'ann_file .*000000\.jpg is not a JSON file'):
        make(ann_file='images/val/000000_test/000000.jpg')
    with pytest.raises(ValueError, match='folder without .json'):
        make(ann_file='images/val')
    (root / 'boxes.json').write_text('[{"image_id": 10000000, "bbox": [1, 2, 3, 4]}]')
    with pytest.raises(ValueError, match="boxes.json: detection 0 has no field 'category_id'"):
        make(ann_file=ANN, bbox_file='boxes.json', test_mode=True)
    (root / 'boxes.json').write_text('{}')
    with pytest.raises(ValueError, match='boxes.json has to hold a list'):
        make(ann_file=ANN, bbox_file='boxes.json', test_mode=True)
    (root / 'boxes.json').write_text('[]')
    with pytest.raises(ValueError, match='is empty.*boxes.json'):
        make(ann_file=ANN, bbox_file='boxes.json', test_mode=True)


def test_frame_numbers_outside_the_video_widen_its_range(write_posetrack):
    """Otherwise the neighbours of such a keyframe would all be the last frame."""

    def edit(data):
        for img in data['images']:
            img['nframes'] = 2

    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(write_posetrack(edit=edit)))
    assert numbers(data.get_data_info(6)) == [1, 2, 3, 4, 5]


def test_official_files_without_image_sizes_leave_boxes_uncut(write_posetrack):
    def edit(data):
        for img in data['images']:
            del img['width'], img['height']
        data['annotations'][0]['bbox'] = [-5, -5, 500, 400]

    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(write_posetrack(edit=edit)))
    assert data.get_data_info(0)['bbox'].tolist() == [[0, 0, 495, 395]]


def rewrite(root, change, encoding='utf-8', name=ANN):
    """Change an annotation file in place."""
    content = json.loads((root / ANN).read_text())
    change(content)
    (root / name).write_text(json.dumps(content), encoding=encoding)


def infos_of(root, kind=PoseTrack18ClipDataset, ann_file=ANN):
    data = kind(ann_file=ann_file, data_root=str(root), test_mode=True)
    infos = [data.get_data_info(i) for i in range(len(data))]
    for info in infos:
        del info['raw_ann_info']
    return infos


def as_floats(content):
    """As pandas writes numbers of a column with gaps."""
    for img in content['images']:
        img.update(id=float(img['id']), nframes=float(img['nframes']))
    for ann in content['annotations']:
        for name in ('id', 'image_id', 'track_id', 'category_id', 'iscrowd'):
            ann[name] = float(ann[name])


def with_backslashes(content):
    """As os.path.join of Windows writes paths."""
    for img in content['images']:
        img['file_name'] = img['file_name'].replace('/', '\\')


def without_lengths(content):
    for img in content['images']:
        del img['nframes']


@pytest.mark.parametrize(
    'change, encoding',
    [
        (as_floats, 'utf-8'),
        (with_backslashes, 'utf-8'),
        (without_lengths, 'utf-8'),
        (lambda content: None, 'utf-8-sig'),
        (lambda content: None, 'utf-16'),
    ],
)
def test_what_programs_write_differently_gives_the_same_samples(write_posetrack, change, encoding):
    """Broken if pandas' 7.0, Windows' slashes or byte order mark, or a missing length is refused
    or, worse, makes other clips."""
    root = write_posetrack()
    expected = infos_of(root)
    rewrite(root, change, encoding)
    for info, other in zip(infos_of(root), expected, strict=True):
        assert float(info.pop('frame_id')) == other.pop('frame_id')
        np.testing.assert_equal(info, other)


def test_hidden_and_foreign_files_are_no_annotations(write_posetrack):
    """Broken if the ._x.json that macOS leaves on other disks makes a split unreadable."""
    root = write_posetrack(name='annotations/val/all.JSON')
    (root / 'annotations/val/._all.json').write_bytes(b'\0\5\26\7 Mac OS X')
    (root / 'annotations/val/Thumbs.db').write_bytes(b'\xd0\xcf')
    (root / 'annotations/val/__MACOSX').mkdir()
    assert len(infos_of(root, ann_file='annotations/val')) == 24


def test_length_of_a_video_is_that_of_its_frames_on_disk(write_posetrack):
    """Broken if the frames behind the last labelled one are not used as neighbours."""
    root = write_posetrack(num_videos=1, nframes=6, persons=1)
    (root / 'images/val/000000_test/._000009.jpg').write_bytes(b'of macOS')
    (root / 'images/val/000000_test/preview_12.jpg').write_bytes(b'of another video')

    def change(content):
        without_lengths(content)
        content['images'] = [img for img in content['images'] if '000003' in img['file_name']]
        ids = {img['id'] for img in content['images']}
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] in ids]

    rewrite(root, change)
    (info,) = infos_of(root)
    assert (info['frame_range'], info['nframes']) == ((0, 5), 6)
    assert numbers(info) == [1, 2, 3, 4, 5]


def test_single_pictures_are_refused(write_posetrack):
    """Broken if COCO's pictures, whose names are numbers too, pass for a video."""
    root = write_posetrack(num_videos=1, nframes=4)

    def change(content):
        without_lengths(content)
        for place, img in enumerate(content['images']):
            img['file_name'] = f'val2017/{139 + 146 * place:012d}.jpg'

    rewrite(root, change)
    with pytest.raises(ValueError, match='only 4 frames of the numbers 139 to 577 of val2017/'):
        infos_of(root)


def test_frames_from_one_keep_their_numbers_where_all_are_listed(write_posetrack):
    """Broken if a MOT text's frame 1 is put on a frame 0 that is not there."""
    root = write_posetrack(num_videos=1, nframes=4, first=1, persons=1)
    infos = infos_of(root)
    assert {info['frame_range'] for info in infos} == {(1, 4)}
    assert numbers(infos[0]) == [1, 1, 1, 2, 3]


@pytest.mark.parametrize('on_disk', [4, 3])
def test_frames_from_one_keep_their_numbers_where_all_are_on_disk(write_posetrack, on_disk):
    """Broken if a frame 0 is asked for of a video with few labelled frames but all on disk; of one
    that is not complete nobody can tell where it begins."""
    root = write_posetrack(num_videos=1, nframes=4, first=1, persons=1)

    def change(content):
        content['images'] = content['images'][1:2]
        content['annotations'] = content['annotations'][1:2]

    rewrite(root, change)
    if on_disk == 3:
        (root / 'images/val/000000_test/000003.jpg').unlink()
    (info,) = infos_of(root)
    assert info['frame_range'] == ((1, 4) if on_disk == 4 else (0, 3))


def test_numbers_without_leading_zeros_have_their_neighbours(write_posetrack):
    """Broken if frame10.jpg looks for frame09.jpg."""
    root = write_posetrack(num_videos=1, nframes=12, persons=1)

    def change(content):
        for img in content['images']:
            old = root / img['file_name']
            img['file_name'] = f'images/val/000000_test/frame{int(old.stem)}.jpg'
            old.rename(root / img['file_name'])

    rewrite(root, change)
    names = [osp.basename(path) for path in infos_of(root)[10]['clip_paths']]
    assert names == [f'frame{n}.jpg' for n in (8, 9, 10, 11, 11)]


def test_an_unlisted_frame_is_named_as_the_listed_ones():
    """Of 9.jpg and 10.jpg the next is 11.jpg, the one before 8.jpg; .JPG stays with its frame."""
    listed = {9: 'v/9.jpg', 10: 'v/10.JPG'}
    assert frame_path('v/10.JPG', 9, listed) == 'v/9.jpg'
    assert frame_path('v/9.jpg', 11, listed) == 'v/11.jpg'
    assert frame_path('v/10.JPG', 8, listed) == 'v/8.JPG'
    assert frame_path('v/0010.jpg', 8) == 'v/0008.jpg'


def test_an_id_of_two_frames_is_refused(write_posetrack):
    """Broken if the persons of one frame are put on the other."""
    root = write_posetrack()
    rewrite(root, lambda content: content['images'][7].update(id=content['images'][0]['id']))
    with pytest.raises(ValueError, match='image id 10000000 is both .*000000.jpg and .*000001.jpg'):
        infos_of(root)


def test_persons_without_a_box_are_told(write_posetrack, monkeypatch):
    """Broken if half of a data set is left out without a word."""
    said = []
    monkeypatch.setattr(clip_dataset, 'print_log', lambda message, *_: said.append(message))
    root = write_posetrack()
    rewrite(root, lambda content: [a.pop('bbox') for a in content['annotations'][::2]])
    assert len(infos_of(root)) == 12
    assert '12 persons with keypoints have no bbox' in said[0]
    rewrite(root, lambda content: [a.pop('bbox', None) for a in content['annotations']])
    with pytest.raises(ValueError, match='24 persons, 24 of them without bbox'):
        infos_of(root)
