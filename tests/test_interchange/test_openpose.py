import json
import re

import numpy as np
from interchange_cases import two_people

from diffpose_mm.interchange.formats import POSE_FORMATS
from diffpose_mm.interchange.openpose import write_openpose
from diffpose_mm.keypoint_sets import keypoint_set


def read(folder):
    """Frame number -> people, as its readers do: sorted by the number in the name."""
    files = sorted(folder.iterdir(), key=lambda f: int(re.findall(r'\d+', f.name)[-1]))
    return [json.loads(file.read_text())['people'] for file in files]


def test_every_frame_has_a_file(tmp_path):
    """Broken if readers, who count files, came out of step with the video."""
    write_openpose(two_people().in_set('coco17'), tmp_path / 'o', 'walk')
    assert (tmp_path / 'o/walk_000000000007_keypoints.json').is_file()
    people = read(tmp_path / 'o')
    assert [len(found) for found in people] == [1, 2, 2, 2, 2, 1, 2, 0]
    assert [p['person_id'] for p in people[3]] == [[3], [7]]


def test_keypoints_are_in_the_order_of_the_set(tmp_path):
    """Broken if PoseTrack's neck were taken for an eye, or NaN reached a reader."""
    table = two_people()
    written = POSE_FORMATS['openpose'].fitted(table)
    assert written.set_name == 'coco17'
    write_openpose(written, tmp_path / 'o', 'walk')
    triples = np.reshape(read(tmp_path / 'o')[2][1]['pose_keypoints_2d'], (17, 3))
    assert np.isfinite(triples).all()
    pose = np.flatnonzero((table.frame == 2) & (table.track == 7))[0]
    assert (triples[:5] == 0).all()  # its nose is missing, eyes and ears absent
    np.testing.assert_allclose(triples[5:, :2], table.points[pose, 5:])
    np.testing.assert_allclose(triples[5:, 2], table.scores[pose, 5:])


def test_body25_stays(tmp_path):
    """Broken if feet were lost to a set without them."""
    body25 = two_people(keypoint_set('body25'))
    assert POSE_FORMATS['openpose'].fitted(body25).set_name == 'body25'


def test_shorter_video_leaves_no_frames_of_a_longer_one(tmp_path):
    """Broken if the last frames of an earlier export were read as those of this video."""
    (tmp_path / 'o').mkdir()
    (tmp_path / 'o/notes.txt').write_text('mine')
    write_openpose(two_people().in_set('coco17'), tmp_path / 'o', 'walk')
    write_openpose(two_people(num_frames=5).in_set('coco17'), tmp_path / 'o', 'walk')
    assert (tmp_path / 'o/notes.txt').read_text() == 'mine'
    assert len(list((tmp_path / 'o').glob('*.json'))) == 5


def test_people_without_keypoints_are_left_out(tmp_path):
    """Broken if a person of zeros hid the real one from a reader that takes the first."""
    table = two_people().in_set('coco17')
    table.points[table.track == 3] = np.nan
    write_openpose(table, tmp_path / 'o', 'walk')
    assert [len(found) for found in read(tmp_path / 'o')] == [0, 1, 1, 1, 1, 0, 1, 0]
