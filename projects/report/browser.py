"""Chromium without a window, and what is to be seen on a page of ours in it."""

import subprocess
import sys
import time
from pathlib import Path

import cases

WORK = Path(__file__).resolve().parents[2] / 'work_dirs/report_browser'

# The number that the picture on the screen shows, as `cases.picture` has drawn it.
READ_PICTURE = """
window.readPicture = () => {
  const video = document.getElementById('video');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  pen.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < BITS; bit++) {
    const x = Math.floor(((bit + 0.5) * canvas.width) / BITS);
    const y = Math.floor(canvas.height * 0.95);
    if (pen.getImageData(x, y, 1, 1).data[0] > 127) number += 1 << bit;
  }
  return number;
};
""".replace('BITS', str(cases.BITS))


def load_selenium():
    """Selenium of the environment, else of a folder of this script's own."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        folder = WORK / 'selenium'
        if not folder.is_dir():
            command = [sys.executable, '-m', 'pip', 'install', '-q', '--target', str(folder)]
            subprocess.run([*command, 'selenium'], check=True)
        sys.path.append(str(folder))


class Browser:
    """Chromium without a window; closed at the end of a with statement."""

    def __init__(self, width=1280, height=1000):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'):
            options.add_argument(argument)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        driver = '/usr/bin/chromedriver'
        service = webdriver.ChromeService(driver if Path(driver).exists() else None)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.driver.quit()

    def resize(self, width, height):
        self.driver.execute_cdp_cmd(
            'Emulation.setDeviceMetricsOverride',
            dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 500),
        )

    def open(self, address):
        """Open a page; seconds until it is ready."""
        start = time.perf_counter()
        self.driver.get(address)
        self.wait(lambda: self.js('return document.body.dataset.ready'), 'the page')
        seconds = time.perf_counter() - start
        self.js(READ_PICTURE)
        return seconds

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def wait(self, condition, what, seconds=20.0):
        end = time.perf_counter() + seconds
        while not condition():
            assert time.perf_counter() < end, f'waited {seconds:g} s for {what}'
            time.sleep(0.02)

    @property
    def frame(self):
        return int(self.js('return document.body.dataset.frame'))

    @property
    def picture(self):
        return self.js('return readPicture()')

    def press(self, *keys, shift=False):
        from selenium.webdriver import ActionChains, Keys

        chain = ActionChains(self.driver)
        if shift:
            chain.key_down(Keys.SHIFT)
        for key in keys:
            chain.send_keys(getattr(Keys, key, key))
        if shift:
            chain.key_up(Keys.SHIFT)
        chain.perform()

    def click_at(self, element, share):
        """Click at a share of an element's width."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.by import By

        found = self.driver.find_element(By.ID, element)
        self.js('arguments[0].scrollIntoView({block: "center"})', found)
        offset = round((share - 0.5) * found.size['width'])
        ActionChains(self.driver).move_to_element_with_offset(found, offset, 0).click().perform()

    def choose(self, person, joint):
        """Draw nothing but one joint of one person."""
        self.js(
            "for (const name of ['spread', 'hypotheses']) {"
            "const box = document.getElementById('layer-' + name); if (box.checked) box.click(); }"
        )
        self.js(
            "const [person, joint] = arguments; const select = document.getElementById('person');"
            "select.value = String(person); select.dispatchEvent(new Event('change'));"
            "document.getElementById('no-joints').click();"
            "document.getElementById('joint-' + joint).click();",
            person,
            joint,
        )

    def go(self, number):
        self.js(
            "const slider = document.getElementById('frame'); slider.value = arguments[0];"
            "slider.dispatchEvent(new Event('input'));",
            number,
        )
        self.wait(lambda: self.frame == number, f'frame {number}')

    def check_clean(self):
        """No message of the browser, and nothing was fetched but the page itself."""
        messages = self.driver.get_log('browser')
        assert not messages, messages
        names = self.js("return performance.getEntriesByType('resource').map((e) => e.name)")
        assert all(name.startswith(('blob:', 'data:')) for name in names), names
