from xml.etree import ElementTree

import numpy as np
import pytest
from interchange_cases import two_people

from diffpose_mm.interchange.cvat import read_cvat, write_cvat


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


def test_read_back(tmp_path):
    """Broken if corrected poses came back as other people, or in other frames."""
    expected = two_people()
    write_cvat(expected, tmp_path / 'walk.xml')
    found = read_cvat(tmp_path / 'walk.xml', 'posetrack17')
    assert found.frames.tolist() == list(range(8)) and found.image_size == (1280, 720)
    order = np.lexsort([expected.track, expected.frame])
    assert found.track.tolist() == expected.track[order].tolist()
    np.testing.assert_allclose(found.points, expected.points[order], atol=1e-3)
    assert found.keypoints == expected.keypoints and found.absent == expected.absent
    assert np.nanmin(found.scores) == np.nanmax(found.scores) == 1


EXPORT = """<annotations><track id="0" label="person"><skeleton frame="1" keyframe="1">
<points label="nose" outside="0" occluded="1" points="1.5,2.5"/>
<points label="tail" outside="1" points="3,4"/></skeleton>
<skeleton frame="2" keyframe="0"><points label="nose" outside="1" points="1,2"/></skeleton>
</track><track id="1" label="ball"><box frame="0" xtl="1" ytl="1" xbr="2" ybr="2"/></track>
</annotations>
"""


def test_a_file_of_cvat(tmp_path):
    """Broken if points behind something were lost, or those outside were poses."""
    (tmp_path / 'a.xml').write_text(EXPORT)
    table = read_cvat(tmp_path / 'a.xml')
    assert table.keypoints == ('nose', 'tail') and table.frame.tolist() == [1]
    assert table.points[0, 0].tolist() == [1.5, 2.5] and table.present.tolist() == [[True, False]]


@pytest.mark.parametrize(
    'text, words',
    [
        (EXPORT[:200], 'is not XML, or was cut short'),
        ('<annotations><image id="0"/></annotations>', 'has no track with a skeleton'),
        (EXPORT.replace(' frame="1"', ''), "an element has no 'frame'"),
        (EXPORT.replace('1.5,2.5', '1.5'), 'not enough values'),
    ],
)
def test_bad_files_are_named(tmp_path, text, words):
    """Broken if a file of boxes, or half of one, were a traceback."""
    (tmp_path / 'a.xml').write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        read_cvat(tmp_path / 'a.xml')
    assert str(error.value).startswith(f'{tmp_path / "a.xml"}: ')
