"""What is in the file of a page; that a browser shows it, projects/report/browser_test.py tests."""

import hashlib
import re

import numpy as np
import pytest
import report_cases as cases

from diffpose_mm.report.embedded_video import EmbeddedVideo
from diffpose_mm.report.page import SCRIPTS, STYLES, asset, build_page, poses_bytes, shell_bytes
from diffpose_mm.report.predictions import read_predictions

PEOPLE = [
    [cases.person(0, spread=1.5, hypotheses=3), cases.person(2, 7.5, spread=0.5, hypotheses=3)],
    [],
    [cases.person(2, 9.0, score=0.4, spread=6.0, hypotheses=3)],
]


@pytest.fixture
def predictions(tmp_path):
    return read_predictions(cases.write(tmp_path / 'a.json', cases.entries(PEOPLE)))


def build(predictions, video=None, max_bytes=10**7, title='walk', **more):
    return cases.Page(build_page(predictions, video, max_bytes, title, **more))


def test_the_numbers_of_the_page_are_those_of_the_predictions(predictions):
    """Broken if a joint were drawn, or plotted, where the JSON does not have it."""
    page = build(predictions)
    for name in ('points', 'boxes', 'deviations', 'hypotheses'):
        values = getattr(predictions, name)
        # Half a step of the 16-bit numbers.
        np.testing.assert_allclose(
            page.array(name).reshape(values.shape), values, atol=np.abs(values).max() / 65_000
        )
    np.testing.assert_allclose(
        page.array('scores').reshape(predictions.scores.shape) / 255, predictions.scores, atol=0.002
    )
    assert page.array('starts').tolist() == [0, 2, 2, 3]
    assert page.array('tracks').tolist() == [0, 2, 2]
    np.testing.assert_array_equal(page.array('times'), predictions.times)
    facts = page.facts
    assert facts['shape'] == [3, 3, 3] and facts['keypoints'] == cases.NAMES
    assert facts['gaps'] == [[1, 1, 'nobody']] and facts['moments'][0]['place'] == 2
    assert facts['video'] is None and page.video is None


def test_coordinates_beside_the_picture_stay_there(tmp_path):
    """Broken if joints outside the picture, which models give, were moved to its edge."""
    frames = cases.entries([[cases.person(0, shift=-4000.0)]])
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    page = build(found)
    np.testing.assert_allclose(page.array('points').reshape(1, 3, 2), found.points, atol=0.07)


def test_the_video_comes_along_with_its_own_times(predictions):
    """Broken if poses were shown with the pictures of other frames."""
    data = bytes(range(256)) * 5
    video = EmbeddedVideo(data, 'video/mp4', predictions.times + 0.5, True, (60, 44))
    page = build(predictions, video)
    assert page.video == data and page.facts['video'] == dict(kind='video/mp4', copy=True)
    np.testing.assert_allclose(page.array('pictureTimes'), predictions.times + 0.5)


def policy(page):
    (found,) = (a['content'] for _, a in page.elements if a.get('http-equiv'))
    return found


def test_the_page_needs_nothing_from_elsewhere(predictions):
    """Broken if it did not open offline, or told anybody that it was opened."""
    page = build(predictions)
    for _, attributes in page.elements:
        places = [attributes.get(name, '') for name in ('src', 'href', 'action', 'data')]
        assert all(place in ('', 'data:,') for place in places), attributes
    assert not re.search(r'@import|url\(', ''.join(map(asset, STYLES)))
    assert "default-src 'none'" in policy(page) and "connect-src 'none'" in policy(page)
    live = build(predictions, live=dict(reason='no steps'))
    assert "connect-src 'self'" in policy(live) and live.facts['live'] == dict(reason='no steps')


def test_names_are_text_whatever_is_in_them(tmp_path):
    """Broken if a file name or a joint's name could run as a script."""
    evil = '</script><script>alert(1)</script><img src=x>'
    frames = cases.entries([[cases.person(0)]], keypoints=[evil, 'b', 'c'])
    frames[0]['fault'] = evil
    found = read_predictions(cases.write(tmp_path / 'a.json', frames))
    page = build(found, title=evil)
    assert page.facts['keypoints'][0] == evil
    assert not [tag for tag, _ in page.elements if tag == 'img']
    assert len(page.scripts) == len(SCRIPTS)


def test_scripts_find_what_they_look_for(predictions):
    """Broken if an element were renamed in the page and not in the scripts, or twice there."""
    page = build(predictions)
    assert len(page.ids) == len(set(page.ids))
    assert len(page.asked_ids) > 20 and not page.asked_ids - set(page.ids)


def test_controls_have_names_and_labels_have_controls(predictions):
    """Broken if somebody who hears the page could not tell what a control does."""
    page = build(predictions)
    labels = {a['for'] for tag, a in page.elements if tag == 'label' and 'for' in a}
    assert labels <= set(page.ids)
    in_label = set(re.findall(r'<label>[^\n]*?<(?:input|select)[^>]* id="([\w-]+)"', page.text))
    for tag, attributes in page.elements:
        if tag in ('input', 'select'):
            name = attributes['id']
            assert 'aria-label' in attributes or name in labels | in_label, name
    assert ('html', dict(lang='en')) in page.elements
    assert any(a.get('name') == 'viewport' for _, a in page.elements)


def test_hypotheses_that_do_not_fit_are_left_out_and_said(predictions):
    """Broken if a page grew beyond its bound, or lost something in silence."""
    whole = build(predictions)
    bound = len(whole.text.encode()) - 10
    page = build(predictions, max_bytes=bound)
    assert len(page.text.encode()) <= bound
    assert 'array-hypotheses' not in page.blocks and page.facts['shape'] == [3, 3, 0]
    assert 'hypotheses are left out' in page.facts['notes'][0]
    with pytest.raises(ValueError, match='larger --max-size'):
        build(predictions, max_bytes=1000)


def test_the_size_is_known_before(predictions):
    """Broken if the video took the room that the poses need."""
    predictions.hypotheses = None
    size = len(build(predictions).text.encode())
    expected = shell_bytes() + poses_bytes(predictions)
    assert 0 <= expected - size < 8192


def test_the_plotting_library_is_the_published_one():
    """Broken if uPlot were changed, or its licence lost, on the way."""
    table = dict(re.findall(r'`(?:dist/)?([\w.]+)` \| `(\w{64})`', asset('uplot/README.md')))
    assert set(table) == {'uPlot.iife.min.js', 'uPlot.min.css', 'LICENSE'}
    for name, digest in table.items():
        assert hashlib.sha256(asset(f'uplot/{name}').encode()).hexdigest() == digest
    assert 'MIT' in asset('uplot/LICENSE')


def test_the_licence_is_in_every_page(predictions):
    """Broken if pages went round with a library and without its licence."""
    assert asset('uplot/LICENSE') in build(predictions).text


def test_own_scripts_are_of_a_size_that_is_read():
    """Broken if a script or style of this package grew beyond 400 lines."""
    for name in (*SCRIPTS, *STYLES, 'page.html'):
        if not name.startswith('uplot'):
            assert len(asset(name).splitlines()) <= 400, name
