"""Passwords of the staff: how they are kept (Argon2id, RFC 9106), made, and what they must be. staff_sign_in.py asks.

Hashing takes long and much memory on purpose, so it runs in a few threads of its own, and few may wait for them.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import FieldProblem, Overloaded

T = TypeVar("T")

LONGEST = 128
"""Characters of a password at most."""

_THREADS = 2
_MOST_WAITING = 16
_FEWEST_DIFFERENT = 5

_READABLE = "23456789abcdefghjkmnpqrstuvwxyz"  # without 0 o 1 l i
_GROUPS, _GROUP = 5, 4

_FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""For one-time passwords: 99 random bits cannot be guessed, however fast somebody tries, and imports make thousands."""

_COMMONEST = (
    "password", "passw0rd", "qwerty", "1qaz2wsx", "asdfgh", "zxcvbn", "abcdef", "abc123", "123456", "654321",
    "111111", "666666", "888888", "iloveyou", "woaini", "5201314", "letmein", "welcome", "tongguan",
)  # fmt: skip


class Passwords:
    """Keeps and checks passwords.

    Args:
        length: characters of a password at least.
        hasher: with the cost that this installation pays; the library's defaults are RFC 9106's second choice, 64 MiB.
    """

    def __init__(self, length: int, hasher: PasswordHasher | None = None) -> None:
        self._length = length
        self._hasher = PasswordHasher() if hasher is None else hasher
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys: str | None = None

    def close(self) -> None:
        """Let the threads go when they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """What is kept of a password.

        Raises:
            Overloaded: too many wait already; 503.
        """
        return await self._aside(lambda: self._hasher.hash(_plain(password)))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Tell whether this is the password; it takes as long when there is nobody whose it could be.

        Args:
            kept: what is kept of the right one; None when there is no such account.
            password: what was entered.

        Raises:
            Overloaded: too many wait already; 503.
        """
        return await self._aside(lambda: self._check(kept, _plain(password)))

    def outdated(self, kept: str) -> bool:
        """True when it was not hashed at the cost that this installation pays now."""
        try:
            return self._hasher.check_needs_rehash(kept)
        except InvalidHashError:
            return True

    def one_time(self) -> tuple[str, str]:
        """Make a password for one sign-in: what the person is told, and what is kept of it."""
        groups = ("".join(secrets.choice(_READABLE) for _ in range(_GROUP)) for _ in range(_GROUPS))
        password = "-".join(groups)
        return password, _FAST.hash(password)

    def problem(self, password: str, login: str, name: str) -> FieldProblem | None:
        """What is wrong with a password that somebody chooses; None when nothing is.

        Args:
            password: the new one.
            login: of the account.
            name: of the person.
        """
        entered = _plain(password)
        if not self._length <= len(entered) <= LONGEST:
            return _wrong(
                f"密码长度应为 {self._length} 至 {LONGEST} 个字符。",
                f"A password has {self._length} to {LONGEST} characters.",
            )
        plain = entered.casefold()
        if login.casefold() in plain or (len(name) > 1 and name.casefold() in plain):
            return _wrong("密码不得包含登录名或姓名。", "A password holds neither the login nor the name.")
        rest = plain
        for common in _COMMONEST:
            rest = rest.replace(common, "")
        if len(set(plain)) < _FEWEST_DIFFERENT or len(rest) < self._length // 2:
            return _wrong("密码过于常见，请更换。", "The password is too common. Please choose another one.")
        return None

    def _check(self, kept: str | None, password: str) -> bool:
        if self._nobodys is None:
            self._nobodys = self._hasher.hash(secrets.token_urlsafe())
        right = kept is not None and _verify(self._hasher, kept, password)
        if kept is None or self.outdated(kept):  # of another cost, so that the time would tell
            _verify(self._hasher, self._nobodys, password)
        return right

    async def _aside(self, step: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Overloaded("too many passwords are being checked")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, step)
        finally:
            self._waiting -= 1


def _plain(password: str) -> str:
    """One form of every text, whatever keyboard it came from (RFC 8265 §4.2.2), and never more than a password has."""
    return unicodedata.normalize("NFC", password[: LONGEST * 4])


def _verify(hasher: PasswordHasher, kept: str, password: str) -> bool:
    try:
        return hasher.verify(kept, password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False


def _wrong(chinese: str, english: str) -> FieldProblem:
    return FieldProblem("new", (chinese, english))
