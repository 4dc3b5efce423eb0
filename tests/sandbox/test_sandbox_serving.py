"""The sandbox's processes: they say when they are ready, answer, and stop at once when told to."""

import asyncio
import json
import signal

import aiohttp
import jwt
import pytest

from sandbox.channel_platforms.alipay import make_keys
from sandbox.serving import json_response


def test_json_is_for_people_too():
    """Chinese as it is and a line's end; a raw byte of a header field stays JSON."""
    answer = json_response({"title": "社保", "raw": "\udce4"}, status=201)
    assert (answer.status, answer.body) == (201, '{"title": "社保", "raw": "\\udce4"}\n'.encode())
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def ready_address(process):
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    assert " ready on " in line, (await process.stderr.read()).decode()
    return line.split(" ready on ")[1].split(" ")[0]


async def stop(process):
    """Tell the process to end; it does not wait for anybody."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def get_json(address, path):
    async with aiohttp.ClientSession() as session, session.get(address + path) as answer:
        return await answer.json()


async def test_the_province_runs_as_a_process(spawn, tmp_path):
    """With the issuer, audience and client that the command line names."""
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    arguments = ["--port", "0", "--issuer", "https://p.example", "--audience", "dept-b", "--client-id", "dept-b"]
    process = await spawn("sandbox.province", *arguments, "--client-secret-file", str(secret))
    address = await ready_address(process)
    token = (await get_json(address, "/sandbox/token?user=unit-2"))["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["client_id"]) == ("https://p.example", "dept-b", "dept-b")
    basic = {"Authorization": aiohttp.encode_basic_auth("dept-b", "from-a-file")}
    async with (
        aiohttp.ClientSession(headers=basic) as session,
        session.post(f"{address}/introspect", data={"token": token}) as answer,
    ):
        assert (await answer.json())["active"] is True
    await stop(process)


async def test_all_the_other_platforms_run_in_one_process(spawn, tmp_path):
    """Three ports, each with a ready line, and one end."""
    make_keys(tmp_path)
    ports = ("--port", "0", "--national-port", "0", "--channels-port", "0")
    process = await spawn("sandbox.platforms", *ports, "--channel-keys", str(tmp_path), "--edge", "http://127.0.0.1:1")
    national, channels, dialects = [await ready_address(process) for _ in range(3)]
    assert set(await get_json(dialects, "/")) == {"/zhejiang", "/zhejiang-irs", "/jis", "/guangdong", "/tif"}
    assert "queryuser" in await get_json(national, "/sandbox/faults")
    assert "jscode2session" in await get_json(channels, "/sandbox/faults")
    await stop(process)


async def test_the_province_knows_the_departments_of_a_file(spawn, tmp_path):
    """As furnishing writes it."""
    clients = tmp_path / "clients.json"
    clients.write_text(json.dumps([{"id": "one"}, {"id": "two", "audience": "two", "node": "n2"}]))
    process = await spawn("sandbox.province", "--port", "0", "--issuer", "https://p.example", "--clients", str(clients))
    address = await ready_address(process)
    token = (await get_json(address, "/sandbox/token?user=unit-2&client=two"))["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["aud"], claims["client_id"]) == ("two", "two")
    await stop(process)


async def test_a_business_system_runs_as_a_process_on_a_unix_socket(spawn, identity_jwks, signer, tmp_path):
    """The socket is gone when the process is."""
    path = tmp_path / "medical.sock"
    arguments = ("--system", "medical-insurance", "--unix", str(path), "--identity-jwks", str(identity_jwks))
    process = await spawn("sandbox.business", *arguments)
    assert await ready_address(process) == f"unix:{path}"
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://m/settlements/S1", headers=signer.header()) as answer,
    ):
        assert answer.status == 200
    await stop(process)
    assert not path.exists()


async def test_the_assistant_stops_although_callers_are_still_there(spawn):
    """An open stream and an open chat do not hold it up; the chat is told why."""
    process = await spawn("sandbox.assistant", "--port", "0", "--interval", "3600")
    address = await ready_address(process)
    async with aiohttp.ClientSession() as session, session.get(f"{address}/assistant/answers?question=x") as answer:
        await answer.content.readline()
        async with session.ws_connect(f"{address}/assistant/chat") as chat:
            await chat.receive_str()
            stopping = asyncio.create_task(stop(process))
            await chat.receive()
            assert chat.close_code == 1001
            await stopping


async def test_a_port_in_use_gets_a_sentence_and_exit_code_1(spawn):
    """Not a traceback."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await spawn("sandbox.assistant", "--port", str(port))
    _, complaint = await asyncio.wait_for(process.communicate(), 20)
    server.close()
    await server.wait_closed()
    assert process.returncode == 1
    assert complaint.decode().startswith(f"assistant: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    ("module", "arguments", "complaint"),
    [
        ("sandbox.province", ["--port", "0"], "--issuer is needed"),
        ("sandbox.province", ["--port", "8100", "--client-secret-file", "/nowhere"], "--client-secret-file"),
        ("sandbox.business", ["--port", "0", "--system", "pension", "--identity-jwks", "/nowhere"], "--identity-jwks"),
        ("sandbox.assistant", [], "one of the arguments --port --unix is required"),
        ("sandbox.province", ["--port", "8100", "--clients", "/nowhere"], "--clients"),
        ("sandbox.outpatient", ["--port", "0", "--identity-jwks", "/nowhere"], "--identity-jwks"),
        ("sandbox.platforms", [], "--national-port"),
    ],
)
async def test_a_wrong_command_line_gets_a_sentence_and_exit_code_2(spawn, module, arguments, complaint):
    """And nothing is started."""
    process = await spawn(module, *arguments)
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert complaint in said.decode()
