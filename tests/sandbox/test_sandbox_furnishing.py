"""What is written into a sandbox's directory: configuration that the product itself finds good, and keys of its own."""

import re

import pytest

from gateway.configuration.loading import load, policy_from
from gateway.ferry.inner_settings import load_gatekeeper
from sandbox.furnishing import furnish
from sandbox.places import Places
from sandbox.province import read_clients

USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.fixture
def places(tmp_path):
    places = Places(8080, tmp_path / "sandbox")
    furnish(places)
    return places


def test_the_configuration_is_good_and_only_its_plain_http_is_advised_against(places):
    """A newcomer who runs `tongguan check` on it reads what is meant, and nothing that is not."""
    for department in (places.gateway_yaml, places.medical_yaml):
        assert [advice.rule for advice in load(department).advise()] == ["TG02"]


BACK_OFFICE = {
    (f"{system}-{what}", system, "GET") for system in ("pension", "social-insurance") for what in ("unit", "units")
}


def test_edge_and_inner_unit_know_the_same_routes(places):
    """Every operation via ferry has its route inside, with the same method; the rest is the back office's."""
    policy = policy_from(load(places.gateway_yaml).policy)
    ferried = {system.name for system in policy.systems if system.via == "ferry"}
    outside = {
        (operation.id, item.system, operation.method)
        for item in policy.items
        for operation in item.operations
        if item.system in ferried
    }
    inner = load_gatekeeper(places.gatekeeper / "gatekeeper.yaml")
    assert {(route.id, route.system, route.method) for route in inner.routes} == outside | BACK_OFFICE


def test_item_codes_are_well_formed(places):
    """31 characters: the organ's USCC with its check digit (GB 32100-2015), the level, and the basic code."""
    departments = (places.gateway_yaml, places.medical_yaml)
    items = [item for department in departments for item in policy_from(load(department).policy).items]
    assert len({item.code for item in items}) == len(items)
    for item in items:
        assert re.fullmatch(rf"[{USCC}]{{18}}[1-7][0-9]{{12}}", item.code), item.code
        total = sum(USCC.index(character) * 3**place for place, character in enumerate(item.code[:17]))
        assert USCC[-total % 31] == item.code[17]


def test_every_sandbox_has_keys_of_its_own(places, tmp_path):
    """Identity, ferry and pseudonym keys are new; both units of one sandbox share the ferry's."""
    other = Places(8080, tmp_path / "other")
    furnish(other)
    for name in (
        "identity.pem",
        "ferry.key",
        "pseudonym.key",
        "console.key",
        "session.key",
        "introspection.secret",
        "alipay.pem",
    ):
        assert (places.edge / "secrets" / name).read_text() != (other.edge / "secrets" / name).read_text()
    ours, theirs = (folder / "secrets" / "session.key" for folder in (places.edge, places.medical))
    assert ours.read_text() != theirs.read_text()
    outer, inner = (folder / "secrets" / "ferry.key" for folder in (places.edge, places.gatekeeper))
    assert outer.read_text() == inner.read_text()


def test_what_was_edited_in_an_earlier_run_stays(places):
    """The same directory can be used again with what somebody has made of it; a file that is gone is written anew."""
    edited = places.gateway_yaml.read_text().replace("drain: 5s", "drain: 7s")
    places.gateway_yaml.write_text(edited)
    (places.edge / "policy.yaml").unlink()
    furnish(places)
    assert load(places.gateway_yaml).settings.drain == 7.0


def test_an_earlier_ledger_can_still_be_read(places):
    """The keys that seal second factors and digest numbers stay; whatever else is fresh is fresh again."""
    names = ("console.key", "pseudonym.key", "session.key")
    before = [(places.edge / "secrets" / name).read_text() for name in names]
    furnish(places)
    after = [(places.edge / "secrets" / name).read_text() for name in names]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False]


def test_any_name_of_a_folder_will_do(tmp_path):
    """Also one with quotes and what YAML would take for a comment."""
    places = Places(8080, tmp_path / 'a "strange": name #1 \\ 沙箱')
    furnish(places)
    assert load(places.gateway_yaml).settings.records.access == f"file:{places.access_records}"
    assert load_gatekeeper(places.gatekeeper / "gatekeeper.yaml").listen.path == str(places.socket)


def test_the_province_knows_both_departments_and_each_of_them_only_itself(places):
    """Secrets agree pairwise, and no department has one of the other."""
    hrss, medical = read_clients(places.clients)
    assert (hrss.node, medical.node) == ("hrss", "medical")
    for client, folder in ((hrss, places.edge), (medical, places.medical)):
        for name, value in (("client", client.secret), ("introspection", client.introspection_secret)):
            assert (folder / "secrets" / f"{name}.secret").read_text() == value
    assert hrss.introspection_secret != medical.introspection_secret
    assert str(places.ports["medical-edge"]) in medical.redirect_uris[0]
    assert places.clients.stat().st_mode & 0o077 == 0


def test_people_sign_in_at_the_province_and_at_the_second_department_in_every_dialect(places):
    """Both departments take natural persons and units from the province."""
    for department, others in ((places.gateway_yaml, 0), (places.medical_yaml, 6)):
        login = policy_from(load(department).policy).login
        assert (login.natural, login.legal, len(login.others)) == ("province", "province", others)
