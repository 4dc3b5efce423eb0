"""The story that `sandbox.tour` plays: what a gateway has to do, and to refuse, one small scene after the other.

Each scene raises StepFailed when something is not as it should be, and otherwise says why it is right.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import jwt

from sandbox.signing import sign
from sandbox.story_office import OFFICE_SCENES
from sandbox.story_sign_in import carry_token, second_login, sign_in, sign_out, strengthen
from sandbox.visitor import DEADLINE, Visitor, require

GUIDE = "/guides/social-insurance"
CONTRIBUTIONS = "/social-insurance/contributions"
SETTLEMENT = "/medical/settlements/S2026-0042"
DECLARATIONS = "/pension/retirement-declarations"

MAY_ARRIVE = frozenset(
    {"host", "accept", "content-type", "content-length", "tongguan-identity", "traceparent", "x-request-id"}
)
"""Header fields that a business system behind the gatekeeper may get to see."""

SMUGGLED = {
    "Tongguan-Identity": "forged",
    "X-Forwarded-User": "somebody-else",
    "X-Original-Url": "/admin",
    "Cookie": "session=stolen",
}


async def public_guide(visitor: Visitor) -> str:
    """A public item."""
    answer = (await visitor.ask("GET", GUIDE)).must_be(200)
    require(answer.data["id"] == "social-insurance", "the guide is another one")
    return "公开事项直达外网区系统。 A public item goes straight to a system in the external zone."


async def no_token(visitor: Visitor) -> str:
    """A protected item without a token."""
    answer = (await visitor.ask("GET", CONTRIBUTIONS)).must_be(401, "token-missing")
    require(answer.fields["WWW-Authenticate"] == "Bearer", "the challenge is not plain Bearer (RFC 6750 §3)")
    return "未登录不得办理，请求未过网闸。 Nothing crosses the gatekeeper for nobody."


async def signed_token(visitor: Visitor) -> str:
    """A JWT; what a client smuggles does not arrive."""
    token = await visitor.token("citizen-1")
    answer = await visitor.ask("GET", CONTRIBUTIONS, token=token, headers=SMUGGLED, note="+ forged headers")
    arrived = answer.must_be(200).data
    extra = set(arrived["headers"]) - MAY_ARRIVE
    require(not extra, f"these header fields crossed and should not have: {sorted(extra)}")
    identity = arrived["identity"]
    claims = jwt.decode(token, options={"verify_signature": False})
    require(identity["sub"] == claims["sub"], "the business system sees another person")
    require(identity["path"] == CONTRIBUTIONS, "the identity was signed for another path")
    require(identity["jti"] == answer.fields["X-Request-Id"], "the identity was signed for another request")
    return "业务系统验签认人；令牌与伪造头均未过网闸。 It checked who asks; neither token nor forgery crossed."


async def opaque_token(visitor: Visitor) -> str:
    """A token that only the province can judge."""
    token = await visitor.token("citizen-1", "opaque")
    answer = (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(200)
    require(answer.data["identity"]["assurance"] == 3, "the level of the login got lost")
    return "不透明令牌由省平台核验（RFC 7662）。 The province was asked, as nobody else can tell."


async def step_up(visitor: Visitor) -> str:
    """Too weak a login, then a stronger one."""
    weak = await visitor.token("citizen-1", level=2)
    challenge = (await visitor.ask("GET", SETTLEMENT, token=weak, note="level 2")).must_be(401, "assurance-too-low")
    wanted = 'error="insufficient_user_authentication", acr_values="3"'
    require(wanted in challenge.fields["WWW-Authenticate"], "no challenge as in RFC 9470 §3")
    strong = await visitor.token("citizen-1", level=3)
    answer = (await visitor.ask("GET", SETTLEMENT, token=strong, note="level 3")).must_be(200)
    require(answer.data["result"]["settlement_id"] == "S2026-0042", "another settlement came back")
    return "等级不足时告知所需等级（RFC 9470），升级后放行。 Who logged in too weakly is told which login would do."


async def wrong_audience(visitor: Visitor) -> str:
    """A natural person at an item for legal persons."""
    token = await visitor.token("citizen-1")
    answer = await visitor.ask("POST", DECLARATIONS, token=token, json={"person": "sample"})
    answer.must_be(403, "audience-not-allowed")
    return "自然人不得办理法人事项。 Known, and still not allowed."


async def declaration(visitor: Visitor) -> str:
    """A unit's operator declares, with an attachment, and follows it up."""
    token = await visitor.token("unit-1")
    form = aiohttp.FormData()
    form.add_field("person", "样例")
    form.add_field("paper", b"%PDF-1.7 sample", filename="paper.pdf", content_type="application/pdf")
    answer = (await visitor.ask("POST", DECLARATIONS, token=token, data=form, note="form + paper.pdf")).must_be(201)
    result = answer.data["result"]
    require((result["unit"], result["operator"]) == ("91350100M000100Y43", "operator-1"), f"declared by {result}")
    require(len(answer.data["body"]["parts"]) == 2, "the attachment got lost")
    progress = await visitor.ask("GET", f"{DECLARATIONS}/{result['declaration_id']}", token=token)
    require(progress.must_be(200).data["result"]["status"] == "accepted", "the declaration cannot be followed")
    return "法人与经办人同时到达，附件逐字节一致。 Unit and operator both arrive, and the attachment to the byte."


async def wrong_attachment(visitor: Visitor) -> str:
    """A program that calls itself a paper."""
    token = await visitor.token("unit-1")
    form = aiohttp.FormData()
    form.add_field("paper", b"MZ\x90\x00", filename="paper.pdf", content_type="application/pdf")
    answer = await visitor.ask("POST", DECLARATIONS, token=token, data=form, note="an .exe named paper.pdf")
    answer.must_be(403, "content-blocked")
    return "网闸前内容检查按文件头判断类型。 The inspection looks at the first bytes, not at the name."


async def signed_channel(visitor: Visitor) -> str:
    """The app channel: good, replayed, late, altered."""
    signed = sign("GET", GUIDE)
    (await visitor.ask("GET", GUIDE, headers=signed, note="signed")).must_be(200)
    (await visitor.ask("GET", GUIDE, headers=signed, note="the same again")).must_be(401, "replayed")
    late = sign("GET", GUIDE, at=time.time() - 3600)
    skewed = (await visitor.ask("GET", GUIDE, headers=late, note="signed an hour ago")).must_be(401, "clock-skew")
    require("Date" in skewed.fields, "the caller is not told our time")
    other = sign("GET", "/guides/retirement")
    (await visitor.ask("GET", GUIDE, headers=other, note="signed for another path")).must_be(401, "channel-signature")
    sm3 = sign("GET", GUIDE, key="demo-sm3-ak")
    (await visitor.ask("GET", GUIDE, headers=sm3, note="HMAC-SM3")).must_be(200)
    return "签名覆盖整个请求，限时且仅一次有效。 A signature is good for one request, soon, and once."


async def revocation(visitor: Visitor) -> str:
    """A token that carries its own proof dies at once."""
    token = await visitor.token("citizen-2")
    (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(200)
    jti = jwt.decode(token, options={"verify_signature": False})["jti"]
    (await visitor.ask("POST", "/revocations", to="management", json={"jti": jti})).must_be(200)
    (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(401, "token-revoked")
    return "自含签名的令牌注销后立即失效。 Even a self-contained token dies the moment it is revoked."


async def province_down(visitor: Visitor) -> str:
    """Nobody can say whether a token is good."""
    opaque, signed = await visitor.token("citizen-1", "opaque"), await visitor.token("citizen-1")
    await visitor.fault("introspect", "down")
    try:
        answer = await visitor.ask("GET", CONTRIBUTIONS, token=opaque, note="opaque")
        answer.must_be(503, "province-unreachable")
        require("Retry-After" in answer.fields, "nobody is told when to come back")
        (await visitor.ask("GET", CONTRIBUTIONS, token=signed, note="JWT")).must_be(200)
    finally:
        await visitor.fault("introspect", "none")
    back = {"token": opaque, "note": "after the fault"}
    await visitor.until("the province is back", lambda answer: answer.status == 200, "GET", CONTRIBUTIONS, **back)
    return "无法核验即 503，非 401，亦不放行；恢复后自愈。 Doubt closes with 503, never with 401, and heals."


async def ambiguous_paths(visitor: Visitor) -> str:
    """Addresses that could mean two things."""
    for path in (
        "/guides/../medical/settlements/S1",
        "/guides/..%2fmedical",
        "/guides//retirement",
        "/guides/a;b",
        "/%00",
    ):
        (await visitor.ask_raw(f"GET {path} HTTP/1.1")).must_be(400, "target-refused")
    return "有歧义的地址一律拒绝，不作修正。 What can be read in two ways is refused, not repaired."


async def server_sent_events(visitor: Visitor) -> str:
    """An answer that comes in pieces."""
    answer = (await visitor.ask("GET", "/assistant/answers?question=pension")).must_be(200)
    require(answer.fields["Content-Type"].startswith("text/event-stream"), "no event stream")
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    require(names[0] == "question" and names[-1] == "done", f"these events came: {names}")
    visitor.seen.append(f"< {' '.join(names)}")
    return "事件流逐条透传。 Events pass one by one, as they come."


async def websocket(visitor: Visitor) -> str:
    """A conversation both ways."""
    async with asyncio.timeout(DEADLINE), visitor.connect("/assistant/chat") as chat:
        greeting = await chat.receive_str()
        await chat.send_str("通关")
        echo = await chat.receive_str()
    visitor.seen += [f"< {greeting}", "> 通关", f"< {echo}"]
    require(echo == "assistant: 通关", "the assistant said something else")
    return "双向会话透传。 A WebSocket goes through, for the one operation that asks for it."


async def live_reload(visitor: Visitor) -> str:
    """An item is changed in its file while everything runs."""
    (await visitor.ask("GET", GUIDE)).must_be(200)
    async with _changed(visitor, "channels: [web, app]", "channels: [app]"):
        await visitor.until("the change applies", lambda answer: answer.code == "channel-not-allowed", "GET", GUIDE)
    await visitor.until("the change is taken back", lambda answer: answer.status == 200, "GET", GUIDE)
    return "保存即生效，校验不通过则保持原配置。 A saved change applies at once; a mistake would change nothing."


@asynccontextmanager
async def _changed(visitor: Visitor, old: str, new: str) -> AsyncIterator[None]:
    """Replace the first occurrence of a text in the guides' item file, for a while."""
    path = visitor.places.edge / "items" / "assistant.yaml"
    before = path.read_text(encoding="utf-8")
    require(old in before, f"{path} was edited; the story needs `{old}` in it")
    visitor.seen.append(f"~ {path.name}: {old} → {new}")
    path.write_text(before.replace(old, new, 1), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        visitor.seen.append(f"~ {path.name}: {new} → {old}")


async def records(visitor: Visitor) -> str:
    """Every request of this story has its one record, and no record holds a token."""
    asked = visitor.request_ids
    async with asyncio.timeout(DEADLINE):
        while not set(asked) <= set(found := _read_records(visitor)):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.1)
    twice = [request_id for request_id in asked if len(found[request_id]) > 1]
    require(not twice, f"more than one record for {twice}")
    text = visitor.places.access_records.read_text(encoding="utf-8")
    require(not any(token in text for token in visitor.tokens), "a token stands in the records")
    visitor.seen += [f"= {_shown(found[request_id][0])}" for request_id in asked[:6]]
    visitor.seen.append(f"= … {len(asked)} requests, {len(asked)} records")
    return "每个请求一条记录，主体为假名，不含令牌。 One record per request, pseudonyms for people, no token anywhere."


def _read_records(visitor: Visitor) -> dict[str, list[dict[str, object]]]:
    """All access records so far, by request id; a line that is still being written is left for the next time."""
    found: dict[str, list[dict[str, object]]] = {}
    whole = visitor.places.access_records.read_bytes().rpartition(b"\n")[0]
    for line in filter(None, whole.splitlines()):
        record = json.loads(line)
        found.setdefault(record["trace.id"], []).append(record)
    return found


def _shown(record: dict[str, object]) -> str:
    keys = ("http.response.status_code", "http.request.method", "http.route", "channel", "verifier", "code", "ms.total")
    return " ".join(str(record[key]) for key in keys if key in record)


@dataclass(frozen=True, slots=True)
class Scene:
    """One step of the story: its heading in Chinese and English, and what happens."""

    chinese: str
    english: str
    play: Callable[[Visitor], Awaitable[str]]


STORY = (
    Scene("公开事项", "A public guide", public_guide),
    Scene("未登录", "Without a token", no_token),
    Scene("签名令牌，过网闸", "With a signed token, across the gatekeeper", signed_token),
    Scene("不透明令牌", "With an opaque token", opaque_token),
    Scene("认证等级不足", "Too weak a login, then a stronger one", step_up),
    Scene("统一登录", "Log in at the first department", sign_in),
    Scene("凭令牌到另一部门办事", "On to the second department with a token", carry_token),
    Scene("加强认证", "A page that needs a stronger login", strengthen),
    Scene("一次登录，处处通行", "The second department needs no other login", second_login),
    Scene("统一登出", "One logout for everything", sign_out),
    Scene("服务对象不符", "A natural person at an item for units", wrong_audience),
    Scene("法人经办人申报", "A unit's operator declares, with an attachment", declaration),
    Scene("附件内容检查", "An attachment that is not what it says", wrong_attachment),
    *(Scene(*told) for told in OFFICE_SCENES),
    Scene("签名渠道", "The app channel", signed_channel),
    Scene("令牌注销", "A revoked token", revocation),
    Scene("省平台不可用", "The province cannot be reached", province_down),
    Scene("有歧义的地址", "Ambiguous addresses", ambiguous_paths),
    Scene("事件流", "Server-sent events", server_sent_events),
    Scene("双向会话", "A WebSocket", websocket),
    Scene("在线修改配置", "A live change of configuration", live_reload),
    Scene("访问记录", "The records", records),
)
