"""The tool that makes the page of predictions. Beside the tiny model, which it shares."""

import os

import pytest
from apis_helpers import tool_arguments

from diffpose_mm.tools import infer, report


def test_an_input_is_not_written_over(tiny_model, tmp_path):
    """Broken if --out could name the predictions themselves."""
    poses = tmp_path / 'a.json'
    poses.write_text('[]')
    with pytest.raises(SystemExit, match=r'a\.json'):
        report.main([str(poses), '--out', str(poses)])
    assert poses.read_text() == '[]'


def test_report_makes_the_page_beside_the_predictions(tiny_model, video, tmp_path, capsys):
    """Broken if the tool made another page than infer does."""
    infer.main([video, *tool_arguments(tiny_model, '--out', tmp_path, '--no-video')])
    out = report.main([str(tmp_path / 'predictions/walk.json'), '--video', video])
    assert out == str(tmp_path / 'predictions/walk.html')
    with open(out) as made, open(tmp_path / 'report.html') as first:
        assert made.read() == first.read()
    assert report.main([str(tmp_path / 'predictions/walk.json')]) == out
    assert os.path.getsize(out) < os.path.getsize(tmp_path / 'report.html')


@pytest.mark.parametrize(
    'more, message',
    [(['--max-size', '0'], 'positive'), (['--keypoints', 'coco18'], 'invalid choice')],
)
def test_arguments_out_of_range_are_refused(more, message, capsys):
    """Broken if they were found out after the video was read."""
    with pytest.raises(SystemExit):
        report.parse_args(['a.json', *more])
    assert message in capsys.readouterr().err
