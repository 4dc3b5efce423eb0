"""The external-zone system: guides, streamed answers, chat, and bodies of any size."""

import hashlib
import json

import pytest
from aiohttp import WSMsgType

from sandbox.assistant import create_assistant


@pytest.fixture
async def assistant(aiohttp_client):
    return await aiohttp_client(create_assistant(interval=0.001))


async def test_a_guide_is_bilingual_and_an_unknown_one_is_404(assistant):
    """Both as JSON."""
    async with assistant.get("/guides/retirement") as answer:
        assert set((await answer.json())["title"]) == {"zh", "en"}
    async with assistant.get("/guides/none") as answer:
        assert (answer.status, (await answer.json())["error"]) == (404, "no such guide")


async def events(assistant, question, **headers):
    async with assistant.get("/assistant/answers", params={"question": question}, headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        blocks = (await answer.text()).strip().split("\n\n")
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


async def test_an_answer_is_a_stream_of_numbered_events_ended_by_done(assistant):
    """The guide that fits the question is the answer."""
    told = await events(assistant, "退休\n怎么办")
    assert [event["id"] for event in told] == [str(number) for number in range(1, len(told) + 1)]
    assert told[-1]["event"] == "done"
    assert json.loads(told[-1]["data"]) == {"see": "/guides/retirement"}
    assert json.loads(told[0]["data"]) == {"question": "退休\n怎么办"}


async def test_an_answer_goes_on_after_the_last_event_that_the_caller_has(assistant):
    """Last-Event-ID continues; one that is not ours starts again; one at the end is told not to come back."""
    whole = await events(assistant, "hospital")
    assert await events(assistant, "hospital", **{"Last-Event-ID": "4"}) == whole[4:]
    assert await events(assistant, "hospital", **{"Last-Event-ID": "x"}) == whole
    params, headers = {"question": "hospital"}, {"Last-Event-ID": whole[-1]["id"]}
    async with assistant.get("/assistant/answers", params=params, headers=headers) as answer:
        assert answer.status == 204


async def test_the_first_event_does_not_wait_for_the_last(aiohttp_client):
    """Events are sent as they come, even when the next one is an hour away."""
    assistant = await aiohttp_client(create_assistant(interval=3600))
    async with assistant.get("/assistant/answers", params={"question": "?"}) as answer:
        assert await answer.content.readline() == b"id: 1\n"


@pytest.mark.parametrize("question", ["", "  ", "x" * 501])
async def test_a_question_is_needed_and_has_an_end(assistant, question):
    """Otherwise 400."""
    async with assistant.get("/assistant/answers", params={"question": question}) as answer:
        assert answer.status == 400


async def test_a_chat_greets_repeats_and_says_goodbye(assistant):
    """And closes with 1000."""
    async with assistant.ws_connect("/assistant/chat") as chat:
        assert "Hello" in await chat.receive_str()
        await chat.send_str("你好")
        assert await chat.receive_str() == "assistant: 你好"
        await chat.send_str("bye")
        assert "Goodbye" in await chat.receive_str()
        assert (await chat.receive()).type is WSMsgType.CLOSE
        assert chat.close_code == 1000


async def test_a_chat_is_in_text(assistant):
    """Binary is closed with 1003 (RFC 6455 §7.4.1)."""
    async with assistant.ws_connect("/assistant/chat") as chat:
        await chat.receive_str()
        await chat.send_bytes(b"\x00")
        await chat.receive()
        assert chat.close_code == 1003


async def test_an_upload_is_measured(assistant):
    """Sent in chunks, never kept."""

    async def blocks():
        for _ in range(64):
            yield b"x" * 65536

    async with assistant.post("/uploads", data=blocks()) as answer:
        assert await answer.json() == {
            "length": 64 * 65536,
            "sha256": hashlib.sha256(b"x" * 64 * 65536).hexdigest(),
        }


@pytest.mark.parametrize("size", [0, 1, 65536, 1_000_003])
async def test_a_download_has_the_size_asked_for(assistant, size):
    """Counting bytes, so that a lost or doubled block shows."""
    async with assistant.get(f"/downloads/{size}") as answer:
        assert answer.content_length == size
        assert await answer.read() == (bytes(range(256)) * (size // 256 + 1))[:size]


async def test_the_head_of_a_download_has_its_length_and_no_body(assistant):
    """And the connection goes on."""
    async with assistant.head("/downloads/1000") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "1000")
    async with assistant.get("/healthz") as answer:
        assert await answer.json() == {"status": "ok"}


@pytest.mark.parametrize("size", ["-1", "many", "99999999999", "1073741825"])
async def test_a_download_has_a_limit(assistant, size):
    """One GiB."""
    async with assistant.get(f"/downloads/{size}") as answer:
        assert answer.status == 400
