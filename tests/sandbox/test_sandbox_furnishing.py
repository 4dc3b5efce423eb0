"""What is written into a sandbox's directory: configuration that the product itself finds good, and keys of its own."""

import re

import pytest

from gateway.configuration.loading import load, policy_from
from gateway.ferry.inner_settings import load_gatekeeper
from sandbox.furnishing import furnish
from sandbox.places import Places

USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.fixture
def places(tmp_path):
    places = Places(8080, tmp_path / "sandbox")
    furnish(places)
    return places


def test_the_configuration_is_good_and_only_its_plain_http_is_advised_against(places):
    """A newcomer who runs `tongguan check` on it reads what is meant, and nothing that is not."""
    loaded = load(places.gateway_yaml)
    assert [advice.rule for advice in loaded.advice] == ["TG02"]


def test_edge_and_inner_unit_know_the_same_routes(places):
    """Every operation via ferry has its route inside, with the same method, and no route waits for nobody."""
    policy = policy_from(load(places.gateway_yaml).policy)
    ferried = {system.name for system in policy.systems if system.via == "ferry"}
    outside = {
        (operation.id, item.system, operation.method)
        for item in policy.items
        for operation in item.operations
        if item.system in ferried
    }
    inner = load_gatekeeper(places.gatekeeper / "gatekeeper.yaml")
    assert {(route.id, route.system, route.method) for route in inner.routes} == outside


def test_item_codes_are_well_formed(places):
    """31 characters: the organ's USCC with its check digit (GB 32100-2015), the level, and the basic code."""
    items = policy_from(load(places.gateway_yaml).policy).items
    assert len({item.code for item in items}) == len(items)
    for item in items:
        assert re.fullmatch(rf"[{USCC}]{{18}}[1-7][0-9]{{12}}", item.code), item.code
        total = sum(USCC.index(character) * 3**place for place, character in enumerate(item.code[:17]))
        assert USCC[-total % 31] == item.code[17]


def test_every_sandbox_has_keys_of_its_own(places, tmp_path):
    """Identity, ferry and pseudonym keys are new; both units of one sandbox share the ferry's."""
    other = Places(8080, tmp_path / "other")
    furnish(other)
    for name in ("identity.pem", "ferry.key", "pseudonym.key"):
        assert (places.edge / "secrets" / name).read_text() != (other.edge / "secrets" / name).read_text()
    outer, inner = (folder / "secrets" / "ferry.key" for folder in (places.edge, places.gatekeeper))
    assert outer.read_text() == inner.read_text()


def test_what_was_edited_in_an_earlier_run_stays(places):
    """The same directory can be used again with what somebody has made of it; a file that is gone is written anew."""
    edited = places.gateway_yaml.read_text().replace("drain: 5s", "drain: 7s")
    places.gateway_yaml.write_text(edited)
    (places.edge / "policy.yaml").unlink()
    furnish(places)
    assert load(places.gateway_yaml).settings.drain == 7.0


def test_any_name_of_a_folder_will_do(tmp_path):
    """Also one with quotes and what YAML would take for a comment."""
    places = Places(8080, tmp_path / 'a "strange": name #1 \\ 沙箱')
    furnish(places)
    assert load(places.gateway_yaml).settings.records.access == f"file:{places.access_records}"
    assert load_gatekeeper(places.gatekeeper / "gatekeeper.yaml").listen.path == str(places.socket)
