"""The province's signed tokens: one good token of each algorithm, and one bad token for each rule."""

import json

import msgspec
import pytest
from pydantic import ValidationError

from gateway import SESSION_MARK, Credential, CredentialRejected, Kind, VerifierUnavailable
from plugins.channels.web import Web, WebConfig
from plugins.verifiers.province_jwt import ProvinceJwt, ProvinceJwtConfig
from tests.plugin_world import AUDIENCE, ISSUER, NOW, Signer, answer, b64, inbound

CONFIG = {
    "issuer": ISSUER,
    "jwks": f"{ISSUER}/jwks",
    "audience": AUDIENCE,
    "assurance": {"1": 1, "2": 2, "3": 3, "4": 4},
}


def make(context, **config) -> ProvinceJwt:
    return ProvinceJwt(ProvinceJwtConfig.model_validate(CONFIG | config), context)


@pytest.fixture
def verifier(context, platform, signers) -> ProvinceJwt:
    platform.answers = [answer({"keys": [signer.jwk() for signer in signers.values()]})]
    return make(context)


def shown(token: str | None) -> Credential:
    return Credential("web", token)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_good_token_says_who_it_is(verifier, signers, algorithm):
    principal = await verifier.verify(shown(signers[algorithm].token()))
    assert (principal.issuer, principal.subject, principal.kind) == (ISSUER, "8f2c61d0b7e94a53c1d6", Kind.NATURAL)
    assert (principal.assurance, principal.expires_at, principal.verifier) == (3, NOW + 600, "part")
    assert (principal.session, principal.token_id) == ("session-1", "token-1")


async def test_many_tokens_need_one_fetch_of_the_keys(verifier, signers, platform):
    for number in range(5):
        await verifier.verify(shown(signers["ES256"].token(jti=f"t-{number}")))
    assert len(platform.calls) == 1


@pytest.mark.parametrize(
    "token",
    [None, "", "opaque-token@node1", "a.b.c", "a.b", SESSION_MARK + "AbCdEfGhIjKlMnOp", "\ud800", "样例.样例.样例"],
)
async def test_what_is_no_jwt_is_not_its_to_judge(verifier, token, platform):
    assert await verifier.verify(shown(token)) is None
    assert platform.calls == []


@pytest.mark.parametrize("issuer", [None, "https://id.other.example", ISSUER + "/", ISSUER.upper()])
async def test_a_token_of_another_issuer_is_not_its_to_judge(verifier, signers, issuer):
    assert await verifier.verify(shown(signers["ES256"].token(iss=issuer))) is None


def bad_tokens(signers: dict[str, Signer]) -> dict[str, str]:
    signer, stranger = signers["ES256"], Signer("ES256", "es256-1")
    good = signer.token()
    head, body, signature = good.split(".")
    header = {"typ": "at+jwt", "alg": "ES256", "kid": signer.kid}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "subject_type": "natural", "exp": int(NOW) + 600}
    said = json.dumps(claims)
    return {
        "another key": stranger.token(),
        "the key in its own header": stranger.token({"jwk": stranger.jwk()}),
        "no signature": f"{head}.{body}.",
        "alg none": ".".join((b64(json.dumps(header | {"alg": "none"}).encode()), body, "")),
        "alg none, with a signature": signer.token({"alg": "none"}),
        "an algorithm that is not the key's": signer.token({"alg": "RS256"}),
        "an algorithm that is not allowed": signer.token({"alg": "ES512"}),
        "another key's algorithm": signers["RS256"].token({"kid": signer.kid}),
        "a changed signature": f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        "a shorter signature": f"{head}.{body}.{signature[:-4]}",
        "a changed payload": f"{head}.{b64(said.encode())}.{signature}",
        "padding": good + "=",
        "crit": signer.token({"crit": ["exp"]}),
        "no kid": signer.sign({"alg": "ES256", "typ": "JWT"}, said),
        "another type": signer.token({"typ": "logout+jwt"}),
        "no type": signer.sign({"alg": "ES256", "kid": signer.kid}, said),
        "expired": signer.token(exp=int(NOW) - 1),
        "no exp": signer.token(exp=None),
        "exp is a truth value": signer.token(exp=True),
        "exp is NaN": signer.sign(header, said.replace(str(int(NOW) + 600), "NaN")),
        "exp is Infinity": signer.sign(header, said.replace(str(int(NOW) + 600), "1e999")),
        "not yet valid": signer.token(nbf=int(NOW) + 61),
        "issued in the future": signer.token(iat=int(NOW) + 61),
        "another audience": signer.token(aud="dept-tax"),
        "no audience": signer.token(aud=None),
        "no sub": signer.token(sub=None),
        "sub with a control character": signer.token(sub="a\r\nb"),
        "a claim twice": signer.sign(header, said[:-1] + ',"sub":"other"}'),
        "the issuer twice": signer.sign(header, f'{{"iss":"x",{said[1:]}'),
        "too deep": signer.token(deep=json.loads("[" * 20 + "]" * 20)),
        "no kind": signer.token(subject_type=None),
    }


BAD = list(bad_tokens({name: Signer(name, f"{name.lower()}-1") for name in ("RS256", "ES256")}))


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_of_its_issuer_is_rejected(verifier, signers, name):
    with pytest.raises(CredentialRejected) as caught:
        await verifier.verify(shown(bad_tokens(signers)[name]))
    assert (caught.value.status, caught.value.code) == (401, "token-invalid")


async def test_a_token_that_is_too_long_is_not_even_read(verifier, signers):
    assert await verifier.verify(shown(signers["ES256"].token(padding="x" * 9000))) is None


async def test_a_token_of_an_unknown_kid_is_rejected(verifier, signers):
    with pytest.raises(CredentialRejected):
        await verifier.verify(shown(signers["ES256"].token({"kid": "unknown"})))


async def test_without_keys_nothing_is_rejected_and_nothing_passes(verifier, signers, platform):
    platform.answers = [OSError("down")]
    with pytest.raises(VerifierUnavailable):
        await verifier.verify(shown(signers["ES256"].token()))


async def test_a_token_of_a_forbidden_algorithm_needs_no_keys_to_be_rejected(verifier, signers, platform):
    platform.answers = [OSError("down")]
    with pytest.raises(CredentialRejected):
        await verifier.verify(shown(signers["ES256"].token({"alg": "HS256"})))


async def test_the_start_does_not_fail_while_the_province_is_down(verifier, platform):
    platform.answers = [OSError("down")]
    await verifier.start()
    await verifier.stop()


async def test_a_withdrawn_key_makes_the_chain_ask_again(verifier, signers, platform, clock):
    await verifier.verify(shown(signers["ES256"].token()))
    platform.answers = [answer({"keys": [signers["RS256"].jwk()]})]
    clock.advance(31)
    with pytest.raises(CredentialRejected):
        await verifier.verify(shown(signers["ES256"].token({"kid": "newer"}, exp=int(NOW) + 900)))
    assert verifier.epoch == 1
    with pytest.raises(CredentialRejected):
        await verifier.verify(shown(signers["ES256"].token()))


async def test_the_clock_of_who_serves_the_keys_is_told_to_operators(verifier, signers, platform):
    assert "clock_offsets" not in verifier.status()
    platform.answers = [msgspec.structs.replace(platform.answers[0], date=NOW - 61)]
    await verifier.verify(shown(signers["ES256"].token()))
    assert verifier.status()["clock_offsets"] == {"id.province.example": -61}


async def test_types_can_be_left_unchecked(verifier, context, platform, signers):
    lenient = make(context, types=[])
    assert await lenient.verify(shown(signers["ES256"].token({"typ": "anything"})))


async def test_what_the_web_channel_finds_is_what_is_judged(verifier, context, signers):
    token = signers["EdDSA"].token()
    credential = await Web(WebConfig(), context).identify(inbound(fields={"authorization": f"Bearer {token}"}))
    assert (await verifier.verify(credential)).subject == "8f2c61d0b7e94a53c1d6"


@pytest.mark.parametrize(
    "changed",
    [
        {"jwks": "http://id.province.example/jwks"},
        {"jwks": "file:///etc/passwd"},
        {"jwks": "id.province.example"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": []},
        {"leeway": "61s"},
        {"leeway": 60},
        {"soft_ttl": "2h"},
        {"audience": ""},
        {"audience": None},
        {"issuer": ""},
        {"assurance": {"3": 5}},
        {"kinds": {"1": "anyone"}},
        {"issuers": ["x"]},
    ],
)
def test_settings_that_cannot_be_right_are_refused(changed):
    with pytest.raises(ValidationError):
        ProvinceJwtConfig.model_validate(CONFIG | changed)


@pytest.mark.parametrize(
    "changed", [{"jwks": "http://127.0.0.1:8100/jwks"}, {"jwks": "http://id.example/jwks", "allow_http": True}]
)
def test_plain_http_is_for_this_machine_or_for_who_asks_for_it(changed):
    assert ProvinceJwtConfig.model_validate(CONFIG | changed)
