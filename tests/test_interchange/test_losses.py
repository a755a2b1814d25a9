import numpy as np
import pytest
from interchange_cases import two_people

from diffpose_mm.interchange import POSE_FORMATS, losses


@pytest.mark.parametrize(
    'name, said, unsaid',
    [
        ('json', (), ('times', 'spread', 'boxes', 'frames', 'numbers')),
        ('csv', ('frames without people',), ('times', 'spread', 'boxes')),
        ('coco', ('spread', 'scores of the boxes'), ('times', 'without people', 'keypoints head')),
        ('openpose', ('times', 'spread', 'keypoints head_bottom, head_top'), ('numbers',)),
        ('deeplabcut-csv', ('times', 'spread', 'boxes'), ('without people', 'keypoints head')),
        ('mot', ('all keypoints', 'times'), ('without people', 'numbers')),
        ('cvat', ('scores of the keypoints', 'times'), ('numbers',)),
    ],
)
def test_what_is_lost_is_said(name, said, unsaid):
    """Broken if a loss were found out by a wrong analysis, or one were said that is none."""
    found = '; '.join(losses(two_people(), POSE_FORMATS[name]))
    for words in said:
        assert words in found
    for words in unsaid:
        assert words not in found


def test_nothing_is_said_of_what_is_not_there():
    """Broken if warnings came whatever the file holds, so that nobody reads them."""
    table = two_people(image_size=(640, 480))
    table.deviations[:] = np.nan
    table.boxes[:] = np.nan
    table.box_scores[:] = np.nan
    table.times[:] = table.frames / 25
    assert losses(table, POSE_FORMATS['deeplabcut-csv']) == []


def test_hypotheses_are_lost_in_all(tmp_path):
    """Broken if samples that were asked for went missing without a word."""
    table = two_people(left_out=('hypotheses',))
    for made in POSE_FORMATS.values():
        assert 'hypotheses' in losses(table, made)
