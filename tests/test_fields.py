"""gateway.fields: which names an allow-list may hold."""

import pytest

from gateway.fields import HOP_BY_HOP, OWN_PREFIXES, check_listed


@pytest.mark.parametrize("name", ["location", "x-form-version", "content-disposition", "etag"])
def test_a_plain_name_may_be_listed(name: str) -> None:
    check_listed(name)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(field.decode() for field in HOP_BY_HOP),
        *(f"{prefix.decode()}any" for prefix in OWN_PREFIXES),
        "authorization", "cookie", "host", "content-length", "Cookie", "X-Forwarded-For",
    ],
)  # fmt: skip
def test_what_no_configuration_lets_through_cannot_be_listed(name: str) -> None:
    with pytest.raises(ValueError, match="never crosses"):
        check_listed(name)


@pytest.mark.parametrize("name", ["", "X-Form", "x_form", "x form", "x-form\n", "表单"])
def test_a_name_is_a_token_in_lower_case_without_underscore(name: str) -> None:
    with pytest.raises(ValueError, match="no header field name"):
        check_listed(name)
