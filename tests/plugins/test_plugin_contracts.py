"""Every shipped plugin is held to the written contract of gateway/contracts.py, whatever is thrown at it.

A new plugin is found by itself; it fails here until `SAMPLES` has settings for it.
"""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import gateway
import plugins
from gateway import (
    Allow,
    CannotDecide,
    Channel,
    ChannelRejected,
    Credential,
    CredentialRejected,
    CrossSite,
    Deny,
    HttpAnswer,
    Kind,
    LedgerReauthorizer,
    Login,
    PartContext,
    Principal,
    Reauthorizer,
    RequestMalformed,
    Settings,
    SignIn,
    SignInMalformed,
    SignInRefused,
    StepUp,
    Verifier,
    VerifierUnavailable,
)
from gateway import Platform as SignInPlatform
from gateway.configuration.parts import part_config
from gateway.contracts import Part
from gateway.errors import GatewayError, StateUnavailable
from gateway.state import MemoryStore
from tests.identity.session_world import House
from tests.parsing import parsed
from tests.plugin_world import AUDIENCE, ISSUER, NOW, Clock, Platform, Signer, answer, b64, inbound, principal, visit
from tests.plugins.ledger_view import FACTS, MINE, UNIT, HeldLedger, changed, operator

SECRET = "correct-horse-battery-staple"
PLATFORM = {"issuer": ISSUER, "audience": AUDIENCE}
AT = {"issuer": ISSUER, "addresses": {"internet": ISSUER}}
BG = {"access_key": "AK-TEST", "secret": SECRET}
RSA_KEY = Signer("RS256", "rs256-1").public_pem()
SAMPLES = {
    "plugins.channels.web:Web": {"session_cookie": "__Host-sid"},
    "plugins.channels.signed:Signed": {
        "scheme": {"kind": "template"},
        "callers": [{"id": "demo-ak", "algorithm": "hmac-sha256", "key": SECRET}],
    },
    "plugins.channels.app:App": {"keys": [{"id": "demo-ak", "secret": SECRET}]},
    "plugins.channels.wechat:WeChat": {
        "app_id": "demo-ak",
        "secret": SECRET,
        "messages": {"paths": ["/guides/1"], "keys": [{"token": SECRET}], "encrypted": False},
    },
    "plugins.channels.alipay:Alipay": {"app_id": "demo-ak", "public_keys": [RSA_KEY], "notifications": ["/guides/1"]},
    "plugins.channels.unionpay:UnionPay": {
        "app_id": "demo-ak",
        "secret": SECRET,
        "acp": {"paths": ["/guides/1"], "merchants": ["1"], "sign_method": "11", "keys": [SECRET]},
    },
    "plugins.verifiers.province_jwt:ProvinceJwt": PLATFORM | {"jwks": f"{ISSUER}/jwks"},
    "plugins.verifiers.province_introspection:ProvinceIntrospection": PLATFORM
    | {"endpoint": f"{ISSUER}/introspect", "client_id": "dept-hrss", "client_secret": SECRET, "jwt": True},
    "plugins.verifiers.session:Session": {},
    "plugins.platforms.standard:Standard": PLATFORM
    | {"client_id": "dept-hrss", "client_secret": SECRET, "authorization": f"{ISSUER}/authorize"}
    | {
        name: f"{ISSUER}/{name}" for name in ("token", "jwks", "userinfo", "introspection", "revocation", "end_session")
    },
    "plugins.platforms.zhejiang:ZhejiangPerson": AT
    | {"service_code": "svc", "service_password": SECRET, "gateway": BG},
    "plugins.platforms.zhejiang:ZhejiangLegal": AT | {"gateway": BG},
    "plugins.platforms.zhejiang_irs:ZhejiangIrs": AT | {"app_id": "2001", "gateway": BG},
    "plugins.platforms.hanweb_jis:HanwebJis": AT | {"app_mark": "mark", "app_word": SECRET[:24]},
    "plugins.platforms.guangdong:Guangdong": AT
    | {"client_id": "dept-hrss", "client_secret": SECRET, "envelope": {"key": SECRET}},
    "plugins.platforms.national:National": AT
    | {"requester": "rid-1", "secret": SECRET, "user_service": "s_2", "ticket_service": "s_1", "login_path": "/login"},
    "plugins.platforms.tif:TifChannel": {"token": SECRET},
    "plugins.platforms.tif:Tif": {"issuer": ISSUER},
    "plugins.reauthorizers.assurance:Assurance": {"minimum": 3, "max_age": "5m"},
    "plugins.reauthorizers.office_hours:OfficeHours": {"hours": {"monday": ["09:00-12:00"]}},
    "plugins.reauthorizers.confirm_again:ConfirmAgain": {"methods": ["GET", "POST"]},
    "plugins.reauthorizers.first_visit:FirstVisit": {},
    "plugins.reauthorizers.account_binding:AccountBinding": {},
    "plugins.reauthorizers.operator_grant:OperatorGrant": {},
    "plugins.reauthorizers.owner_switch:OwnerSwitch": {},
    "plugins.reauthorizers.designated_device:DesignatedDevice": {"when": "registered"},
    "plugins.example:Ticket": {"secret": SECRET},
    "plugins.example:ClosedItems": {"items": ["item-1"]},
}


def find_parts() -> dict[str, type[Part]]:
    found = {}
    for module in pkgutil.walk_packages(plugins.__path__, "plugins."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and issubclass(value, Part) and value.__module__ == module.name:
                found[f"{module.name}:{name}"] = value
    return found


PARTS = find_parts()
FILES = sorted(path for path in Path(plugins.__path__[0]).rglob("*.py") if path.name != "__init__.py")
SIGNER = Signer("ES256", "es256-1")
KEYS = answer({"keys": [SIGNER.jwk()]})

CHANNELS, VERIFIERS, PLATFORMS, REAUTHORIZERS, ON_THE_LEDGER = (
    [use for use, part in PARTS.items() if issubclass(part, kind)]
    for kind in (Channel, Verifier, SignInPlatform, Reauthorizer, LedgerReauthorizer)
)

each_part = pytest.mark.parametrize("use", PARTS)
each_platform = pytest.mark.parametrize("use", PLATFORMS)
each_on_the_ledger = pytest.mark.parametrize("use", ON_THE_LEDGER)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
hostile = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Each example is tried on every part of a kind: to think it up takes many times longer than to judge it."""


def make(use: str, said: HttpAnswer | Exception = KEYS, ledger: HeldLedger | None = None) -> Part:
    """The part with its sample settings, beside a platform that says just this, a ledger, and a log that is kept."""
    clock = Clock()
    once = MemoryStore(capacity=10, monotonic=lambda: clock.mono)
    log = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[])
    sessions = House(clock).sessions
    context = PartContext(
        "part",
        Platform([said]),
        once,
        lambda: clock.wall,
        lambda: clock.mono,
        log,
        sessions=sessions,
        ledger=ledger or HeldLedger(),
    )
    part = PARTS[use]
    return part(part_config(part, SAMPLES[use]), context)


async def outcome(judgement: Awaitable[object]) -> object:
    """What was said, or the refusal; any other error passes and fails the test."""
    try:
        return await judgement
    except GatewayError as error:
        return error


def test_every_part_has_a_sample_and_every_sample_a_part():
    assert set(SAMPLES) == set(PARTS)


@each_part
def test_settings_are_strict_frozen_and_described(use):
    config = PARTS[use].Config
    assert issubclass(config, Settings)
    assert config is not Settings
    assert config.model_config["extra"] == "forbid"
    assert config.model_config["frozen"]
    with pytest.raises(ValidationError):
        config.model_validate(SAMPLES[use] | {"no-such-setting": 1})
    assert all(field.description for field in config.model_fields.values())


@each_part
def test_settings_have_a_schema_that_can_be_exported(use):
    schema = PARTS[use].Config.model_json_schema()
    assert json.loads(json.dumps(schema))["additionalProperties"] is False


@each_part
def test_a_part_is_made_of_its_settings_and_its_context_and_no_more(use):
    part = PARTS[use]
    assert list(inspect.signature(part).parameters) == ["config", "context"]
    made = make(use)
    assert (made.name, type(made.config)) == ("part", part.Config)


@each_part
async def test_a_part_starts_and_stops_while_other_platforms_are_down(use):
    part = make(use, OSError("down"))
    await part.start()
    await part.stop()


@each_part
async def test_no_secret_is_in_a_repr_or_in_the_settings_as_text(use):
    part = make(use)
    for text in (
        repr(part),
        repr(part.config),
        str(part.config),
        part.config.model_dump_json(),
        str(vars(part.config)),
    ):
        assert SECRET not in text


@each_file
def test_a_plugin_imports_what_gateway_re_exports_the_standard_library_and_declared_packages(path):
    declared = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in requires("tongguan")}
    distributions = packages_distributions()
    for node in ast.walk(parsed(path)):
        assert not (isinstance(node, ast.ImportFrom) and node.level), "a plugin is one file, without relatives"
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
            if node.module == "gateway":
                assert {alias.name for alias in node.names} <= set(gateway.__all__)
        for name in names:
            top = name.partition(".")[0]
            known = {one.lower() for one in distributions.get(top, ())} & declared
            assert name == "gateway" or top in sys.stdlib_module_names or (known and top not in ("gateway", "plugins"))


@each_file
def test_a_plugin_introduces_itself(path):
    tree = parsed(path)
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


FIELD_NAMES = ["authorization", "cookie", "x-ak", "x-nonce", "x-timestamp", "x-signature", "content-type"]
BYTES = st.binary(max_size=80).map(lambda data: data.decode("latin-1"))
ALMOST = st.sampled_from(
    [
        "Bearer abc",
        "Bearer session:x",
        "__Host-sid=AbCdEfGhIjKlMnOp",
        "demo-ak",
        "n-1",
        f"{NOW:.0f}",
        "0" * 64,
        "\xe9" * 64,
    ]
)
FIELDS = st.dictionaries(st.sampled_from(FIELD_NAMES), BYTES | ALMOST)
QUERY = st.text("ab=&%2640+;", max_size=20)


@hostile
@given(fields=FIELDS, query=QUERY, body=st.binary(max_size=20))
async def test_a_channel_recognises_or_declines_or_rejects_and_nothing_else(fields, query, body):
    documented = (Credential, ChannelRejected, CredentialRejected, CrossSite, RequestMalformed, CannotDecide)
    for use in CHANNELS:
        said = await outcome(make(use).identify(inbound("POST", "/guides/1", query, fields, body)))
        assert said is None or isinstance(said, documented), use
        assert SECRET not in repr(said), use
        assert not isinstance(said, Credential) or said.channel == "part", use


CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": NOW + 60, "subject_type": "natural"}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
SOME_CLAIMS = st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "iat", "act", "jti", "acr", "active"]), ANYTHING)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "b64"]), ANYTHING)
SIGNED = st.builds(lambda header, claims: SIGNER.token(header, **(CLAIMS | claims)), HEADERS, SOME_CLAIMS)
SIGNED_BYTES = st.builds(lambda data: SIGNER.sign({"alg": "ES256", "kid": "es256-1", "typ": "JWT"}, data), st.binary())
UNSIGNED = st.builds(lambda *parts: ".".join(b64(part) for part in parts), st.binary(), st.binary(), st.binary())
WITH_SURROGATES = st.text(st.characters(codec=None), max_size=60)
TOKENS = st.none() | WITH_SURROGATES | st.text("ticket.u1.9-_=@", max_size=40) | UNSIGNED | SIGNED | SIGNED_BYTES
STATED = st.builds(lambda claims: answer({"active": True} | CLAIMS | claims), SOME_CLAIMS)
SAID = (
    st.just(KEYS)
    | st.just(OSError("down"))
    | STATED
    | st.builds(
        HttpAnswer, st.integers(200, 599), st.text(max_size=5), st.binary() | ANYTHING.map(json.dumps).map(str.encode)
    )
)


@hostile
@given(token=TOKENS, said=SAID)
async def test_a_verifier_knows_or_declines_or_rejects_or_cannot_tell_and_nothing_else(token, said):
    for use in VERIFIERS:
        verifier = make(use, said)
        verdict = await outcome(verifier.verify(Credential("web", token)))
        assert verdict is None or isinstance(verdict, Principal | CredentialRejected | VerifierUnavailable), use
        if isinstance(verdict, Principal):
            assert verdict.expires_at > NOW, use
            assert verdict.verifier == "part", use
            assert verdict.kind in (Kind.NATURAL, Kind.LEGAL), use
            assert verdict.assurance in range(5), use
        written = str(verifier.context.log._logger.calls) + repr(verdict)
        assert SECRET not in written, use
        assert not token or len(token) < 20 or token not in written, use


LOGINS = st.builds(
    Login,
    platform=st.just("part"),
    kind=st.sampled_from(Kind),
    state=st.text("aZ0_-", min_size=1, max_size=40),
    callback=st.just("https://gw.example.gov.cn/sso/callback/part"),
    nonce=st.text("aZ0_-", min_size=1),
    secret=st.text("aZ0_-", min_size=37, max_size=37).map("proof-".__add__),
    acr_values=st.none() | st.sampled_from(["1", "3 4", "L2"]),
    max_age=st.none() | st.integers(0, 600),
    began_at=st.just(NOW),
)
ANSWERS = st.dictionaries(st.sampled_from(["code", "ticket", "ticketId", "ssotoken", "state", "iss"]), WITH_SURROGATES)


@hostile
@given(login=LOGINS)
async def test_a_platform_leads_to_its_login_page_or_says_that_it_cannot(login):
    for use in PLATFORMS:
        with suppress(SignInMalformed):
            address = make(use).login_address(login)
            assert address.startswith(f"{ISSUER}/"), use
            assert login.state in address, use
            assert login.secret not in address, use
            assert address.isascii(), use


@hostile
@given(given_back=ANSWERS, login=LOGINS, said=SAID)
async def test_a_platform_signs_in_or_refuses_or_cannot_tell_and_nothing_else(given_back, login, said):
    for use in PLATFORMS:
        verdict = await outcome(make(use, said).redeem(given_back, login))
        assert isinstance(verdict, SignIn | SignInRefused | VerifierUnavailable), use
        assert SECRET not in repr(verdict), use
        if isinstance(verdict, SignIn):
            assert (verdict.principal.kind is Kind.LEGAL) is (verdict.person is not None), use


@each_platform
async def test_a_platform_is_told_of_the_end_and_where_to_come_back_to(use):
    platform = make(use, OSError("down"))
    signed_in = SignIn(principal(session="s-1"), token="token-1")
    told = await outcome(platform.end(signed_in))
    assert told is None or isinstance(told, VerifierUnavailable)
    address = platform.logout_address(signed_in, "https://gw.example.gov.cn/sso/")
    assert address is None or "https%3A%2F%2Fgw.example.gov.cn%2Fsso%2F" in address


@each_platform
@pytest.mark.parametrize("token", ["", "no token", SIGNER.token(), SIGNER.token({"typ": "logout+jwt"})])
async def test_a_platform_reads_what_it_signed_or_says_why_not(use, token):
    said = await outcome(make(use).read_signed(token, frozenset({"logout+jwt"})))
    assert isinstance(said, Mapping | CredentialRejected | VerifierUnavailable)


@hostile
@given(
    level=st.integers(0, 4),
    kind=st.sampled_from([Kind.NATURAL, Kind.LEGAL]),
    subject=st.text(min_size=1),
    authenticated_at=st.none() | st.floats(0, 4e9),
    at=st.floats(0, 4e9),
    acts=st.sampled_from([None, "op-1", "op-2"]),
    facts=st.none() | FACTS,
)
async def test_a_reauthorizer_decides_and_nothing_else(level, kind, subject, authenticated_at, at, acts, facts):
    asks = principal(assurance=level, kind=kind, subject=subject, authenticated_at=authenticated_at, operator=acts)
    for use in REAUTHORIZERS:
        decision = await make(use, ledger=HeldLedger(facts)).decide(asks, visit(at=at))
        assert type(decision) in (Allow, Deny, StepUp), use
        if isinstance(decision, Deny):
            assert re.fullmatch(r"[a-z][a-z0-9-]+", decision.code), use
            assert all(decision.title), use
            assert len(decision.title) == 2, use


@each_on_the_ledger
@pytest.mark.parametrize(("state", "code"), [("suspended", "unit-suspended"), ("revoked", "unit-revoked")])
async def test_a_reauthorizer_on_the_ledger_lets_nobody_pass_who_is_barred_there(use, state, code):
    facts = changed(UNIT, state=state, grants=(MINE,), bindings={"medical-insurance": "1"})
    decision = await make(use, ledger=HeldLedger(facts)).decide(operator(), visit())
    assert isinstance(decision, Deny)
    assert decision.code == code


@each_on_the_ledger
async def test_a_reauthorizer_on_the_ledger_cannot_tell_while_nobody_hears_from_it(use):
    with pytest.raises(StateUnavailable):
        await make(use, ledger=HeldLedger(silent=True)).decide(operator(), visit())


@each_on_the_ledger
async def test_a_reauthorizer_on_the_ledger_follows_it(use):
    ledger = HeldLedger()
    await make(use, ledger=ledger).start()
    assert ledger.followed == 1
