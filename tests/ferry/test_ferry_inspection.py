"""What may pass, row by row."""

import time

import pytest

from gateway.ferry.inspection import (
    Blocked,
    ContentSettings,
    Inspection,
    check_fields,
    check_json,
    check_multipart,
    read_media_type,
)

PDF, PNG, JPEG = b"%PDF-1.7 ...", b"\x89PNG\r\n\x1a\n...", b"\xff\xd8\xff\xe0..."


def inspection(**settings) -> Inspection:
    return Inspection(ContentSettings.model_validate({"content_types": ["application/json"]} | settings))


def form(*parts: bytes, boundary: bytes = b"frontier") -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary


def field(content: bytes, name: bytes = b"note") -> bytes:
    return b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (name, content)


def file(filename: bytes, content: bytes, more: bytes = b"") -> bytes:
    head = b'Content-Disposition: form-data; name="file"; filename="%b"' % filename
    return head + b"\r\n" + more + b"\r\n" + content


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b'{"a":[1,2.5,-3e2,true,null,"x\\n\\u4e2d \xe4\xb8\xad"]}',
        b"[" * 32 + b"]" * 32,
        b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":"\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'[{"a":1},{"a":2}]',
    ],
)
def test_well_formed_json_passes(body):
    check_json(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" * 33 + b"]" * 33, "deeper"),
        (b"[" * 1_000_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
        (b'{"a":1,"a":2}', "duplicate"),
        (b'{"a":1,"\\u0061":2}', "duplicate"),
        (b"NaN", "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b"1e999", "too large"),
        (b"9" * 5000, "not well-formed"),
        (b"{", "not well-formed"),
        (b"{}{}", "not well-formed"),
        (b'{"a":"\xff"}', "not well-formed"),
        (b"\xef\xbb\xbf{}", "not well-formed"),
        ("{}".encode("utf-16"), "not well-formed"),
        (b'{"a":"\n"}', "not well-formed"),
        (b"{" + b",".join(b'"k%d":1' % n for n in range(10_001)) + b"}", "keys"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_json_is_blocked(body, why):
    with pytest.raises(Blocked, match=why):
        check_json(body)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 500_000, b'"' * 1_000_001, b"[" * 1_000_000, b'{"a":' * 200_000])
def test_hostile_json_is_judged_in_linear_time(body):
    """A million bytes; a quadratic check would take hours."""
    began = time.process_time()
    with pytest.raises(Blocked):
        check_json(body)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("Application/JSON; charset=UTF-8", b"{}"),
        ('application/json; charset="utf-8"', b"{}"),
        ("", b""),
        ("text/html", b""),
    ],
)
def test_allowed_content_passes(content_type, body):
    inspection().check(content_type, body)


@pytest.mark.parametrize(
    ("content_type", "body", "why"),
    [
        ("", b"{}", "missing"),
        ("text/html", b"<p>", "may not pass"),
        ("application/json, text/html", b"{}", "not plain"),
        ("application/json; charset=gbk", b"{}", "UTF-8"),
        ("application/json; charset=utf-8; charset=gbk", b"{}", "not plain"),
        ("application/json\r\nx: y", b"{}", "not plain"),
        ("application/json", b"{]", "not well-formed"),
        ("application/json", b'{"a":"' + bytes(2000) + b'"}', "bytes"),
    ],
)
def test_other_content_is_blocked(content_type, body, why):
    with pytest.raises(Blocked, match=why):
        inspection(size="1KiB").check(content_type, body)


def test_a_route_without_content_types_lets_no_body_through():
    with pytest.raises(Blocked):
        inspection(content_types=[]).check("application/json", b"{}")


def test_a_structured_suffix_counts_as_json():
    with pytest.raises(Blocked, match="duplicate"):
        inspection(content_types=["application/problem+json"]).check("application/problem+json", b'{"a":1,"a":2}')


def test_opaque_json_is_not_looked_into():
    inspection(json="opaque").check("application/json", b'{"a":1,"a":2}')


def test_a_media_type_is_read_with_its_parameter():
    assert read_media_type('Multipart/Form-Data; boundary="a b"') == ("multipart/form-data", {"boundary": "a b"})


@pytest.mark.parametrize(
    "parts",
    [
        [field("退休".encode())],
        [field(b"x"), file(b"a.pdf", PDF, b"Content-Type: application/pdf\r\n")],
        [file(b"A.PNG", PNG), file("身份证.jpg".encode(), JPEG), file(b"b.jpeg", JPEG)],
        [file(b"a.pdf", PDF + b"\r\n--other\r\n\r\n")],
    ],
)
def test_allowed_attachments_pass(parts):
    check_multipart(form(*parts), "frontier", frozenset({"pdf", "png", "jpeg"}))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (form(file(b"a.exe", b"MZ")), "extension 'exe'"),
        (form(file(b"a.gif", b"GIF89a")), "extension 'gif'"),
        (form(file(b"a", PDF)), "extension"),
        (form(file(b"a.pdf", b"MZ...")), "no pdf"),
        (form(file(b"a.png", PDF)), "no png"),
        (form(file(b"a.pdf.exe", PDF)), "extension 'exe'"),
        (form(file(b"../a.pdf", PDF)), "not plain"),
        (form(field(b"\xff\xd8\xff")), "not UTF-8"),
        (form(b'Content-Disposition: attachment; filename="a.pdf"\r\n\r\n' + PDF), "not plain"),
        (form(b"Content-Disposition: form-data; name=\"f\"; filename*=UTF-8''a.pdf\r\n\r\n" + PDF), "not plain"),
        (form(file(b"a.pdf", PDF, b"Content-Transfer-Encoding: base64\r\n")), "other fields"),
        (form(file(b"a.pdf", PDF, b'Content-Disposition: form-data; name="x"\r\n')), "other fields"),
        (form(field(b"x").replace(b"\r\n", b"\r\nContent-Type: multipart/mixed; boundary=b\r\n", 1)), "holds parts"),
        (form(b"\xff: x\r\n\r\ny"), "not UTF-8"),
        (form(b"no head at all"), "plain head"),
        (form(field(b"x", b"n" * 3000)), "plain head"),
        (form(), "begin and end"),
        (b"", "begin and end"),
        (b"preamble\r\n" + form(field(b"x")), "begin and end"),
        (form(field(b"x")) + b"epilogue", "begin and end"),
        (form(field(b"x"))[:-4], "begin and end"),
        (form(*[field(b"x")] * 33), "more than 32"),
    ],
)
def test_other_multipart_bodies_are_blocked(body, why):
    with pytest.raises(Blocked, match=why):
        check_multipart(body, "frontier", frozenset({"pdf", "png", "jpeg"}))


@pytest.mark.parametrize("boundary", ["", "x" * 71, "ä", "a\r\nb"])
def test_a_boundary_that_is_not_plain_is_blocked(boundary):
    with pytest.raises(Blocked, match="boundary"):
        check_multipart(form(field(b"x")), boundary, frozenset())


def test_the_most_parts_there_may_be_pass():
    check_multipart(form(*[field(b"x")] * 32), "frontier", frozenset())


def test_multipart_goes_through_the_whole_inspection():
    checks = inspection(content_types=["multipart/form-data"], attachments=["pdf"])
    checks.check("multipart/form-data; boundary=frontier", form(file(b"a.pdf", PDF)))
    with pytest.raises(Blocked):
        checks.check("multipart/form-data; boundary=frontier", form(file(b"a.png", PNG)))


@pytest.mark.parametrize(
    "field", [(b"X-Upper", b""), (b"", b""), (b"a b", b""), (b"a", b"x\r\ny: z"), (b"a", b"\0"), (b"a", b"\x7f")]
)
def test_a_header_field_that_is_not_well_formed_is_blocked(field):
    with pytest.raises(Blocked):
        check_fields([field])


@pytest.mark.parametrize("head", [
    (b'Content-Type: text/plain\nContent-Disposition: form-data; name="f"; filename="a.exe"\r\n'
    b'Content-Disposition: form-data; name="f"'),
    b'Content-Disposition: form-data; name="f"\r\nContent-Type: text/plain\n',
    b'Content-Disposition: form-data; name="f"\r\nContent-Type: text/plain\x0b',
    b'Content-Disposition: form-data; name="f\x00"',
    b'Content-Disposition: form-data; name="f"; filename="\x1b[2Ja.pdf"',
    'Content-Disposition: form-data; name="f"; filename="a\u202efdp.pdf"'.encode(),
    b'Content-Disposition: form-data; name="_charset_"',
    b'Content-Disposition: form-data; name="f"\r\nContent-Type: nonsense',
])  # fmt: skip
def test_a_part_head_that_somebody_else_could_read_differently_is_blocked(head):
    """A bare line feed ends a line for many parsers: what follows it would be a field that was never inspected."""
    with pytest.raises(Blocked):
        check_multipart(form(head + b"\r\n\r\n" + PDF), "frontier", frozenset({"pdf"}))


@pytest.mark.parametrize("body", [
    b"[" + b"0," * 100_001 + b"0]", b'"' + b"x" * (1 << 20) + b'"', b'{"a": "\\ud800"}', b'{"a": "\\udc00\\ud800"}',
], ids=["too many values", "too large", "half a pair", "a pair the wrong way round"])  # fmt: skip
def test_json_that_would_hold_up_the_unit_or_is_no_text_is_blocked(body):
    with pytest.raises(Blocked):
        check_json(body)


@pytest.mark.parametrize("body", [b'{"a": "\\ud83d\\ude00"}', b'{"a": "\\\\ud800"}'], ids=["a pair", "a backslash"])
def test_json_with_whole_surrogate_pairs_passes(body):
    check_json(body)
