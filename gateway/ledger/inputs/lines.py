"""Texts as people may enter them: without what a page cannot show and a database cannot keep (checking.py tells)."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from gateway.codes import CodeError

_NO_LETTERS = (
    r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"  # turn the order of what is read round, or show nothing
    r"\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f"
)
"""Two names that differ in these alone look the same; ZWJ and ZWNJ are left, as some scripts are written with them."""
_UNSEEN = re.compile(rf"[\x00-\x1f\x7f-\x9f\u2028\u2029{_NO_LETTERS}]")
_UNSEEN_IN_PROSE = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_NO_LETTERS}]")


def check_line(text: str) -> str:
    """Text of one line as it is.

    Raises:
        CodeError: it has line breaks, control characters or characters that nobody sees.
    """
    if _UNSEEN.search(text):
        raise CodeError(
            "不能换行，也不能含有控制字符或不可见字符。", "No line breaks, no control and no invisible characters."
        )
    return text


def check_prose(text: str) -> str:
    """Text of several lines as it is.

    Raises:
        CodeError: it has control characters, of which line breaks and tabs are none here, or such that nobody sees.
    """
    if _UNSEEN_IN_PROSE.search(text):
        raise CodeError("不能含有控制字符或不可见字符。", "No control and no invisible characters.")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(check_line)]
"""Text of one line; lengths are the field's."""
Prose = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(check_prose)]
"""Text of several lines; lengths are the field's."""
