from xml.etree import ElementTree

import numpy as np
from interchange_cases import two_people

from diffpose_mm.interchange.cvat import write_cvat


def shown(root, num_frames):
    """Track -> frame -> name -> place, as CVAT shows a video whose keyframes are given."""
    found = {}
    for track in root.iter('track'):
        keys = {int(s.get('frame')): s for s in track.iter('skeleton')}
        frames = found.setdefault(int(track.get('id')), {})
        for frame in range(num_frames):
            before = [n for n in keys if n <= frame]
            if before:
                frames[frame] = {
                    p.get('label'): tuple(map(float, p.get('points').split(',')))
                    for p in keys[max(before)]
                    if p.get('outside') == '0'
                }
    return found


def test_every_pose_is_shown_in_its_frames_alone(tmp_path):
    """Broken if CVAT kept somebody on the screen through a gap, or to the end of the video."""
    table = two_people()
    write_cvat(table, tmp_path / 'walk.xml')
    found = shown(ElementTree.parse(tmp_path / 'walk.xml').getroot(), 8)
    assert sorted(found) == [3, 7]
    for track, poses in table.by_track():
        in_frames = [frame for frame, joints in found[track].items() if joints]
        assert in_frames == table.frame[poses].tolist()
        for pose in poses:
            joints = found[track][table.frame[pose]]
            there = table.present[pose]
            assert sorted(joints) == sorted(n for n, t in zip(table.keypoints, there) if t)
            for name, place in joints.items():
                expected = table.points[pose, table.keypoints.index(name)]
                np.testing.assert_allclose(place, expected, atol=1e-3)


def test_labels_are_those_of_the_points(tmp_path):
    """Broken if points had names that the task does not know."""
    write_cvat(two_people(), tmp_path / 'walk.xml')
    root = ElementTree.parse(tmp_path / 'walk.xml').getroot()
    labels = {label.findtext('name'): label.findtext('parent') for label in root.iter('label')}
    assert labels.pop('person') is None and set(labels.values()) == {'person'}
    for skeleton in root.iter('skeleton'):
        assert {p.get('label') for p in skeleton} == set(labels)
    assert root.findtext('meta/task/size') == '8'
