"""gateway.configuration.yaml_source: plain data with lines, and nothing of YAML that surprises."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.yaml_source import DEEPEST, LARGEST_FILE, MOST_ALIASED, read_yaml
from gateway.errors import ConfigurationError

_SCANNING = "while scanning for the next token"
_FLOW = (
    "while parsing a flow mapping, did not find expected ',' or '}'; "
    'inside {…}, text that holds { or } needs quotes: {method: GET, path: "/guides/{id}"}'
)


@pytest.fixture
def written(tmp_path: Path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "some.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("010", "010"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("+5", "+5"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("42", 42),
        ("-7", -7),
        ("0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'42'", "42"),
        ('"true"', "true"),
        ("<<", "<<"),
        ("1144010069692767133442011817001", "1144010069692767133442011817001"),
    ],
)
def test_scalars_are_those_of_the_yaml_1_2_json_schema(written, text, value):
    read = read_yaml(written(f"key: {text}\n")).data["key"]

    assert (value, type(value)) == (read, type(read))


def test_every_value_knows_its_line(written):
    document = read_yaml(written("a: 1\nb:\n  - x\n  - c: 2\n    d: [3,\n      4]\n"))

    assert document.line(("a",)) == 1
    assert document.line(("b",)) == 2
    assert document.line(("b", 0)) == 3
    assert document.line(("b", 1, "c")) == 4
    assert document.line(("b", 1, "d", 1)) == 6


def test_a_place_that_is_not_there_has_the_line_of_its_nearest_parent(written):
    document = read_yaml(written("a: 1\nb:\n  c: 2\n"))

    assert document.line(("b", "missing")) == 2
    assert document.line(("b", 7)) == 2
    assert document.line(("missing",)) == 1


def test_all_duplicate_keys_are_told_with_both_lines(written):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(written("a: 1\nb: {c: 1, c: [2]}\na: {}\n"))

    assert caught.value.problems == [
        "some.yaml:2: duplicate key 'c', first on line 2",
        "some.yaml:3: duplicate key 'a', first on line 1",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "some.yaml:1: is empty; it should hold a mapping of keys"),
        ("# only a comment\n", "some.yaml:2: is empty; it should hold a mapping of keys"),
        ("---\n", "some.yaml:1: is empty; it should hold a mapping of keys"),
        ("a: 1\n---\nb: 2\n", "some.yaml:2: holds a second document; one file is one document"),
        ("a: !!python/name:os.system x\n", "some.yaml:1: tag 'tag:yaml.org,2002:python/name:os.system' is not allowed"),
        ("a: 1\nb: !secret x\n", "some.yaml:2: tag '!secret' is not allowed"),
        ("a: !!str 5\n", "some.yaml:1: tag 'tag:yaml.org,2002:str' is not allowed"),
        ("? [a, b]\n: 1\n", "some.yaml:1: a key must be plain text"),
        ("a: *b\n", "some.yaml:1: alias *b has no anchor before it"),
        ("a: &a [*a]\n", "some.yaml:1: alias *a stands inside an anchored value; that could multiply"),
        (b"a: 1\nb: \xff\n", "some.yaml:2: is not UTF-8 (byte 0xff)"),
        ("a: 1\n b: 2\n", "some.yaml:2: is not YAML: mapping values are not allowed in this context"),
        ("a: [1\n", "some.yaml:2: is not YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a: {b: /{c}}\n", f"some.yaml:1: is not YAML: {_FLOW}"),
        ("a: @b\n", f"some.yaml:1: is not YAML: {_SCANNING}, found character that cannot start any token"),
        ("a: \x07\n", "some.yaml:1: is not YAML: control characters are not allowed"),
    ],
)  # fmt: skip
def test_what_is_no_plain_mapping_is_refused_with_its_line(written, content, problem):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(written(content))

    assert [problem] == caught.value.problems


def test_anchors_and_aliases_repeat_values(written):
    document = read_yaml(written("a: &origin {x: 1}\nb: *origin\nc: &text hello\nd: *text\n&k e: *k\n"))

    assert document.data == {"a": {"x": 1}, "b": {"x": 1}, "c": "hello", "d": "hello", "e": "e"}


def test_aliases_cannot_multiply(written):
    laughs = "a: &a [" + "x, " * 200 + "]\nb: [" + "*a, " * (MOST_ALIASED // 200) + "]\n"

    with pytest.raises(ConfigurationError, match="aliases repeat more than"):
        read_yaml(written(laughs))


def test_nesting_is_bounded(written):
    assert read_yaml(written("[" * DEEPEST + "1" + "]" * DEEPEST)).data
    with pytest.raises(ConfigurationError, match=r"some\.yaml:1: is nested deeper than 32 levels"):
        read_yaml(written("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)))


def test_a_file_that_is_too_large_is_not_parsed(written):
    path = written("a: 1\n")
    with path.open("r+b") as file:
        file.truncate(LARGEST_FILE + 1)

    with pytest.raises(ConfigurationError, match="is larger than 64 MiB"):
        read_yaml(path)


def test_a_file_that_is_not_there_is_named_with_its_path(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(tmp_path / "none.yaml")

    assert [f"none.yaml: no such file ({tmp_path}/none.yaml)"] == caught.value.problems


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigurationError, match="is not a file"):
        read_yaml(tmp_path)


@given(st.binary(max_size=200) | st.text("ab:-[]{}&*!|>'\"#?,% \n\t01", max_size=60).map(str.encode))
def test_no_content_raises_anything_but_a_configuration_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_bytes(content)

    assert all(problem.startswith("any.yaml:") for problem in problems_of(path))


def problems_of(path: Path) -> list[str]:
    try:
        read_yaml(path)
    except ConfigurationError as error:
        return error.problems
    return []


def test_ten_thousand_items_are_read_in_seconds_not_minutes(written):
    """The bound is generous because the machine is shared; docs/configuration.md has the measured figure."""
    item = (
        "  - {code: c%d, name: 事项, category: x, audience: [natural], system: s, channels: [web], reauthorize: []}\n"
    )
    path = written("items:\n" + "".join(item % number for number in range(10_000)))

    began = time.process_time()
    document = read_yaml(path)

    assert len(document.data["items"]) == 10_000
    assert time.process_time() - began < 3


def test_an_unchanged_file_is_not_parsed_again(written):
    path = written("a: 1\n")

    assert read_yaml(path) is read_yaml(path)
    path.write_text("a: 2\n")
    assert read_yaml(path).data == {"a": 2}
