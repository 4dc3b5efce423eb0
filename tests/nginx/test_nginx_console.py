"""TLS in front of the back office: what arrives there, and who is turned away before."""

import aiohttp
import pytest
from aiohttp import web

from tests.nginx.nginx_world import Nginx

pytestmark = pytest.mark.needs("nginx")


@pytest.fixture
async def office(tmp_path):
    """nginx before a stand-in for the back office that tells what it got."""

    async def tell(request):
        return web.json_response(dict(request.headers))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", tell)
    runner = web.AppRunner(application)
    await runner.setup()
    nginx = Nginx(tmp_path, office=True)
    await web.UnixSite(runner, str(nginx.console)).start()
    with nginx.running():
        yield nginx
    await runner.cleanup()


async def test_the_back_office_hears_who_asks_for_which_name_and_believes_no_claim(office):
    host, claims = "office.example.gov.cn:8443", {"X-Forwarded-For": "10.1.1.1", "X-SSL-Client-Verify": "SUCCESS"}
    address = f"https://127.0.0.1:{office.office_port}/units"
    async with (
        aiohttp.ClientSession() as session,
        session.get(address, ssl=office.tls(), headers={"Host": host} | claims) as answer,
    ):
        heard = await answer.json()
        assert answer.headers["Strict-Transport-Security"]
    assert heard["Host"] == host
    assert heard["X-Forwarded-For"] == "127.0.0.1"
    assert "X-SSL-Client-Verify" not in heard


async def test_who_is_not_of_the_office_network_is_turned_away(tmp_path):
    nginx = Nginx(tmp_path, office=True, allow="10.0.0.0/8")
    address = f"https://127.0.0.1:{nginx.office_port}/sign-in"
    with nginx.running():
        async with aiohttp.ClientSession() as session, session.get(address, ssl=nginx.tls()) as answer:
            assert answer.status == 403
