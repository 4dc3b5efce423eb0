"""Records that cannot be written: `check` finds it beforehand, and a running sink says so on stderr."""

import pytest

from gateway.configuration.sinks import find_bad_sink
from gateway.configuration.static_rules import find_bad_sinks
from gateway.records.sink import Sink


def told(world, path) -> list[str]:
    world.edit("gateway.yaml", "records:", f"records:\n  access: file:{path}")
    return world.problems()


def test_a_folder_is_no_file_for_records(world):
    [problem] = told(world, world.folder)

    assert problem == f"gateway.yaml:12 records.access: 'file:{world.folder}': is a folder; name a file in it"


@pytest.mark.parametrize("path", ["/usr/access.jsonl", "/etc/passwd"])
def test_a_file_that_this_user_may_not_write_is_found_before_records_are_lost(world, path, request):
    settings = world.load().settings
    records = settings.records.model_copy(update={"access": f"file:{path}"})
    static = settings.model_copy(update={"records": records})
    uid = request.getfixturevalue("nobody")

    expected = f"'file:{path}': cannot be written by this user (uid {uid})"
    assert [(("records", "access"), expected)] == list(find_bad_sinks(static))


def test_a_file_behind_a_folder_that_this_user_may_not_enter_cannot_be_written(tmp_path, request):
    closed = tmp_path / "closed" / "inner"
    closed.mkdir(parents=True)
    closed.parent.chmod(0)
    uid = request.getfixturevalue("nobody")

    [(_, text)] = find_bad_sink(("records",), f"file:{closed}/access.jsonl")
    assert text == f"'file:{closed}/access.jsonl': cannot be written by this user (uid {uid})"


def test_a_sink_says_once_that_records_are_being_lost(tmp_path, capfd):
    sink = Sink(f"file:{tmp_path}", 1024)
    for _ in range(3):
        sink.write(b"{}\n", 1)
    sink.close(5.0)

    assert sink.lost == 3
    assert capfd.readouterr().err == f"records of {tmp_path} cannot be written: Is a directory; 1 lost so far\n"
