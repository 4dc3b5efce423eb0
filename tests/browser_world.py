"""A real Chromium, headless, without any network of its own: for the tests of pages.

Tests that use it are marked `needs("chromium", "chromedriver")`. Screenshots go to `.artefacts/` beside the tests.
"""

import shutil
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ARTEFACTS = Path(__file__).parents[1] / ".artefacts"
AXE = files("axe_core_python").joinpath("axe.min.js")
AXE_OPTIONS = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations']}"
DEADLINE = 45
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=900,1000",
    "--lang=zh-CN",
)


class Chromium:
    """One browser with a profile of its own.

    Attributes:
        driver: selenium's.
    """

    def __init__(self, driver):
        self.driver = driver

    @property
    def path(self):
        """Path and query of the page that is shown."""
        return "/" + self.driver.current_url.split("/", 3)[3]

    @property
    def text(self):
        """What the page says."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def open(self, address):
        """Go to an address."""
        self.driver.get(address)
        return self

    def press(self, selector):
        """Press a button or link, and wait until its page has gone."""
        element = WebDriverWait(self.driver, DEADLINE).until(
            lambda driver: next(iter(driver.find_elements(By.CSS_SELECTOR, f"{selector}:not([disabled])")), None),
            f"no {selector} in: {self.text}",
        )
        page = self.driver.find_element(By.TAG_NAME, "html").id
        element.click()
        self.wait(lambda driver: driver.find_element(By.TAG_NAME, "html").id != page, f"{selector} leads nowhere")
        return self

    def choose(self, selector):
        """Tick something, and stay."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()
        return self

    def wait(self, holds, what):
        """Wait until something holds of the driver."""
        ignored = ()
        WebDriverWait(self.driver, DEADLINE, poll_frequency=0.05, ignored_exceptions=ignored).until(holds, what)
        return self

    def cookies(self):
        """Its cookies for the page that is shown, by name."""
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}

    def findings(self):
        """What axe (WCAG 2, levels A and AA) finds on the page that is serious or worse: rules, with the elements."""
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(f"axe.run({AXE_OPTIONS}).then(arguments[0], arguments[0])")
        assert "violations" in found, found
        return {
            rule["id"]: [node["html"] for node in rule["nodes"]]
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
        }

    def shoot(self, name):
        """Keep a picture of the page."""
        ARTEFACTS.mkdir(exist_ok=True)
        self.driver.save_screenshot(str(ARTEFACTS / f"{name}.png"))
        return self


@contextmanager
def chromium(folder, *, scripts=True):
    """Run a browser until the end of the block.

    Args:
        folder: for its profile.
        scripts: False switches JavaScript off.
    """
    options = Options()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={folder}/profile")
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    # The driver's place is named, so selenium looks for none and downloads none.
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.set_page_load_timeout(DEADLINE)
        yield Chromium(driver)
    finally:
        driver.quit()
