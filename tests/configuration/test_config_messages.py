"""configuration/loading.py: every mistake has one line with file, line, YAML path, sentence; all come at once."""

from pathlib import Path

import pytest
import yaml

from gateway.configuration.loading import load
from gateway.configuration.sources import MOST_LOOKED_AT
from gateway.errors import ConfigurationError

MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_bytes())


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake['in']}: {mistake['by']}")
def test_a_mistake_is_told_in_one_plain_line(world, mistake):
    world.edit(mistake["in"], mistake["replace"], mistake["by"])

    assert [line.replace("FOLDER", str(world.folder)) for line in mistake["told"]] == world.problems()


@pytest.mark.parametrize(
    "path", ["", "guides", "/guides/", "//guides", "/a//b", "/a/../b", "/a/.", "/{id", "/{}", "/{1}", "/x{id}", "/a b",
             "/指南", "/a;b", "/a?b", "/a%2", "/a%2f", "/a#b", "/a\\b"],
)  # fmt: skip
def test_a_path_that_is_no_template_is_refused(world, path):
    world.edit("policy.yaml", '"/guides/{id}"', "'" + path + "'")

    expected = f"{path!r} is no path template; write /segment/{{name}}, whole segments, no slash at the end"
    assert [f"policy.yaml:28 items[0].operations[0].path: {expected}"] == world.problems()


@pytest.mark.parametrize("path", ["/", "/a", "/a/{b}/c", "/{a}/{b}", "/a.b/~c", "/%E6%8C%87", "/a:b@c", "/..a/..."])
def test_plain_segments_and_whole_parameters_are_templates(world, path):
    world.edit("policy.yaml", '"/guides/{id}"', "'" + path + "'")

    assert world.load()


def test_all_mistakes_of_all_files_come_at_once_in_the_order_of_the_files(world):
    world.edit("gateway.yaml", "workers: 1", "worker: 1")
    world.edit("gateway.yaml", "listen: 127.0.0.1:8080", "listen: 8080")
    world.edit("policy.yaml", "client_rate", "include: [more.yaml]\nclient_rate")
    world.edit("policy.yaml", "{window: 5m}", "{windw: 5m}")
    world.edit("policy.yaml", "timeout: 5s", "timeout: 5")
    world.edit("policy.yaml", "system: outside", "system: outsied")
    world.write("more.yaml", "items:\n  - code: guides\n  - {}\n")

    assert [line for line in world.problems() if not line.startswith("more.yaml")] == [
        "gateway.yaml:2 listen: 8080 is no address; write 127.0.0.1:8080, [::1]:8080 or unix:/path/to.sock",
        "gateway.yaml:6 worker: unknown key (did you mean 'workers'?)",
        "policy.yaml:6 channels[0].config.windw: unknown key (did you mean 'window'?)",
        "policy.yaml:28 items[0].system: no system named 'outsied' (did you mean 'outside'?)",
        "policy.yaml:41 items[1].limits.timeout: 5 is no duration; write it with a unit: 250ms, 5s, 10m, 1h, 2d",
    ]
    missing = ("audience", "category", "channels", "name", "operations", "reauthorize", "system")
    assert [
        *(f"more.yaml:2 items[0].{key}: is required and missing" for key in missing),
        *(f"more.yaml:3 items[1].{key}: is required and missing" for key in sorted((*missing, "code"))),
    ] == [line for line in world.problems() if line.startswith("more.yaml")]


def test_an_item_of_an_included_file_is_told_by_its_place_in_that_file(world):
    world.edit("policy.yaml", "client_rate", "include: [items/*.yaml]\nclient_rate")
    world.write("items/a.yaml", "items: []\n")
    world.write(
        "items/b.yaml", (world.folder / "policy.yaml").read_text().partition("\nitems:")[2].join(["items:", ""])
    )
    world.edit("items/b.yaml", "code: settlements", "code: other")

    problems = world.problems()

    assert "items/b.yaml:2 items[0].code: 'guides' is taken, first in policy.yaml:24" in problems
    assert "items/b.yaml:7 items[0].operations[0]: GET /guides/{id} is answered already, in policy.yaml:29" in problems


def test_an_included_file_holds_items_and_nothing_else(world):
    world.edit("policy.yaml", "client_rate", "include: [more.yaml]\nclient_rate")
    world.write("more.yaml", "channels: []\n")

    assert world.problems() == [
        "more.yaml:1 channels: unknown key; an included file holds items and nothing else",
        "more.yaml:1 items: should be a list",
    ]


def test_a_file_that_is_included_twice_counts_once(world):
    world.edit("policy.yaml", "client_rate", "include: [more.yaml, '*re.yaml']\nclient_rate")
    world.write("more.yaml", "items: []\n")

    assert [path.name for path in world.load().files].count("more.yaml") == 1


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "5\n"])
def test_a_file_that_is_no_mapping_is_told(world, text):
    world.write("policy.yaml", text)

    assert world.problems() == ["policy.yaml:1: should be a mapping of keys"]


def test_the_signing_key_has_to_be_one(world):
    world.write_secret("identity.pem", "not a key")

    text = "is no unencrypted private key of Ed25519 or P-256 in PEM; docs/configuration.md says how to make one"
    assert world.problems() == [f"gateway.yaml:9 identity.key: {text}"]


def test_the_world_is_trusted_only_on_purpose(world):
    world.edit("gateway.yaml", "[10.0.0.0/8]", "[0.0.0.0/0, '::/0']\nunsafe_trust_everybody: true")

    assert [(one.rule, one.severity) for one in world.load().advise()] == [("TG01", "high")]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "'[::1]:1'", "localhost:1", "unix:/run/m.sock"])
def test_management_on_loopback_or_a_unix_socket_is_fine(world, address):
    world.edit("gateway.yaml", "management: 127.0.0.1:8081", f"management: {address}")

    assert world.load()


def test_workers_that_share_nothing_may_not_be_many_where_something_is_counted(world):
    world.edit("gateway.yaml", "workers: 1", "workers: 4")
    world.edit("policy.yaml", "config_parts:Door", "config_parts:RememberingDoor")

    [line] = world.problems()
    assert line == (
        "gateway.yaml:6 workers: 4 workers with state: memory would each keep their own "
        "client_rate (policy.yaml:1), items[1].limits.rate (policy.yaml:40), "
        "channels[0] (policy.yaml:3, which remembers what it has seen); "
        "set state: redis or workers: 1, or take these out"
    )


def test_workers_may_be_many_where_nothing_is_counted(world):
    world.edit("gateway.yaml", "workers: 1", "workers: 4")
    world.edit("policy.yaml", "client_rate: 600/minute\n", "")
    world.edit("policy.yaml", "rate: 30/minute, ", "")

    assert world.load().settings.workers == 4


def test_of_very_many_problems_the_first_are_told_and_how_many_more_there_are(world):
    text = (world.folder / "policy.yaml").read_text(encoding="utf-8").partition("items:")[0]
    world.write("policy.yaml", f"{text}items: [{', '.join(['1'] * 30_000)}]\n")

    problems = world.problems()

    assert len(problems) == 101
    assert problems[-1] == "and 29900 more"


@pytest.mark.parametrize("pattern", ["many/*", "**/none.yaml", "*/*.yaml"])
def test_a_pattern_that_runs_away_is_stopped(world, pattern):
    (world.folder / "many").mkdir()
    for number in range(MOST_LOOKED_AT + 1):
        (world.folder / "many" / str(number)).touch()
    world.edit("policy.yaml", "client_rate", f"include: ['{pattern}']\nclient_rate")

    assert world.problems() == [f"policy.yaml:1 include[0]: {pattern!r} looks at more than {MOST_LOOKED_AT} files"]


def test_policy_yaml_in_place_of_gateway_yaml_is_told_in_one_line(world):
    with pytest.raises(ConfigurationError) as caught:
        load(world.folder / "policy.yaml")

    assert caught.value.problems == [f"{world.folder}/policy.yaml: this looks like policy.yaml; check its gateway.yaml"]


def test_gatekeeper_yaml_in_place_of_gateway_yaml_is_told_with_the_command_that_checks_it(world):
    world.write("gatekeeper.yaml", "systems: []\nroutes: []\n")
    with pytest.raises(ConfigurationError) as caught:
        load(world.folder / "gatekeeper.yaml")

    [problem] = caught.value.problems
    assert problem.endswith("gatekeeper.yaml; check it with: tongguan gatekeeper --check FILE")


@pytest.mark.parametrize(("name", "told"), [("none.yaml", "no such file"), (".", "is not a file")])
def test_of_a_gateway_yaml_that_is_not_there_nothing_else_is_told(world, name, told):
    """What would stand beside it is anybody's guess."""
    (world.folder / "policy.yaml").unlink()
    with pytest.raises(ConfigurationError) as caught:
        load(world.folder / name)

    [problem] = caught.value.problems
    assert told in problem


def test_a_gateway_yaml_that_this_user_may_not_even_see_is_said_to_be_unreadable(world, request):
    """As for whoever asks for a status without being in the gateway's group."""
    closed = world.folder / "closed"
    closed.mkdir(mode=0)
    request.getfixturevalue("nobody")
    with pytest.raises(ConfigurationError) as caught:
        load(closed / "gateway.yaml")

    assert caught.value.problems == [f"gateway.yaml: cannot be read: Permission denied ({closed}/gateway.yaml)"]


@pytest.mark.parametrize("address", ["mysql://gw:hunter2@db/x", "ledger.db", "sqlite://", "sqlite:///:memory:"])
def test_an_address_of_no_ledger_is_told_with_the_line_and_not_repeated(world, address):
    world.edit("gateway.yaml", "workers: 1", f"ledger: {address!r}")

    assert world.problems() == ["gateway.yaml:6 ledger: is no database address; write sqlite:///FILE or postgresql://…"]


def test_a_value_of_any_length_makes_a_line_that_can_be_read(world):
    world.edit("policy.yaml", "30/minute", "x" * 100_000)

    [problem] = world.problems()
    assert len(problem) < 700
    assert problem.endswith("is no rate; write how many per second, minute, hour or day: 30/minute")
