"""The page of a run of `infer`."""

from apis_helpers import tool_arguments

from diffpose_mm.tools import infer


def test_infer_writes_a_page_of_a_video(tiny_model, video, tmp_path):
    """Broken if a user had to ask for what shows the poses best."""
    done = infer.main([video, *tool_arguments(tiny_model, '--out', tmp_path, '--no-video')])
    page = (tmp_path / 'report.html').read_text()
    assert str(tmp_path / 'report.html') in done['files']
    assert '<h1>walk.avi</h1>' in page and 'id="video-file"' in page


def test_the_page_is_made_of_the_predictions_whatever_else_is_json(tiny_model, video, tmp_path):
    """Broken if a format that writes JSON too took the page, or no JSON ended the run."""
    options = tool_arguments(tiny_model, '--out', tmp_path, '--no-video', '--format', 'csv')
    assert infer.main([video, *options])['frames'] == 7
    assert not (tmp_path / 'report.html').exists()
    infer.main([video, *options, 'json'])
    assert (tmp_path / 'report.html').exists()


def test_infer_writes_none_where_it_is_not_wanted(tiny_model, video, tmp_path):
    """Broken if --no-report did nothing."""
    infer.main([video, *tool_arguments(tiny_model, '--out', tmp_path, '--no-video', '--no-report')])
    assert not (tmp_path / 'report.html').exists()


def test_a_page_that_fails_does_not_fail_the_run(tiny_model, video, tmp_path):
    """Broken if poses of a long video ended in an error because a page did not fit."""
    options = ('--out', tmp_path, '--no-video', '--report-size', '0.05')
    done = infer.main([video, *tool_arguments(tiny_model, *options)])
    assert done['frames'] == 7 and not (tmp_path / 'report.html').exists()
