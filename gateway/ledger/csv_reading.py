"""Tables as office software saves them (CSV, RFC 4180), and as it may open them again. imports.py takes the rows.

UTF-8 or GB18030 (what Excel writes in China); commas, tabs or semicolons; a header row in Chinese or English.
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.errors import FieldProblem, InputRefused

MOST_BYTES = 2 << 20
MOST_ROWS = 500
"""Each is several entries, and other changes wait until the file is taken: a few seconds at most."""

_DELIMITERS = ",;\t"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .xls
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_LONGEST_SHOWN = 20


def shorten(value: str) -> str:
    """The beginning of a value, to find it again by."""
    return value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}…"


class Column(msgspec.Struct, frozen=True):
    """A column of a table.

    Attributes:
        name: in English.
        chinese: the same in Chinese; both may stand in the header row.
        needed: False when the column may be missing.
        read: makes of a cell what the input takes.
        shown: what a list of errors shows of a cell; it hides what is personal.
    """

    name: str
    chinese: str
    needed: bool = True
    read: Callable[[str], str] = str.strip
    shown: Callable[[str], str] = shorten


class CsvRow(msgspec.Struct, frozen=True):
    """A row with something in it.

    Attributes:
        number: of the row in the file; the header is row 1.
        cells: by the column's name; cells that are empty are left out.
        surplus: True when it has more cells than there are columns.
    """

    number: int
    cells: dict[str, str]
    surplus: bool

    def __repr__(self) -> str:
        return f"CsvRow({self.number})"


def read_csv(content: bytes, columns: Sequence[Column]) -> list[CsvRow]:
    """Read a whole table.

    Args:
        content: of the file.
        columns: that there may be; they may come in any order.

    Raises:
        InputRefused: it is no such file, too large, or has other columns; the problem's field is `file`.
    """
    text = _decode(content)
    delimiter = _delimiter(text, columns)
    [(_, header), *numbered] = _records(text, delimiter) or [(1, [])]
    names = _header(header, columns)
    if len(numbered) > MOST_ROWS:
        raise _refused(f"至多 {MOST_ROWS} 行，现有 {len(numbered)} 行。", f"{len(numbered)} rows; {MOST_ROWS} at most.")
    if not numbered:
        raise _refused("文件中没有数据行。", "There is no row below the header.")
    return [_row(number, record, names) for number, record in numbered]


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Write a table that office software opens as text: nothing in it is taken for a formula (CWE-1236).

    UTF-8 with a byte order mark, by which Excel knows it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows([_harmless(str(cell)) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _decode(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise _refused("文件超过 2 MiB。", "The file is larger than 2 MiB.")
    if content.startswith(_WORKBOOKS):
        raise _refused("这是 Excel 工作簿，请另存为 CSV 文件。", "This is an Excel workbook. Save it as CSV.")
    if b"\0" in content:
        raise _refused("这不是 CSV 文本文件。", "This is no CSV: it holds zero bytes.")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _refused("文件编码应为 UTF-8 或 GB18030。", "The file is neither UTF-8 nor GB18030.")


def _delimiter(text: str, columns: Sequence[Column]) -> str:
    """The one that makes most columns of the header row; a comma where none makes any."""
    first, known = (text.lstrip().splitlines() or [""])[0], _known(columns)

    def found(delimiter: str) -> int:
        return sum(_plain(cell.strip(' "')) in known for cell in first.split(delimiter))

    return max(_DELIMITERS, key=found)


def _records(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Records with something in them, and which one of the file each is."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(number, record) for number, record in enumerate(reader, 1) if any(map(str.strip, record))]
    except csv.Error:
        raise _refused(
            f"第 {reader.line_num} 行的引号不成对或单元格过长。",
            f"Line {reader.line_num}: quotes that do not match, or a huge cell.",
        ) from None


def _header(record: list[str], columns: Sequence[Column]) -> list[str]:
    """Names of the columns that are there, in their order. Office software leaves empty ones behind them."""
    known = _known(columns)
    cells = record[: max((place for place, cell in enumerate(record, 1) if cell.strip()), default=0)]
    names = [known.get(_plain(cell), "") for cell in cells]
    for cell, name in zip(cells, names, strict=True):
        if not name:
            raise _refused(f"没有“{shorten(cell)}”这一列。", f"There is no column '{shorten(cell)}'.")
        if names.count(name) > 1:
            raise _refused(f"“{shorten(cell)}”列重复。", f"The column '{shorten(cell)}' is there twice.")
    missing = [column for column in columns if column.needed and column.name not in names]
    if missing:
        chinese, english = "、".join(one.chinese for one in missing), ", ".join(one.name for one in missing)
        raise _refused(f"缺少列：{chinese}。", f"Columns are missing: {english}.")
    return names


def _row(number: int, record: list[str], names: list[str]) -> CsvRow:
    cells = {name: cell for name, cell in zip(names, record, strict=False) if cell.strip()}
    return CsvRow(number, cells, any(map(str.strip, record[len(names) :])))


def _known(columns: Sequence[Column]) -> dict[str, str]:
    return {text: column.name for column in columns for text in (column.name, column.chinese)}


def _plain(cell: str) -> str:
    return cell.strip().lower()


def _refused(chinese: str, english: str) -> InputRefused:
    return InputRefused(FieldProblem("file", (chinese, english)))
