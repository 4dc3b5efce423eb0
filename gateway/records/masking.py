"""Takes personal data and secrets out of text before it is recorded, by pattern and by name; and keyed pseudonyms.

Pure functions. describing.py and application.py call them; docs/records.md states the rules (GB/T 35273-2020 §7.2,
DB34/T 4631.2-2023).
"""

import hashlib
import hmac
import re
from functools import lru_cache
from urllib.parse import unquote

from gateway.codes import citizen_check_digit, keep_ends

_PLAIN_PATH = re.compile(r"(?:/[a-z_.-]*+[0-9]{0,10}+)++")
"""Most paths: segments of small letters with a short number at their end hold nothing to mask."""
_SUSPECT = re.compile(r"[0-9]{11}|[0-9]-[0-9]{4}-|[@%=:+\\\"' \t]|e(?:yJ|yA|wo|w0)")
"""Text without any of these, and without a run of 32, holds nothing to mask."""

_NESTED = 8
"""Rounds of encoding that are followed; text that was encoded more often hides something."""
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")

_CONFIDENTIAL_NAME = (
    r"[a-z0-9_-]{0,24}?(?:token|secret|password|passwd|pwd|signature|sign|ticket|session(?:[_-]?id)?|assertion"
    r"|api[_-]?key|private[_-]?key|credential|cookie|authorization|jwt)"
)
_IDENTIFIER_NAME = (
    r"(?:[a-z0-9_-]{0,24}?(?:id[_-]?(?:card|no|num|number)|cert[_-]?(?:no|num|number)|(?:bank[_-]?)?card[_-]?no"
    r"|passport(?:[_-]?no)?|phone(?:[_-]?(?:no|number))?|mobile)|sfzh|zjhm|sjh|yhkh|tel)"
)
_PERSON_NAME = r"(?:xm|xingming|(?:real|user|person|operator|applicant|legal|cn)[_-]?name)"
_PAIR = r"(?:[\"']\s?+[:=]\s?+|=)[\"']?+(?!<sha256:)"
_NAMED = re.compile(
    rf"(?i)(?<![a-z0-9_-])(?:(?P<secret>{_CONFIDENTIAL_NAME})|(?P<identifier>{_IDENTIFIER_NAME})|(?P<person>{_PERSON_NAME}))"
    rf"(?P<pair>{_PAIR})(?P<value>[^\s\"'&;,]++)"
)
_HEADER = re.compile(r"(?i)((?:proxy-)?authorization|(?:set-)?cookie)[\"']?+\s?+:\s?+[\"']?+(?!<sha256:)([^\r\n\"']++)")
_SCHEME = re.compile(
    r"(?i)(?<![a-z])(bearer|basic|dpop)([ \t:=+]++)((?=[A-Za-z._~+/=-]*+[0-9])[\w.~+/=-]{6,}+|[\w.~+/=-]{16,}+)"
)
_JOSE = re.compile(r"(?:eyJ|(?<![\w-])e(?:yA|wo|w0))[A-Za-z0-9_+=-]{8,}+(?:\.[A-Za-z0-9_+=-]*+){0,4}")
_OPAQUE = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{32,}+")
_RUN = re.compile(r"[0-9]{11,}+[Xx]?")
_NUMBER = re.compile(
    r"(?P<own>(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z]))"
    r"|(?P<email>(?<![^\s@<>\"',;:/?&=()\[\]*])[^\s@<>\"',;:/?&=()\[\]*]++@(?P<domain>[\w-]+(?:\.[\w-]+)+))"
    r"|(?P<spaced>(?<![0-9])(?:1[3-9][0-9][ +-][0-9]{4}[ +-][0-9]{4}"
    r"|[3-69][0-9]{3}(?:[ +-][0-9]{4}){2,3}[ +-][0-9]{1,4})(?![0-9]))"
    rf"|{_RUN.pattern}",
    re.ASCII,
)
_PHONE = re.compile(r"((?:00)?86|0)?(1[3-9][0-9])[0-9]{4}([0-9]{4})", re.ASCII)
_BIRTHDAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_CITIZEN = re.compile(rf"[1-9][0-9]{{5}}(?:18|19|20)[0-9]{{2}}{_BIRTHDAY}[0-9]{{3}}[0-9Xx]", re.ASCII)
_CITIZEN_OLD = re.compile(rf"[1-9][0-9]{{7}}{_BIRTHDAY}[0-9]{{3}}", re.ASCII)


def mask_text(text: str) -> str:
    """Mask what is personal or secret in free text; text without any of it comes back as it is.

    Percent-encoding and the escapes of JSON are undone, as often as it takes, before anything is looked for; where
    something was found the decoded text is returned.
    """
    if _PLAIN_PATH.fullmatch(text) is not None:
        return text
    if _SUSPECT.search(text) is None and (len(text) < 32 or _OPAQUE.search(text) is None):
        return text
    plain = _decoded(text)
    if plain is None:
        return fingerprint(text)
    masked = _NAMED.sub(_mask_pair, _HEADER.sub(_mask_header, plain))
    masked = _SCHEME.sub(lambda found: found[1] + found[2] + fingerprint(found[3]), masked)
    masked = _JOSE.sub(lambda found: fingerprint(found[0]), masked)
    masked = _NUMBER.sub(_mask_number, _OPAQUE.sub(_mask_opaque, masked))
    return text if masked == plain else masked


def mask_named(name: str, value: str) -> str:
    """Mask a value whose name is known; a name that says nothing leaves it to the patterns."""
    found = _NAMED.fullmatch(f"{name}=x")
    if found is None or not value:
        return mask_text(value)
    if found["secret"]:
        return value if value.startswith("<sha256:") else fingerprint(value)
    return _person(value) if found["person"] else _identifier(value)


def mask_query(query: str, allowed: frozenset[str]) -> str:
    """What of a query may be recorded: the parameters whose names are allowed, with masked values."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "&".join(f"{name}={mask_named(name, value)}" for name, _, value in pairs if name in allowed)


def fingerprint(secret: str) -> str:
    """Six hex digits of SHA-256: enough to find the same token again, useless for anything else."""
    return f"<sha256:{hashlib.sha256(secret.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}>"


def is_citizen_number(text: str) -> bool:
    """Tell whether a text is a citizen number with a good check digit (GB 11643-1999)."""
    return _CITIZEN.fullmatch(text) is not None and citizen_check_digit(text[:17]) == text[17].upper()


SHORTEST_PSEUDONYM_KEY = 16
"""Bytes of the key of the pseudonyms."""


class Pseudonyms:
    """Stand-ins for persons: the same person has the same one, and nobody without the key can tell whose it is.

    HMAC-SHA-256, cut to 128 bits. An unkeyed hash would not do: all citizen numbers can be tried in minutes.

    Args:
        key: at least 16 bytes, kept away from whoever reads the records.
        remembered: persons whose pseudonym is kept ready.

    Raises:
        ValueError: the key is too short.
    """

    __slots__ = ("_key", "of")

    def __init__(self, key: bytes, remembered: int = 16384) -> None:
        if len(key) < SHORTEST_PSEUDONYM_KEY:
            raise ValueError(f"the key of the pseudonyms needs at least {SHORTEST_PSEUDONYM_KEY} bytes")
        self._key = key
        self.of = lru_cache(maxsize=remembered)(self._of)

    def _of(self, issuer: str, subject: str) -> str:
        """Pseudonym of an issuer's subject, 32 hex digits."""
        person = f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, person, "sha256").hex()[:32]


def _decoded(text: str) -> str | None:
    """Text without percent-encoding and without the escapes of JSON; None when it was encoded more often than usual."""
    for _ in range(_NESTED):
        plain = unquote(text)
        if "\\" in plain:
            plain = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), plain)
        if plain == text:
            return plain
        text = plain
    return None


def _mask_header(found: re.Match[str]) -> str:
    return found[0].removesuffix(found[2]) + fingerprint(found[2])


def _mask_pair(found: re.Match[str]) -> str:
    name = found["secret"] or found["identifier"] or found["person"]
    return name + found["pair"] + mask_named(name, found["value"])


def _mask_opaque(found: re.Match[str]) -> str:
    """A long run with small letters, capitals and digits is no word and no code of ours: a ticket, a key, a token."""
    run = found[0]
    mixed = not run.islower() and not run.isupper() and any(map(str.isdigit, run)) and any(map(str.isalpha, run))
    return fingerprint(run) if mixed else run


def _mask_number(found: re.Match[str]) -> str:
    text = found[0]
    if found["own"] and not text.isdigit():
        return text
    if found["email"]:
        return f"{text[0]}***@{found['domain']}"
    if found["spaced"]:
        digits = re.sub(r"[ +-]", "", text)
        return text if (masked := _mask_digits(digits)) == digits else masked
    return _mask_digits(text)


def _mask_digits(run: str) -> str:
    """Mask a run of digits, perhaps with an X behind it, by what it can be; longest first."""
    if len(run) > 18:
        masked = _mask_inside(run)
        return _mask_card(run) if masked == run else _RUN.sub(lambda found: _mask_digits(found[0]), masked)
    if _CITIZEN.fullmatch(run):
        return keep_ends(run, 1, 2)
    digits = run.rstrip("Xx")
    if phone := _PHONE.fullmatch(digits):
        return f"{phone[1] or ''}{phone[2]}****{phone[3]}{run[len(digits) :]}"
    if _CITIZEN_OLD.fullmatch(digits):
        return keep_ends(digits, 1, 2) + run[len(digits) :]
    return _mask_card(run)


def _mask_inside(run: str) -> str:
    """Mask the citizen numbers in a longer run; their check digit tells them from chance."""
    at = 0
    while at + 18 <= len(run):
        if is_citizen_number(run[at : at + 18]):
            run = run[:at] + keep_ends(run[at : at + 18], 1, 2) + run[at + 18 :]
            at += 17
        at += 1
    return run


def _mask_card(run: str) -> str:
    digits = run.rstrip("Xx")
    if 13 <= len(digits) <= 19 and digits[0] in "34569" and _luhn(digits):
        return keep_ends(digits, 0, 4) + run[len(digits) :]
    return run


def _luhn(digits: str) -> bool:
    """Tell whether the check digit of a card number holds (ISO/IEC 7812-1 annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _identifier(value: str) -> str:
    masked = mask_text(value)
    return keep_ends(value, 1, 2) if masked == value else masked


def _person(value: str) -> str:
    plain = _decoded(value)
    return fingerprint(value) if plain is None else keep_ends(plain, 1, 0)
