import contextlib
import hashlib
import hmac
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ferry.envelope import (
    OVERHEAD,
    Answer,
    FrameReader,
    FrameRefused,
    FrameTooLarge,
    FrameWriter,
    Hello,
    Refusal,
    Request,
    greeting_key,
    link_key,
)

KEY = bytes(range(32))
LIMIT = 1 << 20

hex_ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
digests = st.binary(min_size=32, max_size=32)
texts = st.text(max_size=40)
field_lists = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=4)
hellos = st.builds(
    Hello, side=st.sampled_from(["outer", "inner"]), boot=hex_ids, nonce=digests, message=st.integers(1024, 1 << 32 - 1)
)
requests = st.builds(
    Request,
    id=hex_ids,
    boot=hex_ids,
    route=texts,
    item=texts,
    method=texts,
    path=texts,
    params=st.dictionaries(texts, texts, max_size=3),
    query=st.lists(st.tuples(texts, texts), max_size=3),
    fields=field_lists,
    content_type=texts,
    body=st.binary(max_size=500),
    body_sha256=digests,
    identity=texts,
    channel=texts,
    deadline_ms=st.integers(0, 86_400_000),
    created_ms=st.integers(0, 1 << 50),
    traceparent=texts,
)
answers = st.builds(
    Answer,
    id=hex_ids,
    status=st.integers(200, 599),
    fields=field_lists,
    body=st.binary(max_size=500),
    body_sha256=digests,
    length=st.none() | st.integers(0, 1 << 40),
    ms=st.floats(0, 1e6),
)
refusals = st.builds(Refusal, id=hex_ids, code=st.sampled_from(["busy", "expired"]), detail=texts)
messages = st.one_of(hellos, requests, answers, refusals)


def a_refusal(detail: str = "") -> Refusal:
    return Refusal(id="0" * 32, code="busy", detail=detail)


def an_answer(body: bytes = b"whole") -> Answer:
    digest = hashlib.sha256(body).digest()
    return Answer(id="0" * 32, status=200, fields=[], body=body, body_sha256=digest, length=len(body), ms=1.5)


def read_all(reader: FrameReader) -> list:
    found = []
    while (message := reader.next()) is not None:
        found.append(message)
    return found


@given(st.lists(messages, max_size=5))
def test_what_is_framed_is_read_again(said):
    writer, reader = FrameWriter(KEY, LIMIT), FrameReader(KEY, LIMIT)
    reader.feed(b"".join(map(writer.frame, said)))
    assert read_all(reader) == said


@given(st.lists(messages, min_size=1, max_size=4), st.data())
def test_frames_may_be_split_and_joined_anywhere(said, data):
    writer, reader = FrameWriter(KEY, LIMIT), FrameReader(KEY, LIMIT)
    stream = b"".join(map(writer.frame, said))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        found += read_all(reader)
    assert found == said


def test_frames_arrive_whole_when_cut_at_every_single_boundary():
    writer = FrameWriter(KEY, LIMIT)
    stream = writer.frame(an_answer()) + writer.frame(a_refusal())
    for cut in range(len(stream) + 1):
        reader = FrameReader(KEY, LIMIT)
        reader.feed(stream[:cut])
        found = read_all(reader)
        reader.feed(stream[cut:])
        assert found + read_all(reader) == [an_answer(), a_refusal()]


def test_frames_arrive_byte_by_byte():
    stream = FrameWriter(KEY, LIMIT).frame(an_answer())
    reader = FrameReader(KEY, LIMIT)
    found = []
    for index in range(len(stream)):
        reader.feed(stream[index : index + 1])
        found += read_all(reader)
    assert found == [an_answer()]


def test_no_corrupted_byte_gets_through():
    """Whatever single bit is flipped, and whatever follows, no message comes out of the frame."""
    writer = FrameWriter(KEY, 4096)
    frame, following = writer.frame(an_answer()), writer.frame(an_answer(bytes(3900)))
    for index in range(len(frame)):
        for bit in range(8):
            spoiled = bytearray(frame)
            spoiled[index] ^= 1 << bit
            reader = FrameReader(KEY, 4096)
            reader.feed(bytes(spoiled) + following)
            with pytest.raises(FrameRefused):
                reader.next()


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_bytes_of_anybody_are_refused_or_wait_for_more(junk):
    reader = FrameReader(KEY, LIMIT)
    reader.feed(junk)
    with contextlib.suppress(FrameRefused):
        assert reader.next() is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frame: b"HT" + frame[2:], "magic"),
        (lambda frame: frame[:2] + b"\x02" + frame[3:], "version"),
        (lambda frame: frame[:3] + b"\x09" + frame[4:], "kind"),
        (lambda frame: frame[:4] + (7).to_bytes(8, "big") + frame[12:], "sequence"),
        (lambda frame: frame[:12] + (1 << 31).to_bytes(4, "big") + frame[16:], "length"),
        (lambda frame: frame[:16] + b"\0\0\0\0" + frame[20:], "crc"),
        (lambda frame: frame[:-32] + bytes(32), "mac"),
    ],
)
def test_a_spoiled_frame_is_refused_for_its_reason(spoil, reason):
    reader = FrameReader(KEY, LIMIT)
    reader.feed(spoil(FrameWriter(KEY, LIMIT).frame(an_answer())))
    with pytest.raises(FrameRefused) as refused:
        reader.next()
    assert refused.value.reason == reason


def test_a_length_beyond_the_limit_is_refused_before_its_bytes_are_waited_for():
    reader = FrameReader(KEY, 1024)
    reader.feed(FrameWriter(KEY, LIMIT).frame(an_answer(bytes(5000)))[:20])
    with pytest.raises(FrameRefused, match="length"):
        reader.next()


def test_a_frame_of_another_key_is_refused():
    reader = FrameReader(bytes(32), LIMIT)
    reader.feed(FrameWriter(KEY, LIMIT).frame(an_answer()))
    with pytest.raises(FrameRefused, match="mac"):
        reader.next()


def test_the_same_frame_twice_is_refused():
    frame = FrameWriter(KEY, LIMIT).frame(an_answer())
    reader = FrameReader(KEY, LIMIT)
    reader.feed(frame + frame)
    assert reader.next() == an_answer()
    with pytest.raises(FrameRefused, match="sequence"):
        reader.next()


def test_a_lost_frame_is_noticed():
    writer, reader = FrameWriter(KEY, LIMIT), FrameReader(KEY, LIMIT)
    writer.frame(a_refusal())
    reader.feed(writer.frame(a_refusal()))
    with pytest.raises(FrameRefused, match="sequence"):
        reader.next()


def test_a_frame_exactly_as_large_as_the_limit_passes_and_one_byte_more_does_not():
    frame = FrameWriter(KEY, LIMIT).frame(an_answer(bytes(2000)))
    FrameWriter(KEY, len(frame)).frame(an_answer(bytes(2000)))
    with pytest.raises(FrameTooLarge):
        FrameWriter(KEY, len(frame) - 1).frame(an_answer(bytes(2000)))
    reader = FrameReader(KEY, len(frame))
    reader.feed(frame)
    assert reader.next() == an_answer(bytes(2000))


def test_a_message_that_is_too_large_uses_up_no_sequence_number():
    writer, reader = FrameWriter(KEY, 1024), FrameReader(KEY, 1024)
    with pytest.raises(FrameTooLarge):
        writer.frame(an_answer(bytes(5000)))
    reader.feed(writer.frame(a_refusal()))
    assert reader.next() == a_refusal()


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        b"",
        b"\x91" * 200_000 + b"\xc0",
        b"\x94\x01\xa1x\xa4busy\xa0",
        b"\x95\x01\xd9\x20" + b"0" * 32 + b"\xa4busy\xa0\xc0",
        b"\x94\x02\xd9\x20" + b"0" * 32 + b"\xa4busy\xa0",
        b"\x94\x01\xd9\x20" + b"G" * 32 + b"\xa4busy\xa0",
    ],
    ids=["no MessagePack", "empty", "deep", "short id", "one value too many", "other version", "id of other letters"],
)
def test_a_sealed_payload_of_another_shape_is_refused(payload):
    """Even with a good MAC: the other side may be broken."""
    covered = b"TG\x01\x04" + bytes(8) + len(payload).to_bytes(4, "big")
    framed = covered + zlib.crc32(covered + payload).to_bytes(4, "big") + payload
    reader = FrameReader(KEY, LIMIT)
    reader.feed(framed + hmac.digest(KEY, framed, "sha256"))
    with pytest.raises(FrameRefused, match="payload"):
        reader.next()


def test_the_frame_is_laid_out_as_documented():
    frame = FrameWriter(KEY, LIMIT).frame(a_refusal())
    payload = frame[20:-32]
    assert frame[:4] == b"TG\x01\x04"
    assert frame[4:12] == bytes(8)
    assert int.from_bytes(frame[12:16], "big") == len(payload) == len(frame) - OVERHEAD
    assert int.from_bytes(frame[16:20], "big") == zlib.crc32(frame[:16] + payload)
    assert frame[-32:] == hmac.digest(KEY, frame[:-32], "sha256")


def test_each_side_and_each_link_has_a_key_of_its_own():
    keys = {
        greeting_key(KEY, "outer"),
        greeting_key(KEY, "inner"),
        link_key(KEY, "outer", b"1" * 32, b"2" * 32),
        link_key(KEY, "inner", b"1" * 32, b"2" * 32),
        link_key(KEY, "outer", b"1" * 32, b"3" * 32),
    }
    assert len(keys) == 5


def test_bodies_and_identities_do_not_show_in_a_repr():
    assert "whole" not in repr(an_answer())
