"""Identifiers of the field and how much of them may be shown: units, citizens, regions, names, certificates.

No table of regions is asked: codes are withdrawn over time, and what they were part of stays good. The counterpart is
records/masking.py, which finds such identifiers in free text.
"""

import re
import time
from datetime import date

from gateway.beijing import day_of

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_REGION = re.compile(r"[0-9]{6}")

_CITIZEN = re.compile(r"[1-9][0-9]{16}[0-9X]")
_CITIZEN_OLD = re.compile(r"[1-9][0-9]{14}")
_FOREIGNER_OLD = re.compile(r"[A-Z]{3}[0-9]{12}")
_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

_REGION = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})(?:([0-9]{3})([0-9]{3})?)?")

_FINGERPRINT = re.compile(r"(?:sha-?256 fingerprint=)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})")

_TWO_CHARACTER_SURNAMES = (
    "欧阳", "上官", "司马", "诸葛", "司徒", "夏侯", "皇甫", "尉迟", "公孙", "慕容", "长孙", "宇文",
    "令狐", "轩辕", "东方", "南宫", "西门", "独孤", "端木", "闻人", "申屠", "太史", "呼延", "钟离",
    "澹台", "濮阳", "赫连", "鲜于", "拓跋", "淳于",
)  # fmt: skip


class CodeError(ValueError):
    """An identifier that cannot be right. Neither text repeats it: it may be personal data.

    Attributes:
        title: what is wrong with it, for whoever typed it: Chinese first, then English.
    """

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(english)
        self.title = (chinese, english)


def check_uscc(text: str) -> None:
    """Check a unified social credit code (统一社会信用代码), 18 characters (GB 32100-2015).

    Raises:
        CodeError: it has another length, a character that is not in the alphabet, or another check digit.
    """
    if len(text) != 18:
        raise CodeError(
            f"统一社会信用代码应为 18 位，现为 {len(text)} 位。",
            f"A unified social credit code has 18 characters, not {len(text)}.",
        )
    if not set(text) <= set(_USCC_ALPHABET):
        raise CodeError(
            "统一社会信用代码只含数字和大写字母，且不用 I、O、S、V、Z。",
            "A unified social credit code has digits and capital letters only, without I, O, S, V, Z.",
        )
    if _USCC_REGION.fullmatch(region_of_uscc(text)) is None:
        raise CodeError(
            "统一社会信用代码第 3 至 8 位为行政区划代码，应为数字。",
            "Characters 3 to 8 of a unified social credit code are a region's code, digits only.",
        )
    if uscc_check_digit(text[:17]) != text[17]:
        raise CodeError(
            "统一社会信用代码的校验位不符，请核对。",
            "The check digit of the unified social credit code is another one; please compare.",
        )


def uscc_check_digit(first: str) -> str:
    """The 18th character that belongs to the first 17 (GB 32100-2015 §4)."""
    weighed = sum(_USCC_ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(first))
    return _USCC_ALPHABET[-weighed % 31]


def region_of_uscc(uscc: str) -> str:
    """Code of the region that registered the unit (GB/T 2260), characters 3 to 8 of a code that `check_uscc` passed."""
    return uscc[2:8]


def check_citizen_number(text: str) -> None:
    """Check the number on an identity card, a residence permit or a foreigner's permanent residence card.

    18 characters with a check digit: 居民身份证 (GB 11643-1999), 港澳台居民居住证 (81, 82, 83) and
    外国人永久居留身份证 (9). Of the old ones with 15: 居民身份证, and 外国人永久居留证, whose shape alone is looked at.
    Passports and travel permits are none of these.

    Raises:
        CodeError: it has another shape, a date of birth that never was, or another check digit.
    """
    if _FOREIGNER_OLD.fullmatch(text):
        return
    if _CITIZEN_OLD.fullmatch(text):
        _check_birthday(f"19{text[6:12]}")
        return
    if _CITIZEN.fullmatch(text) is None:
        raise CodeError(
            "证件号码应为 18 位（末位可为大写 X）或旧式 15 位。",
            "The number has 18 characters, of which the last may be a capital X, or 15 in its old form.",
        )
    _check_birthday(text[6:14])
    if citizen_check_digit(text[:17]) != text[17]:
        raise CodeError(
            "证件号码的校验位不符，请核对。", "The check digit of the number is another one; please compare."
        )


def _check_birthday(digits: str) -> None:
    """A day of the calendar, in 1800 or later and not to come."""
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        born = date.max
    if born.year < 1800 or born > day_of(time.time()):
        raise CodeError("证件号码中的出生日期不成立。", "The number holds no possible date of birth.")


def citizen_check_digit(first: str) -> str:
    """The 18th character that belongs to the first 17 (GB 11643-1999; ISO/IEC 7064, MOD 11-2)."""
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(first, _CITIZEN_WEIGHTS, strict=True)) % 11]


def mask_citizen_number(text: str) -> str:
    """Show the first 6 and the last 4 (`110105********002X`); of anything shorter than 15 only the first."""
    return _starred(text, 6, 4) if len(text) >= 15 else keep_ends(text, 1, 0)


def mask_name(name: str) -> str:
    """Show the surname (`张*`, `欧阳*`), and of a name of one character nothing."""
    if len(name) > 2 and name.startswith(_TWO_CHARACTER_SURNAMES):
        return _starred(name, 2, 0)
    return keep_ends(name, 1, 0)


def keep_ends(text: str, first: int, last: int) -> str:
    """Show so many characters at both ends; of a short text fewer, never more than half of it."""
    if first + last > len(text) // 2:
        first, last = min(first, len(text) // 2), 0
    return _starred(text, first, last)


def _starred(text: str, first: int, last: int) -> str:
    return text[:first] + "*" * (len(text) - first - last) + text[len(text) - last :]


def region_scope(code: str) -> str:
    """The part of a region's code that all codes inside the region begin with; empty for the whole country.

    `370000` gives `37`, `370100` gives `3701`, `370102001000` gives `370102001`.

    Args:
        code: 6 digits (GB/T 2260-2007), or 9 or 12 with town and village (GB/T 10114-2003, 统计用区划代码).

    Raises:
        CodeError: no such code; also where a level is missing above one that is named. Cities without counties
            (441900) are the exception: their towns have 00 in place of the county.
    """
    found = _REGION.fullmatch(code)
    if found is None:
        raise CodeError("行政区划代码应为 6、9 或 12 位数字。", "A region's code has 6, 9 or 12 digits.")
    province, prefecture, county, town, village = (part if part and int(part) else "" for part in found.groups())
    if (prefecture and not province) or ((county or town) and not prefecture) or (village and not town):
        raise CodeError(
            "行政区划代码缺少上级区划。", "The code of a region names a lower level without the one above it."
        )
    return code[: 12 if village else 9 if town else 6 if county else 4 if prefecture else 2 if province else 0]


def region_code(scope: str) -> str:
    """The code of a region as people write it, of its scope: `3501` is 350100, the empty scope 000000 (全国)."""
    return scope.ljust(6, "0")


def is_within(region: str, scope: str) -> bool:
    """Tell whether a region lies inside a scope or is that scope itself.

    Args:
        region: a region's code, or its scope.
        scope: as `region_scope` gives it.
    """
    return region.startswith(scope)


def read_fingerprint(text: str) -> str:
    """Read the SHA-256 fingerprint of a certificate as people enter it, into 64 hex digits in lower case.

    Capitals, colons between the bytes, and the whole line that `openssl x509 -noout -fingerprint -sha256` prints are
    accepted.

    Raises:
        CodeError: it is none.
    """
    found = _FINGERPRINT.fullmatch(text.strip().lower())
    if found is None:
        raise CodeError(
            "证书指纹应为 SHA-256，即 64 位十六进制数。",
            "A fingerprint is a SHA-256: 64 hex digits, with or without colons.",
        )
    return found[1].replace(":", "")
