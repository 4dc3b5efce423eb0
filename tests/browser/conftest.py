"""One Chromium for all tests of pages, with no cookies left from the test before."""

import pytest
from browser_world import chromium


@pytest.fixture(scope="module")
def chromium_process(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def browser(chromium_process):
    """A browser that was nowhere yet."""
    chromium_process.open("about:blank")
    chromium_process.driver.execute_cdp_cmd("Storage.clearCookies", {})
    return chromium_process
