"""The documents say what is so: their commands run, their links lead somewhere, their tables are complete.

CONTRIBUTING.md tells the conventions.
"""

import ast
import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import gateway.errors
from sandbox.places import Places
from tests.parsing import parsed

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("nginx/*.md"), *ROOT.glob("deploy/*.md")]
)
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PORT = re.compile(r"127\.0\.0\.1:(8[01]\d\d)\b")
DEADLINE = 60


def named(document):
    return str(document.relative_to(ROOT))


def blocks(document, *languages):
    """Contents of a document's code blocks in these languages, in order, as (language, content)."""
    found = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [(language, content) for language, content in found if language in languages]


def moved(text, base):
    """Commands for the sandbox's usual ports, for one that is elsewhere."""
    return PORT.sub(lambda found: f"127.0.0.1:{int(found[1]) - Places.USUAL_BASE + base}", text)


def steps(document):
    """A document's commands, each with the lines of the `text` block right behind it, which must be in its output."""
    text = document.read_text(encoding="utf-8")
    found, end = [], 0
    for block in BLOCK.finditer(text):
        if block[1] == "sh":
            found.append((block[2], []))
        elif block[1] == "text" and found and not text[end : block.start()].strip():
            found[-1][1].extend(block[2].splitlines())
        end = block.end()
    return found


@pytest.mark.needs("bash", "curl", "sed")
@pytest.mark.parametrize("document", [one for one in DOCUMENTS if blocks(one, "sh")], ids=named)
def test_the_commands_of_a_document_do_what_it_says(sandbox, document):
    """Copied as they stand into one shell; only the ports are moved to where the sandbox is."""
    told = steps(document)
    script = "\necho; echo @@@\n".join(moved(command, sandbox.places.base) for command, _ in told)
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    outputs = ended.stdout.split("\n@@@\n")
    for (command, expected), output in zip(told, outputs, strict=True):
        for line in expected:
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert re.search(pattern, output), f"{command}\nshould have said\n{line}\nand said\n{output}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_code_in_a_document_can_be_read(document):
    """Python compiles, JSON and YAML parse."""
    for language, content in blocks(document, "python", "json", "yaml"):
        if language == "python":
            compile(content, str(document), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        elif language == "json":
            json.loads(content)
        else:
            yaml.compose(content)


def anchors(document):
    """What its headings can be linked as (GitHub's rule)."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document):
    """To a file or folder of this repository, and to a heading where one is named."""
    text = BLOCK.sub("", document.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link} names no heading"


PLACE = re.compile(r"`((?:bench|config|docs|gateway|nginx|plugins|sandbox|scripts|tests)/[\w./-]*)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_files_that_a_document_names_exist(document):
    """Wherever something has moved, the documents have moved along."""
    missing = [place for place in PLACE.findall(document.read_text(encoding="utf-8")) if not (ROOT / place).exists()]
    assert missing == []


def classes_of(error):
    yield error
    for kind in error.__subclasses__():
        yield from classes_of(kind)


def literal_codes():
    """Codes that are given where an error or a refusal is made."""
    for path in [*ROOT.glob("gateway/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                given = [word.value for word in node.keywords if word.arg == "code"]
                if isinstance(node.func, ast.Name) and node.func.id == "Deny":
                    given += node.args[:1]
                yield from (one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str))


def listed_codes():
    """Rows of docs/errors.md: statuses by code."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| ([0-9, ]+) \|", text, re.MULTILINE)
    assert len(dict(rows)) == len(rows), "a code is listed twice"
    return {code: statuses.split(", ") for code, statuses in rows}


def test_errors_md_lists_exactly_the_codes_that_there_are():
    """Those of the error tree and those that parts name."""
    made = {kind.code for kind in classes_of(gateway.errors.GatewayError)} | set(literal_codes())
    assert listed_codes().keys() == made


@pytest.mark.parametrize("kind", [*classes_of(gateway.errors.GatewayError)], ids=lambda kind: kind.__name__)
def test_errors_md_gives_each_code_its_status(kind):
    """And the tree in the docstring of gateway/errors.py shows the same."""
    assert str(kind.status) in listed_codes()[kind.code]
    if kind is not gateway.errors.GatewayError:
        assert re.search(rf"── {kind.__name__} +{kind.status}\b", gateway.errors.__doc__)


def test_every_dependency_has_its_reason():
    """docs/decisions/002-dependencies.md has a row for what is installed always, and a word for the rest."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    text = (ROOT / "docs" / "decisions" / "002-dependencies.md").read_text(encoding="utf-8")
    lines = setup["options"]["install_requires"].strip().splitlines()
    needed = {re.split(r"[<>=;[\s]", line)[0] for line in lines}
    assert set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)) == needed
    for extra in setup["options.extras_require"].values():
        for line in extra.strip().splitlines():
            assert f"`{re.split(r'[<>=;[ ]', line)[0]}`" in text


def test_both_readmes_tell_the_same():
    """The same commands, the same expected answers, the same links."""
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    assert steps(chinese) == steps(english)

    def links(document):
        return {
            link for link in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")) if "README" not in link
        }

    assert links(chinese) == links(english)
