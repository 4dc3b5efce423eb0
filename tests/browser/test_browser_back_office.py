"""The whole procedure in the back office, as its staff see it in Chromium; axe finds nothing serious on any page."""

import asyncio
import socket
import threading
from concurrent.futures import Future

import pyotp
import pytest
from selenium.webdriver.common.by import By

from gateway.console.session import COOKIE
from gateway.ledger import open_ledger
from gateway.ledger.inputs.claims import AppealInput
from gateway.ledger.values import Owner
from tests.console.console_world import PASSWORD, open_world
from tests.console.pages_world import LOCAL_ID, RECORD, USCC, BusinessSystem, system_settings
from tests.ledger.office_world import ISSUER, seed_unit

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(120)]

GRANT_COLUMNS = "uscc,operator_account,operator_name,operator_id_number,item,valid_from,valid_until"
OWN_PASSWORD = "Neues-Langes-Wort-2026"


class Running:
    """A back office in a thread of its own, as Chromium's driver waits for pages and lets nothing else run.

    Attributes:
        world: see open_world.
        address: what Chromium calls.
        system: the business system that units are compared with.
    """

    def __init__(self, folder):
        self.system = BusinessSystem(RECORD | {"legal_representative": "样例癸"})
        self.loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = f"http://{self._host}"
        self._opened = Future()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._run(folder),))

    def __enter__(self):
        self._thread.start()
        self.world = self._opened.result(20)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        self.loop.close()

    def do(self, step):
        """Take a step in the back office's own loop."""
        return asyncio.run_coroutine_threadsafe(step, self.loop).result(20)

    async def _run(self, folder):
        try:
            await open_ledger("sqlite:///ledger.db", folder).upgrade()
            opening = open_world(
                folder, (folder / "ledger.db").read_bytes(), make=lambda _: self.system, listener=self._listener,
                hosts=(self._host,), scheme="http",
            )  # fmt: skip
            async with opening as world:
                await world.console.comparing.use([system_settings()])
                self._opened.set_result(world)
                await self._end.wait()
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            raise


@pytest.fixture
def office(tmp_path):
    with Running(tmp_path) as running:
        yield running


class Seats:
    """Several people at one browser: each has signed in for herself, and her cookie comes back when it is her turn."""

    def __init__(self, browser, office):
        self.browser = browser
        self.office = office
        self._cookies = {}

    def turn(self, name, address="/"):
        """Let somebody who has signed in sit down, and look at a page."""
        self.browser.driver.execute_cdp_cmd("Storage.clearCookies", {})
        cookie = {"name": COOKIE, "value": self._cookies[name], "url": self.office.address, "secure": True, "path": "/"}
        self.browser.driver.execute_cdp_cmd("Network.setCookie", cookie)
        return self.browser.open(self.office.address + address)

    def stand_up(self, name):
        """Remember somebody's session, and leave the browser without one."""
        self._cookies[name] = self.browser.cookies()[COOKIE]["value"]
        self.browser.driver.execute_cdp_cmd("Storage.clearCookies", {})

    def begin(self, login, password):
        """The first page of signing in."""
        self.browser.open(f"{self.office.address}/sign-in")
        fill(self.browser, login=login, password=password)
        self.browser.press("form button")

    def sign_in(self, name, account):
        """Somebody with an authenticator app."""
        self.begin(account.login, PASSWORD)
        checked(self.browser, "second-factor")
        fill(self.browser, code=account.code())
        self.browser.press("main form button")
        self.stand_up(name)


def fill(browser, /, **fields):
    """Type into fields, as somebody would."""
    for name, text in fields.items():
        element = browser.driver.find_element(By.ID, name)
        if element.get_attribute("type") != "file":
            element.clear()
        element.send_keys(text)


def checked(browser, name):
    """Hold the page against axe, and keep a picture of it."""
    assert browser.findings() == {}, f"{name}: {browser.path}"
    browser.shoot(f"back-office-{name}")
    return browser


def follow(browser, text):
    """Press the link that says this."""
    element = browser.driver.find_element(By.PARTIAL_LINK_TEXT, text)
    page = browser.driver.find_element(By.TAG_NAME, "html").id
    element.click()
    browser.wait(lambda driver: driver.find_element(By.TAG_NAME, "html").id != page, f"{text} leads nowhere")
    return browser


def send(browser, picture, /, **fields):
    """A form: looked at, filled in, sent."""
    checked(browser, picture)
    fill(browser, **fields)
    return browser.press("main form button")


def test_the_procedure_of_the_paper_in_the_back_office(browser, office, tmp_path):
    """Account and post, application, review, operator, items by one and approved by another, comparison, binding."""
    seats = Seats(browser, office)
    hire_everybody(seats, office)
    unit = office.do(seed_unit(office.world.office))
    open_the_unit(seats, f"/units/{unit}")
    bind_the_unit(seats, f"/units/{unit}")
    look_at_the_rest(seats, office, tmp_path)


def hire_everybody(seats, office):
    """Two administrators and a reviewer are there; a clerk comes to be."""
    browser, world = seats.browser, office.world
    checked(browser.open(f"{office.address}/sign-in"), "sign-in")
    for role, scope in (("system", ""), ("security", ""), ("audit", ""), ("reviewer", "3501")):
        seats.sign_in(role, office.do(world.hire(role, scope)))
    seats.turn("system")
    follow(checked(browser, "administrator"), "工作人员")
    follow(checked(browser, "staff"), "新建账户")
    send(browser, "new-account", login="clerk-li", name="样例李")
    password = checked(browser, "one-time-password").driver.find_element(By.ID, "password").text
    follow(seats.turn("security", "/staff?text=clerk-li"), "任命").choose('#role option[value="clerk"]')
    send(browser, "appoint", region="350100")
    assert "经办岗" in browser.text
    first_day(seats, office, password)


def first_day(seats, office, password):
    """A one-time password, one of her own, and an authenticator app."""
    browser = seats.browser
    browser.driver.execute_cdp_cmd("Storage.clearCookies", {})
    seats.begin("clerk-li", password)
    send(browser, "new-password", old=password, new=OWN_PASSWORD, again=OWN_PASSWORD)
    secret = checked(browser, "enrol").driver.find_element(By.TAG_NAME, "code").text.replace(" ", "")
    fill(browser, code=pyotp.TOTP(secret).at(int(office.world.clock.wall)))
    browser.press("main form button")
    assert "待办事项" in checked(browser, "queues-empty").text
    seats.stand_up("clerk")


def open_the_unit(seats, unit):
    """The application, its review, an operator, and an item for her."""
    browser = seats.browser
    seats.turn("clerk", "/units")
    follow(checked(browser, "units"), "样例一有限公司")
    follow(checked(browser, "unit-new"), "登记申请")
    browser.choose('input[value="pension"]')
    send(browser, "application", note="窗口受理")
    assert "已完成" in browser.text
    follow(checked(seats.turn("reviewer"), "queues"), "办理")
    browser.choose('input[name="approve"][value="true"]')
    send(browser, "review")
    follow(seats.turn("clerk", unit), "录入经办人")
    fill(browser, account="operator-1", name="样例子", id_number="350100190001011016")
    browser.press("main form button")
    assert "校验位不符" in checked(browser, "operator-refused").text
    send(browser, "operator", id_number="350100190001011015")
    follow(browser, "开通事项").choose('input[name="operator"]').choose('input[value="pension"]').choose("#exclusive")
    send(browser, "grant")
    follow(seats.turn("reviewer", unit), "复核通过")
    send(browser, "grant-approval")
    assert "待经办人接受" in browser.text


def bind_the_unit(seats, unit):
    """Candidates, both sides with a difference, and the second person who sees them again."""
    browser = seats.browser
    follow(seats.turn("clerk", unit), "比对并绑定")
    checked(browser, "candidates").press("td a")
    assert "不一致" in browser.text
    send(browser, "comparison", note="法定代表人已变更，见材料")
    follow(seats.turn("reviewer", unit), "比对并复核通过")
    assert "样例癸" in browser.text
    send(browser, "binding-approval")
    assert "已绑定" in checked(browser, "unit-bound").text


def keep_download(browser, file):
    """Press the link that takes a file away, and wait until all of it is there."""
    allowed = {"behavior": "allow", "downloadPath": str(file.parent)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    browser.choose("a[download]").wait(lambda _: file.exists() and file.stat().st_size, f"no {file.name}")
    assert "问题" in file.read_text(encoding="utf-8-sig")


def look_at_the_rest(seats, office, folder):
    """An appeal, a file with mistakes, the history, and a page that is refused."""
    browser = seats.browser
    appeal = AppealInput(system="si", local_id=LOCAL_ID, reason="号码被他人登记")
    office.do(office.world.console.appeals.open(Owner(ISSUER, USCC, "legal", "operator-1"), appeal))
    follow(seats.turn("reviewer"), "办理")
    checked(browser, "appeal")
    file = folder / "grants.csv"
    file.write_text(f"{GRANT_COLUMNS}\n1,operator-2,样例丑,2,pension,2023-11-15,yesterday\n", encoding="utf-8")
    browser.open(f"{office.address}/import")
    send(browser, "import", file=str(file))
    keep_download(checked(browser, "import-refused"), folder / "import-problems.csv")
    seats.turn("audit", "/history")
    assert "绑定复核通过" in checked(browser, "history").text
    browser.open(f"{office.address}/units")
    assert "没有此项权限" in checked(browser, "refused").text
