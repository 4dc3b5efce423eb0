"""gateway.configuration.audit: advice about configurations that work."""

import pytest


def advice(world) -> list[str]:
    return [f"{one.rule} {one.severity} {one.text}" for one in world.load().advise()]


def test_a_sound_configuration_gets_no_advice(world):
    assert advice(world) == []


ADVICE = [
    ("gateway.yaml", "workers: 1", "scheme: http", "TG02 high gateway.yaml:6 scheme: tokens travel unencrypted"),
    ("gateway.yaml", "trusted_proxies: [10.0.0.0/8]\n", "", "TG03 medium gateway.yaml:1 trusted_proxies: is empty"),
    ("policy.yaml", "socket, address: 127.0.0.1:8120", "memory", "TG04 high policy.yaml:20 systems[1].carrier.kind: "),
    ("policy.yaml", "client_rate: 600/minute\n", "", "TG06 medium policy.yaml:2 channels[0]: has no client_rate"),
    ("policy.yaml", "https://www", "http://www", "TG07 medium policy.yaml:6 channels[0].cors.origins[0]: anybody on"),
    ("policy.yaml", "timeout: 5s", "timeout: 31s", "TG08 low policy.yaml:40 items[1].limits.timeout: is longer than"),
    (
        "gateway.yaml",
        "listen: 127.0.0.1:8080",
        "listen: unix:/run/edge.sock",
        "TG03 medium gateway.yaml:5 trusted_proxies: all clients look like one ('unix') and share its rate; add unix",
    ),
    (
        "policy.yaml",
        "[owner-switch]",
        "[]",
        "TG09 low policy.yaml:11 reauthorizers[0]: 'owner-switch' is used by no",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "begin"), ADVICE)
def test_what_works_and_should_not_stay_so_is_told_by_number(world, file, old, new, begin):
    world.edit(file, old, new)

    [line] = advice(world)
    assert line.startswith(begin)


def test_one_secret_for_two_purposes_is_told(world, monkeypatch):
    monkeypatch.setenv("TEST_PSEUDONYM_KEY", "f" * 32)

    expected = "systems[1].key: is used for something else as well; give every purpose its own key"
    assert [f"TG05 high policy.yaml:21 {expected}"] == advice(world)


def test_a_policy_without_items_is_told(world):
    text = (world.folder / "policy.yaml").read_text(encoding="utf-8")
    world.write("policy.yaml", text.partition("items:")[0])

    assert "TG09 low policy.yaml:1 items: is empty: every request is answered 404" in advice(world)


def test_grants_that_nobody_can_accept_are_told(world, monkeypatch):
    """A department that takes tokens alone has no self-service: without this its grants would wait for ever."""
    hours = "tests.configuration.config_parts:Hours\n    config: {opens: 8}"
    world.edit("policy.yaml", hours, "plugins.reauthorizers.operator_grant:OperatorGrant")
    assert advice(world) == []

    monkeypatch.setenv("TEST_CONSOLE_KEY", "c" * 32)
    console = "console: {listen: 127.0.0.1:8082, hosts: [a], keys: [{$env: TEST_CONSOLE_KEY}], acceptance: true}"
    world.edit("gateway.yaml", "workers: 1", console)
    [line] = advice(world)
    assert line.startswith("TG11 medium policy.yaml:11 reauthorizers[0]: operators have to accept what is granted")

    world.edit("gateway.yaml", "acceptance: true", "acceptance: false")
    assert advice(world) == []


def test_a_secret_that_everybody_can_read_is_told(world):
    (world.folder / "identity.pem").chmod(0o644)
    world.write_secret("ferry.key", "k" * 32, mode=0o604)
    world.edit("policy.yaml", "{$env: TEST_FERRY_KEY}", "{$file: ferry.key}")

    assert advice(world) == [
        "TG10 medium gateway.yaml:9 identity.key: identity.pem can be read by everybody (mode 644); chmod o-r",
        "TG10 medium policy.yaml:21 systems[1].key: ferry.key can be read by everybody (mode 604); chmod o-r",
    ]
