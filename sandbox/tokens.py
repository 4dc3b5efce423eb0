"""The tokens of the sandbox's province platform: its signing keys, what it issues, and what it still stands by.

`sandbox.province` puts these on HTTP; the gateway's province verifiers are the readers.
"""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from sandbox.accounts import Account
from sandbox.national_keys import SM2_ALGORITHM, Sm2Key

TokenFormat = Literal["jwt", "opaque"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

ALGORITHMS = ("RS256", "ES256", "EdDSA")
# A load test may ask for any number of tokens; beyond this many the oldest are forgotten, and so inactive.
MOST_GRANTS = 100_000
# Guangdong's platform ends an opaque token with the node that issued it, so that checks can be routed there.
NODE_SUFFIX = "@node1"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key with its JOSE algorithm (RFC 7518, RFC 8037) and key id."""

    kid: str
    alg: str
    private: PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, alg: str) -> "SigningKey":
        """Make a fresh key: RSA of 2048 bits, P-256 or Ed25519."""
        makers: dict[str, Callable[[], PrivateKey]] = {
            "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        return cls(f"{alg.lower()}-{secrets.token_hex(4)}", alg, makers[alg]())

    def public_jwk(self) -> dict[str, Any]:
        """The public part as a JWK (RFC 7517)."""
        match self.private:
            case rsa.RSAPrivateKey():
                jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            case ec.EllipticCurvePrivateKey():
                jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
            case _:
                jwk = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {name: value for name, value in jwk.items() if name != "key_ops"} | {
            "kid": self.kid,
            "alg": self.alg,
            "use": "sig",
        }


class KeyRing:
    """The keys that sign now, one per algorithm, and older ones that are still published."""

    def __init__(self) -> None:
        self._signing = {alg: SigningKey.generate(alg) for alg in ALGORITHMS}
        self._former: list[SigningKey] = []
        self._sm2: Sm2Key | None = None

    def signing(self, alg: str) -> SigningKey:
        """The key that signs now. Raises KeyError for an algorithm that is not offered."""
        return self._signing[alg]

    def sm2(self) -> Sm2Key:
        """The SM2 key; made and published once somebody asks for it."""
        if self._sm2 is None:
            self._sm2 = Sm2Key.generate()
        return self._sm2

    def rotate(self) -> None:
        """Sign with new keys from now on; the former ones stay published."""
        fresh = {alg: SigningKey.generate(alg) for alg in ALGORITHMS}
        self._former = [*self._signing.values(), *self._former]
        self._signing = fresh
        self._sm2 = None

    def retire(self) -> None:
        """Withdraw every key that no longer signs."""
        self._former = []

    def jwks(self) -> dict[str, Any]:
        """The published key set (RFC 7517 §5): public parts only."""
        published = [key.public_jwk() for key in (*self._signing.values(), *self._former)]
        return {"keys": published + ([] if self._sm2 is None else [self._sm2.public_jwk()])}


@dataclass(slots=True)
class Grant:
    """What one issued token stands for: its claims, and whether they were taken back since."""

    claims: Mapping[str, Any]
    revoked: bool = False


class TokenDesk:
    """Issues tokens, remembers them, takes them back and answers for them."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        client_id: str,
        keys: KeyRing,
        clock: Callable[[], float] = time.time,
        capacity: int = MOST_GRANTS,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._client_id = client_id
        self._keys = keys
        self._clock = clock
        self._capacity = capacity
        self._grants: dict[str, Grant] = {}

    def issue(
        self,
        account: Account,
        *,
        level: int,
        ttl: int,
        form: TokenFormat = "jwt",
        alg: str = "RS256",
        **claims: str | int,
    ) -> str:
        """Hand out a token of an account that has logged in.

        Args:
            account: who has logged in.
            level: how strongly, 0 to 4.
            ttl: seconds until the token ends; zero or less gives one that has ended already.
            form: `jwt` (RFC 9068) or `opaque` (random, with the issuing node as suffix).
            alg: what a JWT is signed with.
            claims: in place of the usual ones, for example `sid` of a session that is there already.

        Raises:
            KeyError: the algorithm is not offered.
        """
        stated = self._claims(account, level, ttl) | claims
        token = secrets.token_urlsafe(32) + NODE_SUFFIX if form == "opaque" else self.sign(stated, alg)
        if len(self._grants) >= self._capacity:
            del self._grants[next(iter(self._grants))]
        self._grants[token] = Grant(stated)
        return token

    def _claims(self, account: Account, level: int, ttl: int) -> dict[str, Any]:
        end = int(self._clock()) + ttl
        start = min(int(self._clock()), end - 1)
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": account.sub,
            "aud": self._audience,
            "exp": end,
            "iat": start,
            "nbf": start,
            "jti": uuid.uuid4().hex,
            "sid": uuid.uuid4().hex,
            "client_id": self._client_id,
            "acr": str(level),
            "auth_time": start,
            "subject_type": account.subject_type,
        }
        return claims if account.operator is None else claims | {"act": {"sub": account.operator}}

    def sign(self, claims: dict[str, Any], alg: str = "RS256", typ: str = "at+jwt") -> str:
        """Sign claims as they are. Raises KeyError for an algorithm that is not offered."""
        if alg == SM2_ALGORITHM:
            return self._keys.sm2().sign(claims, typ)
        key = self._keys.signing(alg)
        return jwt.encode(claims, key.private, algorithm=alg, headers={"typ": typ, "kid": key.kid})

    def find(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token that still holds; None otherwise."""
        grant = self._grants.get(token)
        if grant is None or grant.revoked or grant.claims["exp"] <= self._clock():
            return None
        return grant.claims

    def introspect(self, token: str) -> dict[str, Any]:
        """Tell what a token stands for (RFC 7662 §2.2): `{"active": false}` and no more unless it still holds.

        Both forms are looked up by their exact text: the desk knows what it issued, so an altered JWT is unknown.
        """
        claims = self.find(token)
        return {"active": False} if claims is None else {"active": True, "token_type": "Bearer", **claims}

    def revoke(self, *, member: str, value: str) -> int:
        """Take back every token whose claim `member` equals `value`, or with `token` that very one.

        Returns:
            How many tokens were taken back that had not been before.
        """
        if member == "token":
            found = [self._grants[value]] if value in self._grants else []
        else:
            found = [grant for grant in self._grants.values() if grant.claims[member] == value]
        standing = [grant for grant in found if not grant.revoked]
        for grant in standing:
            grant.revoked = True
        return len(standing)
