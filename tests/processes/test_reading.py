"""Configuration files are read whole, even while somebody writes them."""

import asyncio

import msgspec
import pytest

from gateway.errors import ConfigurationError
from gateway.processes.reloading import Source


class Two(msgspec.Struct):
    policy: tuple[str, str]
    files: list


async def test_files_that_change_while_they_are_read_are_read_again(tmp_path):
    """Half of the old and half of the new never comes out."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("old")
    two.write_text("old")
    interruptions = iter([True])

    def load():
        first = one.read_text()
        if next(interruptions, False):
            one.write_text("newer")
            two.write_text("newer")
        return Two((first, two.read_text()), [one, two])

    assert (await Source(load, [one, two], poll=0.01).read()).policy == ("newer", "newer")


async def test_files_that_never_hold_still_are_refused(tmp_path):
    """After a bounded number of attempts."""
    file = tmp_path / "one.yaml"
    file.write_text("")

    def load():
        file.write_text(file.read_text() + "x")
        raise ConfigurationError(["never seen"])

    with pytest.raises(ConfigurationError, match="were changing all the time"):
        await Source(load, [file], poll=0.01).read()


@pytest.mark.parametrize("change", ["written", "replaced", "added", "removed"])
async def test_every_way_to_change_the_files_is_noticed(tmp_path, change):
    """Also a second change of the same size within the same second, and a new file beside the known ones."""
    file = tmp_path / "one.yaml"
    file.write_text("a")
    source = Source(lambda: Two(("", ""), [file]), [file], poll=0.05)
    await source.read()
    noticed = asyncio.create_task(source.changed())
    if change == "written":
        file.write_text("b")
    elif change == "replaced":
        (tmp_path / "new").write_text("b")
        (tmp_path / "new").replace(file)
    elif change == "added":
        (tmp_path / "two.yaml").write_text("")
    else:
        file.unlink()
    async with asyncio.timeout(5):
        await noticed
