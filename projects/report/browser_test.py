"""The page in a real browser: the picture, the poses over it, the keys, a phone, a large video.

    python projects/report/browser_test.py [CASE ...] [--shots DIR]

Needs Chromium and its driver (Debian: apt-get install chromium chromium-driver). Selenium is put
into work_dirs/report_browser by pip where the environment has none; nothing else is changed.
"""

import argparse
import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

import cases
import numpy as np
from browser import WORK, Browser, load_selenium

from diffpose_mm.report import make_report

ROOT = Path(__file__).resolve().parents[2]

# The middle of all that is drawn over the picture, CSS pixels of the overlay, and its size.
DRAWN = """
const overlay = document.getElementById('overlay');
const canvas = document.createElement('canvas');
[canvas.width, canvas.height] = [overlay.width, overlay.height];
const pen = canvas.getContext('2d', { willReadFrequently: true });
pen.drawImage(overlay, 0, 0);
const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
let [n, x, y] = [0, 0, 0];
for (let i = 3; i < data.length; i += 4) {
  const weight = data[i];
  if (!weight) continue;
  const at = (i - 3) / 4;
  n += weight;
  x += weight * (at % canvas.width + 0.5);
  y += weight * (Math.floor(at / canvas.width) + 0.5);
}
return n ? [x / n / canvas.width, y / n / canvas.height] : null;
"""

# While it plays: in each callback of a frame, the number of the picture and that of the poses.
RECORD = """
window.recorded = [];
const video = document.getElementById('video');
const look = () => {
  recorded.push([readPicture(), Number(document.body.dataset.frame)]);
  video.requestVideoFrameCallback(look);
};
video.requestVideoFrameCallback(look);
"""


def make_page(name, video, max_megabytes=40.0, picture=True, **more):
    """Write predictions and page of a video; the page, its report and the size of a frame."""
    poses, page = WORK / f'{name}.json', WORK / f'{name}.html'
    size = cases.write_predictions(poses, video, **more)
    report = make_report(poses, video if picture else None, max_megabytes)
    report.write(page)
    return page, report, size


def check_frames(browser, size, count, numbers, has_picture=True):
    """In some frames: picture, number and drawn joint are those of the frame. Worst error, px."""
    browser.choose(1, 2)
    worst = 0.0
    for number in numbers:
        browser.go(number)
        if has_picture:
            assert browser.picture == number, f'picture {browser.picture} as frame {number}'
        drawn = np.array(browser.js(DRAWN)) * size
        expected = np.array(cases.place_of(number, 1, 2, size))
        worst = max(worst, float(np.abs(drawn - expected).max()))
        assert worst < 0.5, f'frame {number}: drawn at {drawn}, JSON says {expected}'
    browser.js("document.getElementById('all-joints').click()")
    return worst


def check_playing(browser, times):
    """Each picture that is shown while it plays has its own poses. How many were looked at.

    Of frames that follow each other faster than the screen is refreshed (60 Hz), the picture may be
    the next one by the time that it is looked at.
    """
    count = len(times)
    browser.go(0)
    browser.js(RECORD)
    browser.press(' ')
    browser.wait(lambda: browser.frame > min(30, count // 2), 'playing')
    browser.press(' ')
    pairs = browser.js('return recorded')
    assert len({a for a, _ in pairs}) > 5, pairs
    wrong = [(a, b) for a, b in pairs if a != b and not 0 < times[a] - times[b] < 1 / 60]
    assert not wrong, wrong
    return len(pairs)


def video_case(name, times, kind, **more):
    """A video of a kind: shown frame by frame and playing, and with clicks on the strip."""

    def case(shots):
        suffix = more.pop('suffix', 'mp4')
        video = WORK / f'{name}.{suffix}'
        cases.write_video(video, times, **more)
        page, report, size = make_page(name, video, empty=(3, 4), hypotheses=4)
        assert report.video.is_copy == (kind == 'copy'), report.summary()
        count = len(times)
        with Browser() as browser:
            browser.open(page.as_uri())
            numbers = [0, 1, 2, 5, count // 2, count - 2, count - 1, 8, 7, 6]
            worst = check_frames(browser, size, count, numbers)
            for share in (0.25, 0.8, 0.031):
                browser.click_at('strip', share)
                expected = int(share * count)
                browser.wait(lambda e=expected: abs(browser.frame - e) <= 1, 'a click on the strip')
                assert browser.picture == browser.frame
            played = check_playing(browser, times)
            browser.check_clean()
            browser.driver.save_screenshot(str(shots / f'{name}.png'))
        return f'{kind}; joints off by at most {worst:.2f} px; {played} pictures while playing'

    return case


def without_video(shots):
    """Poses alone: a timer plays them."""
    video = WORK / 'alone.mp4'
    cases.write_video(video, np.arange(50) / 25)
    page, _, size = make_page('alone', video, picture=False)
    with Browser() as browser:
        browser.open(page.as_uri())
        worst = check_frames(browser, size, 50, [0, 1, 25, 49], has_picture=False)
        browser.go(0)
        browser.press(' ')
        browser.wait(lambda: browser.frame > 20, 'playing')
        browser.check_clean()
    return f'joints off by at most {worst:.2f} px'


def older_browser(shots):
    """A browser that neither tells of its pictures nor reads base64 itself."""
    video = WORK / 'older.mp4'
    cases.write_video(video, UNEVEN, options=dict(bf='0'))
    page, _, size = make_page('older', video)
    removed = (
        'delete HTMLVideoElement.prototype.requestVideoFrameCallback; delete Uint8Array.fromBase64;'
    )
    with Browser() as browser:
        browser.driver.execute_cdp_cmd(
            'Page.addScriptToEvaluateOnNewDocument', dict(source=removed)
        )
        browser.open(page.as_uri())
        assert not browser.js(
            "return 'requestVideoFrameCallback' in document.createElement('video')"
        )
        worst = check_frames(browser, size, 90, [0, 1, 2, 45, 44, 88, 89])
        browser.go(0)
        browser.press(' ')
        browser.wait(lambda: browser.frame > 20, 'playing')
        browser.press(' ')
        browser.check_clean()
    return f'joints off by at most {worst:.2f} px while it stands'


def keyboard(shots):
    """All by keys; every control has a name; Tab reaches each."""
    video = WORK / 'keys.mp4'
    cases.write_video(video, np.arange(60) / 25)
    page, _, _ = make_page('keys', video, hypotheses=3)
    with Browser() as browser:
        browser.open(page.as_uri())
        steps = (
            ('ARROW_RIGHT', 1),
            ('ARROW_RIGHT', 2),
            ('ARROW_LEFT', 1),
            ('END', 59),
            ('HOME', 0),
        )
        for key, frame in steps:
            browser.press(key)
            browser.wait(lambda f=frame: browser.frame == f == browser.picture, key)
        browser.press('ARROW_RIGHT', shift=True)
        browser.wait(lambda: browser.frame == 10, 'shift and right')
        browser.press('u')
        browser.wait(lambda: browser.frame != 10, 'the least certain moment')
        browser.press('p')
        assert browser.js("return document.getElementById('person').value") != ''
        tree = browser.driver.execute_cdp_cmd('Accessibility.getFullAXTree', {})['nodes']
        roles = ('button', 'slider', 'checkbox', 'combobox', 'image', 'DisclosureTriangle')
        controls = [n for n in tree if n.get('role', {}).get('value') in roles]
        nameless = [n for n in controls if not n.get('name', {}).get('value')]
        assert len(controls) > 20 and not nameless, nameless
        reached = set()
        browser.js('document.activeElement.blur()')
        for _ in range(80):
            browser.press('TAB')
            reached.add(browser.js('return document.activeElement.id'))
        wanted = {'first', 'back', 'play', 'forward', 'last', 'speed', 'frame', 'person'}
        assert wanted | {'layer-names', 'threshold'} <= reached, reached
        browser.check_clean()
    return f'{len(controls)} controls, all named'


def phone(shots):
    """390 px wide: nothing sticks out, controls are large enough for a finger."""
    video = WORK / 'phone.mp4'
    cases.write_video(video, np.arange(60) / 25, size=(240, 320))
    page, _, size = make_page('phone', video, hypotheses=3)
    with Browser(390, 844) as browser:
        browser.open(page.as_uri())
        check_frames(browser, size, 60, [0, 30, 59])
        browser.js("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        width = browser.js('return document.documentElement.scrollWidth')
        assert width <= 390, f'the page is {width} px wide'
        small = browser.js(
            "return [...document.querySelectorAll('.buttons button')].filter("
            '(b) => b.getBoundingClientRect().height < 44).length'
        )
        assert not small
        browser.check_clean()
        browser.js("document.querySelectorAll('details').forEach((d) => (d.open = false))")
        browser.driver.save_screenshot(str(shots / 'phone.png'))
    return '390 px'


def large(shots):
    """10,000 frames with 10 people of 17 joints."""
    video = WORK / 'large.mp4'
    if not video.exists():
        cases.write_video(video, np.arange(10_000) / 25, options=dict(preset='ultrafast', g='25'))
    joints = (*cases.JOINTS, *(f'joint_{i}' for i in range(13)))
    start = time.perf_counter()
    page, report, size = make_page('large', video, people=10, joints=joints)
    made = time.perf_counter() - start
    with Browser() as browser:
        opened = browser.open(page.as_uri())
        start = time.perf_counter()
        browser.wait(lambda: browser.picture == 0, 'the first picture')
        browser.go(9_999)
        sought = time.perf_counter() - start
        check_frames(browser, size, 10_000, [9_999, 5_000, 1])
        browser.check_clean()
        browser.driver.save_screenshot(str(shots / 'large.png'))
    assert opened < 15, opened
    return (
        f'{report.summary()}; open in {opened:.1f} s, at the last frame {sought:.1f} s later; '
        f'predictions and page written in {made:.0f} s'
    )


def live(shots):
    """Sliders of a page that is served: numbers are those that the server answers."""
    from diffpose_mm.apis.kept_poser import FeatureStore
    from diffpose_mm.tools import play

    video = WORK / 'live.mp4'
    cases.write_video(video, np.arange(6) / 25)
    checkpoint = ROOT / 'projects/demo/checkpoints/diffpose_synthetic.pth'
    arguments = ['--config', 'diffpose_synthetic', '--checkpoint', str(checkpoint)]
    arguments += ['--det-model', 'whole_image', '--steps', '2', '--hypotheses', '2']
    server = play.prepare(play.parse_args([str(video), *arguments]), FeatureStore())
    threading.Thread(target=server.serve, daemon=True).start()
    with Browser() as browser:
        browser.open(server.address)
        browser.js("document.getElementById('numbers').open = true")
        set_sliders = """
        for (const [name, value] of [['steps', 3], ['hypotheses', 5]]) {
          const slider = document.getElementById(name);
          slider.value = value;
          slider.dispatchEvent(new Event('input'));
        }"""
        browser.js(set_sliders)
        state = "return document.getElementById('live-state').textContent"
        browser.wait(lambda: browser.js(state).startswith('All 6'), 'sampling again', 120)
        said = browser.js(state)
        question = json.dumps(dict(steps=3, hypotheses=5, frames=[0])).encode()
        with urllib.request.urlopen(server.address + 'sample', question) as answer:
            (person,) = json.load(answer)['frames']['0']
        names = browser.js(
            "return [...document.querySelectorAll('#rows tr')].map((r) => r.innerText)"
        )
        first = names[0].split('\t')
        assert np.allclose([float(v) for v in first[2:4]], person['keypoints'][0], atol=0.06), first
        assert len(person['hypotheses']) == 5
        assert not browser.js("return document.getElementById('layer-hypotheses').disabled")
        assert not browser.driver.get_log('browser')
        browser.driver.save_screenshot(str(shots / 'live.png'))
    server.close()
    return said


# Seconds of 90 frames of a variable rate.
UNEVEN = np.cumsum([0, *np.random.default_rng(0).choice([0.011, 0.04, 0.1, 0.033], 89)])
CASES = dict(
    constant=video_case('constant', np.arange(90) / 25, 'original', options=dict(bf='0')),
    b_frames=video_case('b_frames', np.arange(90) / 25, 'original', options=dict(bf='2', g='30')),
    uneven=video_case('uneven', UNEVEN, 'original', options=dict(bf='0')),
    uneven_b_frames=video_case('uneven_b_frames', UNEVEN, 'copy', options=dict(bf='2')),
    turned=video_case('turned', np.arange(60) / 25, 'original', turned=True),
    webm=video_case('webm', np.arange(60) / 25, 'original', codec='libvpx', suffix='webm'),
    late=video_case('late', 0.5 + UNEVEN, 'copy', options=dict(bf='2')),
    mpeg4=video_case('mpeg4', np.arange(60) / 25, 'copy', codec='mpeg4', size=(318, 242)),
    avi=video_case('avi', np.arange(60) / 25, 'copy', codec='mpeg4', suffix='avi'),
    without_video=without_video,
    older_browser=older_browser,
    keyboard=keyboard,
    phone=phone,
    live=live,
    large=large,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('cases', nargs='*', metavar='CASE', help=f'of {", ".join(CASES)}')
    parser.add_argument('--shots', type=Path, default=WORK / 'shots', help='folder for pictures')
    args = parser.parse_args()
    for name in args.cases:
        if name not in CASES:
            parser.error(f'{name} is none of {", ".join(CASES)}')
    args.shots.mkdir(parents=True, exist_ok=True)
    load_selenium()
    failed = 0
    for name in args.cases or CASES:
        try:
            print(f'{name}: {CASES[name](args.shots)}', flush=True)
        except Exception as error:
            failed += 1
            print(f'{name}: FAILED, {type(error).__name__}: {error}', flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
