"""gateway.units: what people write, read in one way and written back the same."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.units import (
    Address,
    lies_in,
    parse_address,
    parse_duration,
    parse_sink,
    parse_size,
    parse_span,
    parse_target,
    write_duration,
    write_size,
)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_size_that_was_written_reads_as_the_same(size: int) -> None:
    assert size == parse_size(write_size(size))


@given(st.integers(min_value=0, max_value=10**10).map(lambda milliseconds: milliseconds / 1000))
def test_a_duration_that_was_written_reads_as_the_same(seconds: float) -> None:
    assert parse_duration(write_duration(seconds)) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (90.0, "90s"), (600.0, "10m"), (172800.0, "2d")]
)
def test_a_duration_is_written_in_the_largest_unit_without_remainder(seconds: float, text: str) -> None:
    assert text == write_duration(seconds)


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (240, "240B"), (65536, "64KiB"), (1234567, "1234567B")])
def test_a_size_is_written_in_the_largest_unit_without_remainder(size: int, text: str) -> None:
    assert text == write_size(size)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://127.0.0.1:8080", Address(host="127.0.0.1", port=8080)),
        ("http://guides.example:80", Address(host="guides.example", port=80)),
        (f"http://a--b.{'c' * 63}:80", Address(host=f"a--b.{'c' * 63}", port=80)),
        ("http://[::1]:8080", Address(host="::1", port=8080)),
        ("unix:/run/guides.sock", Address(path="/run/guides.sock")),
    ],
)
def test_a_target_is_an_address(written: str, address: Address) -> None:
    assert address == parse_target(written)


@pytest.mark.parametrize(
    "written",
    [
        "https://a:1", "http://", "http://a", "http://a:80/", "http://a:1/path", "http://a:1?q", "http://u@a:1",
        "http://a:x", "http://a:0", "http://a:65536", "http://a_b:1", "http://::1:80", "a:80", "unix:x", "", 80, None,
        "http://10.0..5:80", "http://a-:80", "http://a.-b:80", f"http://{'a' * 64}:80",
    ],
)  # fmt: skip
def test_anything_else_is_no_target(written: object) -> None:
    with pytest.raises(ValueError, match="is no target"):
        parse_target(written)


@pytest.mark.parametrize("written", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/run/x.sock"])
def test_loopback_and_unix_sockets_are_local(written: str) -> None:
    assert parse_address(written).is_local


@pytest.mark.parametrize("written", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "localhost.example:1"])
def test_what_another_machine_can_reach_is_not_local(written: str) -> None:
    assert not parse_address(written).is_local


def test_a_sink_is_a_standard_stream_or_a_file() -> None:
    assert parse_sink("stdout") is parse_sink("stderr") is None
    assert parse_sink("file:/a b") == "/a b"


@pytest.mark.parametrize("written", ["", "syslog", "file:", "file:/a\0b", "stdout:x", "stdout\n"])
def test_anything_else_is_no_sink(written: str) -> None:
    with pytest.raises(ValueError, match="is no sink"):
        parse_sink(written)


@pytest.mark.parametrize(
    ("text", "minutes"), [("00:00-00:01", (0, 1)), ("09:30-17:00", (570, 1020)), ("00:00-24:00", (0, 1440))]
)
def test_a_span_is_read_as_minutes_of_a_day(text: str, minutes: tuple[int, int]) -> None:
    assert parse_span(text) == minutes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9:00-12:00",
        "09:00",
        "09:00-09:00",
        "22:00-06:00",
        "24:00-24:00",
        "09:00-25:00",
        "09:00-12:00\n",
        "٠٩:00-12:00",
    ],
)
def test_what_is_no_span_of_one_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|before it begins"):
        parse_span(text)


@pytest.mark.parametrize(
    ("client", "lies"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("::10.1.2.3", False),
        ("unix", False),
        ("10.1.2.3%eth0", False),
    ],
)
def test_a_client_lies_in_networks_also_where_its_address_is_ipv4_inside_ipv6(client, lies):
    assert lies_in(client, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]) is lies


def test_a_unix_socket_lies_in_unix_alone():
    assert lies_in("unix", ["unix", ip_network("10.0.0.0/8")])
    assert not lies_in("10.1.2.3", ["unix"])
    assert not lies_in("", ["unix"])
