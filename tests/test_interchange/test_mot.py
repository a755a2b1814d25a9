import configparser

import motmetrics
import numpy as np
from interchange_cases import two_people

from diffpose_mm.interchange.mot import write_mot


def test_motmetrics_reads_the_tracks(tmp_path):
    """Broken if frames or people were shifted by one, or boxes were corners."""
    table = two_people()
    write_mot(table, tmp_path / 'm', 'walk')
    # It knows that they count pixels from 1, and gives them from 0.
    frame = motmetrics.io.loadtxt(tmp_path / 'm/walk.txt', fmt='mot15-2D')
    assert len(frame) == len(table)
    for pose in range(len(table)):
        row = frame.loc[(table.frame[pose] + 1, table.track[pose] + 1)]
        x1, y1, x2, y2 = table.boxes[pose]
        expected = [x1, y1, x2 - x1, y2 - y1, table.pose_score(pose)]
        found = row[['X', 'Y', 'Width', 'Height', 'Confidence']].astype(float)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_sequence(tmp_path):
    """Broken if an evaluation ended with the last person and not with the video."""
    write_mot(two_people(), tmp_path / 'm', 'walk')
    info = configparser.ConfigParser()
    info.read(tmp_path / 'm/seqinfo.ini')
    assert info['Sequence']['seqLength'] == '8' and info['Sequence']['name'] == 'walk'
    assert info['Sequence']['imWidth'] == '1280' and float(info['Sequence']['frameRate']) == 25
