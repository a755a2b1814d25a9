"""Fields of annotation files: what is repaired, and what is refused."""

import copy

import pytest

from diffpose_mm.posetrack.records import check_records, repair_records, whole_number

CONTENT = dict(
    images=[dict(id=1, file_name='a/000001.jpg', nframes=3)],
    annotations=[dict(id=2, image_id=1, track_id=0, iscrowd=0, keypoints=[1, 2, 1])],
    categories=[dict(id=1, name='person')],
)


def test_whole_numbers_and_slashes_are_repaired_and_nothing_else():
    content = copy.deepcopy(CONTENT)
    content['images'][0].update(id=1.0, nframes=3.0, file_name='a\\000001.jpg', width=2.5)
    content['annotations'][0].update(id=2.0, image_id=1.0, track_id=0.0, area=7.0)
    content['categories'][0]['id'] = 1.0
    repair_records(content)
    expected = copy.deepcopy(CONTENT)
    expected['images'][0]['width'] = 2.5
    expected['annotations'][0]['area'] = 7.0
    assert content == expected
    assert isinstance(content['images'][0]['id'], int)
    check_records('x.json', content, 1, ('id', 'image_id'))


@pytest.mark.parametrize(
    'where, field, value',
    [
        ('images', 'id', 1.5),
        ('images', 'id', float('nan')),
        ('images', 'id', '1'),
        ('images', 'id', True),
        ('images', 'nframes', 0.0),
        ('annotations', 'image_id', float('inf')),
        ('annotations', 'track_id', 0.5),
        ('annotations', 'iscrowd', 'no'),
    ],
)
def test_what_is_no_whole_number_is_refused_by_name(where, field, value):
    """Broken if a repair hides what is wrong."""
    content = copy.deepcopy(CONTENT)
    content[where][0][field] = value
    repair_records(content)
    with pytest.raises(ValueError, match=f'x.json: .*{field} is .*not a valid'):
        check_records('x.json', content, 1, ('id', 'image_id'))


@pytest.mark.parametrize('content', [dict(), dict(images=3), dict(images=[3], annotations=None)])
def test_a_repair_passes_over_what_has_no_records(content):
    before = copy.deepcopy(content)
    repair_records(content)
    assert content == before


def test_large_ids_keep_their_digits():
    """Ids of PoseTrack have up to 15 digits, as many as a float holds."""
    assert whole_number(float(101_283_400_000_099)) == 101_283_400_000_099
    assert whole_number(2.5) == 2.5 and whole_number('2') == '2'
