"""CSV files as office software saves them, and what is told of a file that cannot be read as a whole."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputRefused
from gateway.ledger.csv_reading import MOST_BYTES, MOST_ROWS, Column, read_csv, write_csv

COLUMNS = (Column("login", "登录名"), Column("name", "姓名"), Column("note", "备注", needed=False))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("login,name", "ann,样例甲"),
        ("登录名,姓名", "ann,样例甲"),
        (" 姓名 ,LOGIN", "样例甲,ann"),
        ("login,name,,", "ann,样例甲"),
        ('"name","备注","login"', '"样例甲","say ""hi""","ann"'),
    ],
)
def test_a_file_is_read_as_office_software_saves_it(encoding, delimiter, header, row):
    """Empty rows are none, whatever stands between the cells."""
    text = f"{header}\r\n\r\n{row}\r\n,\r\n".replace(",", delimiter)
    [read] = read_csv(text.encode(encoding), COLUMNS)
    assert read.number == 3
    assert (read.cells["login"], read.cells["name"]) == ("ann", "样例甲")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "missing: login, name"),
        (b"login,name\n", "no row"),
        (b"login\nann\n", "missing: name"),
        (b"login,name,shoe\nann,x,38\n", "no column 'shoe'"),
        (b"login,name,login\nann,x,ann\n", "twice"),
        (b'login,name\nann,"x\n', "quotes"),
        (b'login,name\nann,"x"y\n', "quotes"),
        (b"login,name\nann,\0\n", "zero bytes"),
        ("login,name\nann,甲\n".encode("utf-16"), "zero bytes"),
        (b"login,name\nann,\xff\xff\n", "neither"),
        (b"PK\x03\x04workbook", "workbook"),
        (b"\xd0\xcf\x11\xe0workbook", "workbook"),
        (b"x" * (MOST_BYTES + 1), "2 MiB"),
        (b"login,name\n" + b"a,b\n" * (MOST_ROWS + 1), "at most"),
        (b"login,name\n" + b"a" * 200_000, "huge"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_at_all_is_told_as_a_whole(content, reason):
    with pytest.raises(InputRefused) as caught:
        read_csv(content, COLUMNS)
    [problem] = caught.value.problems
    assert problem.field == "file"
    assert reason in problem.title[1]


def test_a_file_with_old_line_ends_or_nothing_but_line_ends_is_read_or_refused():
    assert [row.number for row in read_csv(b"\r\rlogin,name\rann,x\r", COLUMNS)] == [4]
    for content in (b"\r\x01", b"\r" * 200_000, b"," * 200_000, b"a" * 200_000):
        with pytest.raises(InputRefused):
            read_csv(content, COLUMNS)


def test_the_largest_file_is_read():
    assert len(read_csv(b"login,name\n" + b"a,b\n" * MOST_ROWS, COLUMNS)) == MOST_ROWS


@given(st.binary(max_size=200), st.booleans())
def test_whatever_comes_is_read_or_refused(content, headed):
    try:
        rows = read_csv(b"login,name\n" * headed + content, COLUMNS)
    except InputRefused:
        return
    assert all(set(row.cells) <= {"login", "name", "note"} for row in rows)


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10), min_size=2)))
def test_what_is_written_is_read_again_and_never_a_formula(rows):
    content = write_csv(("a", "b"), rows).decode("utf-8-sig")
    read = list(csv.reader(io.StringIO(content, newline="")))[1:]
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not [cell for row in read for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))]
