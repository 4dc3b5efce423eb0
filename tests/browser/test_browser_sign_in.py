"""Signing in, a stronger login and signing out, as a person sees them in Chromium."""

import json
import urllib.request

import pytest
from browser_world import chromium

pytestmark = [pytest.mark.needs("chromium", "chromedriver"), pytest.mark.timeout(120)]

CONTRIBUTIONS = "/social-insurance/contributions"
SETTLEMENT = "/medical/settlements/S2026-0042"
BOOKING = "/outpatient/booking"
CITIZEN = "8f2c61d0b7e94a53c1d6"


@pytest.fixture
def a(sandbox):
    """Address of the first department."""
    return sandbox.places.url("edge")


@pytest.fixture
def b(sandbox):
    """Address of the second department."""
    return sandbox.places.url("medical-edge")


def sign_in(browser, address, user="citizen-1"):
    """Open a page that needs a login, and come back to it."""
    browser.open(address)
    if browser.path == "/sso/":
        browser.press('a[href*="as=natural"]')
    return browser.choose(f"#{user}").press("#sign-in")


def asked_with(cookie, address):
    """What a department says to whoever has this cookie."""
    request = urllib.request.Request(address, headers={"Cookie": f"{cookie['name']}={cookie['value']}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def test_a_person_signs_in_and_is_back_where_she_wanted_to_go(browser, a):
    """The province's page, and then the page with its query; no code in the address."""
    browser.open(f"{a}{CONTRIBUTIONS}?from=202601").shoot("2-province")
    assert "省统一身份认证平台" in browser.text
    browser.choose("#citizen-1").press("#sign-in").shoot("3-signed-in")
    assert browser.path == f"{CONTRIBUTIONS}?from=202601"
    assert CITIZEN in browser.text


def test_who_is_not_signed_in_is_offered_how(browser, a):
    """As a person or as a unit."""
    browser.open(f"{a}/sso/").shoot("1-home")
    assert "尚未登录" in browser.text
    browser.press('a[href*="as=legal"]')
    assert "样例一有限公司" in browser.text


def test_the_session_cookie_is_one_that_no_script_and_no_other_host_gets(browser, a):
    """`__Host-`, Secure, HttpOnly, SameSite=Lax, and gone with the browser."""
    sign_in(browser, f"{a}/sso/")
    cookie = browser.cookies()["__Host-sid"]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    assert "expiry" not in cookie
    assert "__Host-sid" not in browser.driver.execute_script("return document.cookie")


def test_all_of_it_works_without_scripts(a, tmp_path):
    """With JavaScript switched off in the browser."""
    with chromium(tmp_path, scripts=False) as browser:
        sign_in(browser, f"{a}{CONTRIBUTIONS}")
        assert CITIZEN in browser.text
        browser.open(a + SETTLEMENT).press("#second-factor")
        assert "S2026-0042" in browser.text
        browser.open(f"{a}/sso/logout").press('form[action="/sso/logout"] button')
        assert "尚未登录" in browser.text


def test_a_page_that_needs_a_stronger_login_follows_it(browser, a):
    """The original GET goes on; the session has a new id."""
    sign_in(browser, f"{a}/sso/")
    before = browser.cookies()["__Host-sid"]["value"]
    browser.open(a + SETTLEMENT).shoot("4-stronger")
    assert "实人核验" in browser.text
    browser.press("#second-factor").shoot("5-settlement")
    assert browser.path == SETTLEMENT
    assert "S2026-0042" in browser.text
    assert browser.cookies()["__Host-sid"]["value"] != before


def test_a_form_that_needs_a_stronger_login_is_offered_again_and_goes_through(browser, b):
    """What was filled in is still there; the person sends it herself, once."""
    sign_in(browser, b + BOOKING)
    browser.shoot("6-form")
    browser.driver.execute_script("document.getElementById('day').value = '2026-12-24'")
    browser.press("#book").press("#second-factor").shoot("7-offered-again")
    assert browser.path.startswith("/sso/continue/")
    browser.press('form[action^="/sso/continue/"] button').shoot("8-booked")
    assert browser.path == "/outpatient/appointments"
    assert "2026-12-24" in browser.text


def test_a_page_of_another_origin_cannot_press_our_buttons(browser, sandbox, a):
    """The same host on another port is no place of ours (`Sec-Fetch-Site: same-site`)."""
    sign_in(browser, f"{a}/sso/")
    cookie = browser.cookies()["__Host-sid"]
    browser.open(sandbox.places.url("province"))
    browser.driver.execute_script(
        "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0];"
        "document.body.append(form); form.submit()",
        f"{a}/sso/logout",
    )
    browser.wait(lambda driver: driver.current_url.startswith(a), "the form leads nowhere")
    assert asked_with(cookie, f"{a}/sso/session")["signed_in"] is True


def test_signing_out_at_one_department_signs_out_everywhere(browser, a, b):
    """The button, the province, and the other department: also for whoever kept its cookie."""
    sign_in(browser, f"{a}/sso/")
    browser.open(b + BOOKING)
    assert browser.path == BOOKING
    cookies = browser.cookies()
    assert asked_with(cookies["__Host-sid-medical"], f"{b}/sso/session")["signed_in"] is True
    browser.open(f"{a}/sso/logout").shoot("9-logout")
    browser.press('form[action="/sso/logout"] button').shoot("10-logged-out")
    assert browser.path == "/sso/"
    assert "尚未登录" in browser.text
    assert asked_with(cookies["__Host-sid"], f"{a}/sso/session") == {"signed_in": False}
    assert asked_with(cookies["__Host-sid-medical"], f"{b}/sso/session") == {"signed_in": False}
    browser.open(a + CONTRIBUTIONS)
    assert "登录后将返回" in browser.text


def test_a_person_acts_for_her_unit_with_a_button(browser, a):
    """And the page says as whom."""
    sign_in(browser, f"{a}/sso/")
    browser.press("form:has(input[value='91350100M000100Y43']) button").shoot("11-unit")
    assert "样例一有限公司" in browser.text
    assert "法人" in browser.text
