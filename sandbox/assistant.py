"""A system in the department's external zone: guides, an assistant (SSE, WebSocket), uploads and downloads.

The gateway reaches it through its direct forwarder, never through the gatekeeper.
"""

import argparse
import asyncio
import hashlib
import json
import re
import sys
import weakref
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from sandbox.serving import add_listen_options, json_response, run

GUIDES: dict[str, dict[str, Any]] = {
    "social-insurance": {
        "title": {"zh": "社会保险缴费记录查询", "en": "Look up social insurance contributions"},
        "keywords": ["社保", "缴费", "contribution", "insurance"],
        "steps": [
            {"zh": "在省统一身份认证平台登录。", "en": "Log in at the province's identity platform."},
            {"zh": "选择查询的起止月份。", "en": "Choose the months to look up."},
            {"zh": "查看或下载缴费明细。", "en": "Read or download the details."},
        ],
    },
    "medical-settlement": {
        "title": {"zh": "个人住院结算信息查询", "en": "Look up a hospital settlement"},
        "keywords": ["医保", "住院", "结算", "hospital", "settlement"],
        "steps": [
            {"zh": "以三级实名登录。", "en": "Log in at assurance level 3."},
            {"zh": "输入结算单号。", "en": "Enter the settlement number."},
            {"zh": "核对金额与报销比例。", "en": "Check the amounts and the share reimbursed."},
        ],
    },
    "retirement": {
        "title": {"zh": "退休人员待遇申报", "en": "Declare retirement benefits"},
        "keywords": ["退休", "养老", "pension", "retire"],
        "steps": [
            {"zh": "单位经办人登录。", "en": "The unit's operator logs in."},
            {"zh": "填写申报表并上传附件。", "en": "Fill in the declaration and attach the papers."},
            {"zh": "凭回执查询办理进度。", "en": "Follow the progress with the receipt."},
        ],
    },
}
DEFAULT_GUIDE = "social-insurance"
MOST_DOWNLOADED = 1 << 30
LONGEST_QUESTION = 500
_BLOCK = bytes(range(256)) * 256


class Assistant:
    """The system's endpoints."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._chats: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    def application(self) -> web.Application:
        """Put the system on its routes."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self.health),
                web.get("/guides/{guide_id}", self.guide),
                web.get("/assistant/answers", self.answer, allow_head=False),
                web.get("/assistant/chat", self.chat, allow_head=False),
                web.post("/uploads", self.upload),
                web.get("/downloads/{size}", self.download),
            ]
        )
        app.on_shutdown.append(self._close_chats)
        return app

    async def health(self, request: web.Request) -> web.Response:
        """`GET /healthz`: here."""
        return json_response({"status": "ok"})

    async def guide(self, request: web.Request) -> web.Response:
        """`GET /guides/{id}`: one guide in Chinese and English, or 404."""
        guide_id = request.match_info["guide_id"]
        if guide_id not in GUIDES:
            return json_response({"error": "no such guide", "guides": list(GUIDES)}, status=404)
        return json_response({"id": guide_id, **GUIDES[guide_id]})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`GET /assistant/answers?question=`: an answer as server-sent events, ended by one named `done`.

        After a broken connection, `Last-Event-ID` lets the answer go on where it stopped; a caller that has seen
        it all is told by 204 not to come back (HTML Standard, §9.2 Server-sent events).
        """
        question = request.query.get("question", "").strip()
        if not 0 < len(question) <= LONGEST_QUESTION:
            sentence = f"the query needs a 'question' of 1 to {LONGEST_QUESTION} characters"
            return json_response({"error": sentence}, status=400)
        events = list(compose(question))
        seen = _event_id(request)
        if seen >= len(events):
            return web.Response(status=204)
        stream = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await stream.prepare(request)
        for number, (name, data) in enumerate(events[seen:], start=seen + 1):
            text = json.dumps(data, ensure_ascii=False)
            await stream.write(f"id: {number}\nevent: {name}\ndata: {text}\n\n".encode())
            await asyncio.sleep(self._interval if number < len(events) else 0)
        await stream.write_eof()
        return stream

    async def chat(self, request: web.Request) -> web.WebSocketResponse:
        """`GET /assistant/chat` (WebSocket): greet, repeat what is said, close on "bye"; text only."""
        chat = web.WebSocketResponse(max_msg_size=64 * 1024)
        await chat.prepare(request)
        self._chats.add(chat)
        await chat.send_str("您好，请讲。 Hello, how can I help?")
        async for message in chat:
            if message.type is not WSMsgType.TEXT:
                await chat.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"text only")
            elif message.data == "bye":
                await chat.send_str("再见。 Goodbye.")
                await chat.close()
            else:
                await chat.send_str(f"assistant: {message.data}")
        return chat

    async def _close_chats(self, app: web.Application) -> None:
        for chat in list(self._chats):
            await chat.close(code=WSCloseCode.GOING_AWAY, message=b"the system stops")

    async def upload(self, request: web.Request) -> web.Response:
        """`POST /uploads`: measure what arrives, of any size, and keep nothing."""
        length, digest = 0, hashlib.sha256()
        async for block in request.content.iter_any():
            length += len(block)
            digest.update(block)
        return json_response({"length": length, "sha256": digest.hexdigest()})

    async def download(self, request: web.Request) -> web.StreamResponse:
        """`GET /downloads/{size}`: that many bytes, 0 to 1 GiB, counting 00 to ff over and over."""
        text = request.match_info["size"]
        if re.fullmatch(r"[0-9]{1,10}", text) is None or int(text) > MOST_DOWNLOADED:
            return json_response({"error": f"size must be a number up to {MOST_DOWNLOADED}"}, status=400)
        stream = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        stream.content_length = int(text)
        await stream.prepare(request)
        if request.method != "HEAD":
            for block in _blocks(int(text)):
                await stream.write(block)
        await stream.write_eof()
        return stream


def compose(question: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Answer a question: the events' names and data, from the guide whose keywords it uses."""
    fitting = (name for name, guide in GUIDES.items() if any(word in question.lower() for word in guide["keywords"]))
    guide_id = next(fitting, DEFAULT_GUIDE)
    yield "question", {"question": question}
    yield "guide", {"id": guide_id, "title": GUIDES[guide_id]["title"]}
    for step in GUIDES[guide_id]["steps"]:
        yield "step", step
    yield "done", {"see": f"/guides/{guide_id}"}


def _event_id(request: web.Request) -> int:
    """Number of the last event that the caller has, 0 for none or for an id that is not ours."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 0


def _blocks(size: int) -> Iterator[bytes]:
    yield from repeat(_BLOCK, size // len(_BLOCK))
    yield _BLOCK[: size % len(_BLOCK)]


def create_assistant(*, interval: float = 0.2) -> web.Application:
    """Build the system.

    Args:
        interval: seconds between two events of an answer, which has six.
    """
    return Assistant(interval).application()


def main(arguments: list[str] | None = None) -> int:
    """Run the system as a process; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.assistant", description=__doc__)
    add_listen_options(parser)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between events (default: %(default)s)")
    options = parser.parse_args(arguments)
    return run(create_assistant(interval=options.interval), "assistant", options)


if __name__ == "__main__":
    sys.exit(main())
