import json

import numpy as np
from interchange_cases import assert_same, two_people

from diffpose_mm.interchange.coco import read_coco
from diffpose_mm.interchange.posetrack_folder import write_posetrack
from diffpose_mm.posetrack.official_files import read_video
from diffpose_mm.posetrack.report import Report


def test_official_reader_takes_it(tmp_path):
    """Broken if the folder were not what PoseTrack's programs read as a video."""
    table = two_people()
    write_posetrack(table, tmp_path / 'p', 'walk')
    report = Report()
    video = read_video(tmp_path / 'p/walk.json', 18, 0, report)
    assert video.name == 'walk' and len(video.images) == 8
    assert [a['track_id'] for a in video.annotations] == table.track.tolist()
    numbers = [int(image['file_name'][-10:-4]) for image in video.images]
    assert numbers == list(range(8))
    found = np.reshape([a['keypoints'] for a in video.annotations], (-1, 17, 3))[..., :2]
    np.testing.assert_allclose(found, np.nan_to_num(table.points))


def test_every_joint_has_a_score(tmp_path):
    """Broken if poseval, which ranks joints by scores, gave all of them the lowest."""
    write_posetrack(two_people(), tmp_path / 'p', 'walk')
    content = json.loads((tmp_path / 'p/walk.json').read_text())
    scores = np.array([a['scores'] for a in content['annotations']])
    np.testing.assert_allclose(scores, np.nan_to_num(two_people().scores))
    assert all(a['id'] > 0 and a['area'] > 0 for a in content['annotations'])


def test_read_back(tmp_path):
    """Broken if a submission could not be looked at or smoothed."""
    write_posetrack(two_people(), tmp_path / 'p', 'walk')
    lost = ('deviations', 'box_scores', 'fps', 'skeleton')
    assert_same(read_coco(tmp_path / 'p'), two_people(), but=lost)
