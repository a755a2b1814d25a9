"""From files to a page."""

import numpy as np
import pytest
import report_cases as cases

from diffpose_mm.report import make_report
from diffpose_mm.video_writer import VideoWriter


@pytest.fixture
def poses(tmp_path):
    return cases.write(tmp_path / 'a.json', cases.entries([[cases.person(0)]] * 12))


def test_a_page_has_poses_and_video(poses, tmp_path):
    """Broken if the parts did not come together."""
    video = cases.write_video(tmp_path / 'a.mp4', None)
    report = make_report(poses, video)
    report.write(tmp_path / 'a.html')
    page = cases.Page((tmp_path / 'a.html').read_bytes())
    assert page.video == video.read_bytes() and len(page.array('times')) == 12
    assert '<h1>walk.mp4</h1>' in page.text
    assert '12 frames, 12 poses, with the video itself' in report.summary()


def test_poses_alone_make_a_page(poses):
    """Broken if a page needed the video, which is not always at hand."""
    report = make_report(poses)
    assert cases.Page(report.page).video is None and 'without the video' in report.summary()


def test_the_bound_holds_for_the_whole_page(poses, tmp_path):
    """Broken if the video were bounded and the page, a third larger, were not."""
    generator = np.random.default_rng(0)
    writer = VideoWriter(str(tmp_path / 'noise.mp4'), 10)
    for _ in range(12):
        writer.write(generator.integers(0, 255, (90, 120, 3), np.uint8))
    writer.close()
    whole = make_report(poses, tmp_path / 'noise.mp4')
    assert not whole.video.is_copy
    bound = len(whole.page) - len(whole.video.data) // 2
    report = make_report(poses, tmp_path / 'noise.mp4', bound / 1e6)
    assert report.video.is_copy and len(report.page) <= bound


def test_a_bound_below_the_poses_is_refused(poses, tmp_path):
    """Broken if a page came out without a word about what it lacks."""
    video = cases.write_video(tmp_path / 'a.mp4', None)
    with pytest.raises(ValueError, match='give a larger --max-size'):
        make_report(poses, video, 0.01)
    with pytest.raises(ValueError, match='max_megabytes=0'):
        make_report(poses, video, 0)


def test_a_page_that_cannot_be_written_leaves_what_was_there(poses, tmp_path):
    """Broken if a failed run took the last page away."""
    report = make_report(poses)
    with pytest.raises(OSError, match='The predictions are kept'):
        report.write(tmp_path / 'no_folder' / 'a.html')
