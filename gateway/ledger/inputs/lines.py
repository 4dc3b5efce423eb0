"""Texts as people may enter them: without what a page cannot show and a database cannot keep (checking.py tells)."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from gateway.codes import CodeError

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSEEN_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def check_line(text: str) -> str:
    """Text of one line as it is.

    Raises:
        CodeError: it has line breaks or control characters.
    """
    if _UNSEEN.search(text):
        raise CodeError("不能换行，也不能含有控制字符。", "No line breaks and no control characters.")
    return text


def check_prose(text: str) -> str:
    """Text of several lines as it is.

    Raises:
        CodeError: it has control characters; line breaks and tabs are none of these.
    """
    if _UNSEEN_IN_PROSE.search(text):
        raise CodeError("不能含有控制字符。", "No control characters.")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(check_line)]
"""Text of one line; lengths are the field's."""
Prose = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(check_prose)]
"""Text of several lines; lengths are the field's."""
