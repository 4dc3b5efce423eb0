"""Self-service in Chromium: a person closes an item and opens it, an operator enrols her computer and shows it.

axe looks through each page on the way (WCAG 2.1 A and AA, and best practice); pictures of all of them are kept.
"""

import asyncio
from importlib.resources import files

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import Transport, VirtualAuthenticatorOptions
from sqlalchemy import select

from gateway.ledger import open_ledger
from gateway.ledger.acting import find_post
from gateway.ledger.designated import DesignatedDevices
from gateway.ledger.office_tables import DESIGNATED, STAFF
from sandbox.staff import SAMPLE_STAFF

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(180)]

CONTRIBUTIONS = "/social-insurance/contributions"
PROGRESS = "/pension/retirement-declarations/D1"
NAME = "浏览器测试电脑"
AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
REVIEWER = next(one.login for one in SAMPLE_STAFF.values() if (one.role, one.region) == ("reviewer", "350100"))


@pytest.fixture
def a(sandbox):
    """Address of the first department, by the name that browsers trust without TLS."""
    return f"http://localhost:{sandbox.places.ports['edge']}"


@pytest.fixture
def computer(browser, sandbox):
    """The key of this computer, unlocked by its user; it is gone after the test, and so is what it designated."""
    driver = browser.driver
    driver.add_virtual_authenticator(
        VirtualAuthenticatorOptions(
            transport=Transport.INTERNAL, has_user_verification=True, is_user_verified=True, is_user_consenting=True
        )
    )
    yield
    driver.remove_virtual_authenticator()
    at_the_office(sandbox, "end")


def at_the_office(sandbox, step):
    """Have the reviewer in charge approve or end this test's computer, where there is one in such a state."""

    async def act():
        ledger = open_ledger(f"sqlite:///{sandbox.places.ledger}", sandbox.places.edge)
        await ledger.start(create=False)
        try:
            state = {"approve": ("proposed",), "end": ("proposed", "live")}[step]
            async with ledger.database.reading() as connection:
                of_test = (DESIGNATED.c.name == NAME, DESIGNATED.c.state.in_(state))
                rows = (await connection.execute(select(DESIGNATED.c.id, DESIGNATED.c.version).where(*of_test))).all()
                staff = await connection.scalar(select(STAFF.c.id).where(STAFF.c.login == REVIEWER))
                reviewer = await find_post(connection, staff, kept=False)
            devices = DesignatedDevices(ledger.office)
            for id, version in rows:  # noqa: A001
                await (
                    devices.approve(reviewer, id, version)
                    if step == "approve"
                    else devices.end(reviewer, id, "测试结束", version)
                )
            return len(rows)
        finally:
            await ledger.close()

    return asyncio.run(act())


def sign_in(browser, address, user):
    browser.open(address)
    return browser.choose(f"#{user}").press("#sign-in")


def look_through(browser, name):
    """Keep a picture, and have axe find nothing serious."""
    browser.shoot(f"my-{name}")
    browser.driver.execute_script(AXE)
    found = browser.driver.execute_async_script(
        "const [rules, done] = arguments;"
        "axe.run({runOnly: rules}).then(said => done(said.violations.map(one =>"
        " [one.impact, one.id, one.nodes.map(node => node.html)])))",
        RULES,
    )
    assert not [one for one in found if one[0] in ("serious", "critical")], f"{name}: {found}"
    return browser


def appears(browser, selector):
    """Wait until something hidden is shown."""
    return browser.wait(
        lambda driver: driver.find_element(By.CSS_SELECTOR, selector).is_displayed(), f"{selector}: {browser.text}"
    )


def test_a_person_closes_an_item_and_opens_it_again(browser, a):
    """What is closed is refused at once, to herself as well; where she is signed in and what happened can be seen."""
    sign_in(browser, f"{a}/sso/my/", "citizen-1")
    look_through(browser, "1-home").press('a[href="/sso/my/items"]')
    look_through(browser, "2-items")
    heading = browser.driver.find_element(By.XPATH, "//h2[contains(., '社会保险缴费')]").get_attribute("id")
    close = f'a[aria-describedby="{heading}"][href*="setting=closed"]'
    browser.press(close)
    look_through(browser, "3-close").press("#confirm")
    assert browser.path == "/sso/my/items"
    browser.wait(lambda _: browser.open(a + CONTRIBUTIONS).text.count("item-closed-by-owner"), "it is still open")
    browser.open(f"{a}/sso/my/items").press(f'a[aria-describedby="{heading}"][href*="setting=open"]')
    look_through(browser, "4-open").press("#confirm")
    browser.wait(
        lambda _: browser.open(a + CONTRIBUTIONS).text.count("item-closed-by-owner") == 0, "it is still closed"
    )
    for name in ("sessions", "looks", "history"):
        look_through(browser.open(f"{a}/sso/my/{name}"), f"5-{name}")
    assert "设置事项开关" in browser.text


def test_an_operator_enrols_a_computer_and_shows_it(browser, a, sandbox, computer):
    """Once it is approved, the item asks for it and says where it is shown; then it lets her in from there."""
    sign_in(browser, f"{a}/sso/login?as=legal&return_to=/sso/my/computer", "unit-1")
    look_through(browser, "6-computer")
    browser.driver.find_element(By.ID, "name").send_keys(NAME)
    browser.choose("#enrol button")
    appears(browser, "#enrolled").shoot("my-7-enrolled")
    for name in ("operators", "bindings", "devices"):
        look_through(browser.open(f"{a}/sso/my/{name}"), f"8-{name}")
    assert "待复核" in browser.text
    assert at_the_office(sandbox, "approve") == 1
    browser.wait(lambda _: browser.open(a + PROGRESS).text.count("device-not-allowed"), "no computer is asked for")
    browser.shoot("my-9-refused").press("a[href^='/sso/my/computer']")
    look_through(browser, "10-show").press("#show button")
    assert browser.path == PROGRESS
    assert "device-not-allowed" not in browser.shoot("my-11-shown").text
    browser.open(f"{a}/sso/my/computer").shoot("my-12-known")
    assert "本机已通过验证" in browser.text
