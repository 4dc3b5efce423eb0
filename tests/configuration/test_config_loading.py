"""gateway.configuration.loading: what a good configuration becomes, and how fast."""

import time
from pathlib import Path

import msgspec
import pytest

from gateway.configuration.loading import load, load_static, policy_from, static_from
from gateway.configuration.parts import import_part, part_config
from gateway.ledger import open_ledger
from gateway.settings import DirectSettings, FerrySettings
from gateway.units import Address
from tests.configuration.config_world import World


def test_snapshots_become_the_settings_that_were_written(world):
    loaded = world.load()
    static, policy = static_from(loaded.static), policy_from(loaded.policy)

    assert loaded.settings == static
    assert Address("127.0.0.1", 8080) == static.listen
    assert [DirectSettings, FerrySettings] == [type(system) for system in policy.systems]
    assert [item.code for item in policy.items] == ["guides", "settlements"]
    assert (policy.items[1].limits.body, policy.items[1].limits.timeout) == (64 << 10, 5.0)


def test_included_items_follow_those_of_the_policy(world):
    world.edit("policy.yaml", "client_rate", "include: ['items/*.yaml']\nclient_rate")
    one = {"code": "x", "name": "x", "category": "x", "audience": ["anyone"], "system": "outside", "channels": ["web"]}
    for name in ("b", "a"):
        item = one | {"code": name, "reauthorize": [], "operations": [{"method": "GET", "path": f"/{name}"}]}
        world.write(f"items/{name}.yaml", msgspec.json.encode({"items": [item]}))

    loaded = world.load()

    assert [item.code for item in policy_from(loaded.policy).items] == ["guides", "settlements", "a", "b"]
    assert [path.name for path in loaded.files] == ["gateway.yaml", "identity.pem", "policy.yaml", "a.yaml", "b.yaml"]


def test_the_revision_is_of_the_content_and_not_of_its_form(world):
    before = world.load().revision
    world.edit("policy.yaml", "client_rate: 600/minute\n", "# a comment\n\n")
    world.edit("policy.yaml", "systems:", 'client_rate: "600/minute"\nsystems:')

    assert before == world.load().revision


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("gateway.yaml", "workers: 1", "workers: 1\nscheme: http"), ("policy.yaml", "assurance: 3", "assurance: 2")],
)
def test_the_revision_changes_with_the_content(world, file, old, new):
    before = world.load().revision
    world.edit(file, old, new)

    assert before != world.load().revision


def test_the_revision_changes_with_a_secret(world, monkeypatch):
    before = world.load().revision
    monkeypatch.setenv("TEST_FERRY_KEY", "g" * 32)

    assert before != world.load().revision


def test_static_settings_can_be_read_alone(world):
    (world.folder / "policy.yaml").unlink()

    assert load_static(world.path).department == "dept-hrss"


def test_a_part_is_imported_once_and_its_settings_are_strict():
    part = import_part("tests.configuration.config_parts:Hours")

    assert import_part("tests.configuration.config_parts:Hours") is part
    assert part_config(part, {"opens": 9, "closes": 18}, {"opens": 7}).opens == 7
    assert part_config(part, {"opens": 9, "closes": 18}, {"opens": 7}).closes == 18
    with pytest.raises(ValueError, match="valid integer"):
        part_config(part, {"opens": "9"})


def test_an_override_replaces_only_the_keys_it_names(world):
    world.edit("policy.yaml", "[owner-switch]", "[{name: owner-switch, config: {closes: 12}}]")

    assert policy_from(world.load().policy).items[1].reauthorize[0].config == {"closes": 12}


def test_ten_thousand_items_load_in_seconds_and_reload_faster(world):
    """Bounds are generous because the machine is shared; docs/configuration.md has the measured figures."""
    text = "items:\n" + "".join(_item(number) for number in range(10_000))
    world.edit("policy.yaml", "client_rate", "include: [many.yaml]\nclient_rate")
    world.write("many.yaml", text)

    first, loaded = _timed(world.load)
    again, _ = _timed(world.load)
    validated, policy = _timed(lambda: policy_from(loaded.policy))

    assert len(policy.items) == 10_002
    assert first < 5
    assert again < 2
    assert validated < 1.5


def _item(number: int) -> str:
    path = f"/medical/{number}/settlements/{{settlement_id}}"
    return f"""\
  - code: "11440100696927671X{number:013d}"
    name: 个人住院结算信息查询
    category: medical-insurance
    audience: [natural]
    system: inside
    operations: [{{id: medical-{number}, method: GET, path: "{path}"}}]
    channels: [web]
    assurance: 3
    reauthorize: [owner-switch]
    limits: {{body: 64KiB, rate: 30/minute, timeout: 5s}}
"""


def _timed(work):
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def test_a_configuration_can_be_named_relative_to_here(world, monkeypatch):
    monkeypatch.chdir(world.folder)

    assert load(Path("gateway.yaml")).revision == world.load().revision


@pytest.mark.parametrize(
    ("scheme", "cookie"), [("https", "__Host-sid"), ("https", "__Host-sid-medical"), ("http", "sid")]
)
def test_a_session_cookie_that_no_other_host_can_set_is_taken_and_any_where_there_is_no_tls(world, scheme, cookie):
    sessions = f"sessions: {{keys: [{{$env: TEST_LONG_KEY}}], node: hrss, cookie: {cookie}, idle: 61s, remember: 60s}}"
    world.edit("gateway.yaml", "workers: 1", f"scheme: {scheme}\n{sessions}")

    assert world.load().settings.sessions.cookie == cookie


@pytest.mark.parametrize("folder", ["plain", "a b", "what?", "100%", "%41", "县#1"])
def test_the_ledger_lies_beside_gateway_yaml_whatever_its_folder_is_called(tmp_path, identity, folder, monkeypatch):
    """The address is a URL, in which some characters mean something else."""
    monkeypatch.setenv("TEST_PSEUDONYM_KEY", "p" * 16)
    monkeypatch.setenv("TEST_FERRY_KEY", "f" * 32)
    (tmp_path / folder).mkdir()
    world = World(tmp_path / folder, identity)
    world.path.write_text(f"ledger: sqlite:///l.db\n{world.path.read_text()}")
    ledger = open_ledger(world.load().settings.ledger, tmp_path)
    assert ledger.name == str(tmp_path / folder / "l.db")
