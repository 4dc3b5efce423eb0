"""The router against a naive matcher, and what goes inward from a visit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_world import PUBLIC, FakeSystem, inbound, route

from gateway.errors import InternalError, ItemUnknown, MethodNotAllowed
from gateway.items import Router
from gateway.model import Visit

SYSTEM = FakeSystem()
SEGMENTS = st.sampled_from(["a", "b", "{}", "{}", "%E6", "a.b"])
TEMPLATES = st.lists(SEGMENTS, min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(f"{{x{at}}}" if part.startswith("{") else part for at, part in enumerate(parts))
)
ROUTES = st.lists(st.tuples(st.sampled_from(["GET", "POST"]), TEMPLATES), max_size=8)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "%E6", "a.b", ""]), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


def shape(template):
    return tuple("{}" if part.startswith("{") else part for part in template[1:].split("/"))


def fits(template, path):
    ours, theirs = shape(template), path[1:].split("/")
    return len(ours) == len(theirs) and all(a == b or (a == "{}" and b) for a, b in zip(ours, theirs, strict=True))


def naive(routes, method, path):
    """The most plain template that fits, counted from the left; None or the methods when there is no such route."""
    shapes = sorted(
        {shape(template) for _, template in routes if fits(template, path)}, key=lambda s: [p == "{}" for p in s]
    )
    if not shapes:
        return None
    offered = {m: template for m, template in routes if shape(template) == shapes[0]}
    return offered.get(method) or (offered.get("GET") if method == "HEAD" else None) or set(offered)


@given(ROUTES, st.sampled_from(["GET", "HEAD", "POST", "PUT"]), PATHS)
def test_the_router_agrees_with_a_list(given_routes, method, path):
    routes = list({(m, shape(template)): (m, template) for m, template in given_routes}.values())
    router = Router([route(m, template, SYSTEM) for m, template in routes])
    assert len(router) == len(routes)
    expected = naive(routes, method, path)
    if expected is None:
        with pytest.raises(ItemUnknown):
            router.match(method, path)
    elif isinstance(expected, set):
        with pytest.raises(MethodNotAllowed) as caught:
            router.match(method, path)
        assert set(caught.value.allow) == expected | ({"HEAD"} if "GET" in expected else set())
    else:
        found, params = router.match(method, path)
        assert found.template == expected
        places = zip(found.template[1:].split("/"), path[1:].split("/"), strict=True)
        assert params == {name[1:-1]: value for name, value in places if name.startswith("{")}


@pytest.mark.parametrize(("path", "template", "params"), [
    ("/guides/1", "/guides/{id}", {"id": "1"}),
    ("/guides/new", "/guides/new", {}),
    ("/guides/%E6%8C%87", "/guides/{id}", {"id": "%E6%8C%87"}),
    ("/guides/1/parts/2", "/guides/{id}/parts/{part}", {"id": "1", "part": "2"}),
    ("/guides/new/parts/2", "/guides/{id}/parts/{part}", {"id": "new", "part": "2"}),
    ("/", "/", {}),
])  # fmt: skip
def test_a_path_finds_its_template(path, template, params):
    templates = ["/guides/{id}", "/guides/new", "/guides/{id}/parts/{part}", "/"]
    found, values = Router([route("GET", one, SYSTEM) for one in templates]).match("GET", path)
    assert (found.template, dict(values)) == (template, params)


@pytest.mark.parametrize(
    "path", ["/guides", "/guides/", "/guides/1/", "/guides/1/parts", "/Guides/1", "/guides/1/parts/2/3"]
)
def test_what_is_not_quite_a_path_is_unknown(path):
    with pytest.raises(ItemUnknown):
        Router([route("GET", "/guides/{id}", SYSTEM), route("GET", "/guides/{id}/parts/{part}", SYSTEM)]).match(
            "GET", path
        )


def test_an_empty_router_knows_nothing():
    with pytest.raises(ItemUnknown):
        Router().match("GET", "/")


def visit_of(**changed) -> Visit:
    return Visit(inbound(**changed), PUBLIC, "route", "/guides/{id}", {}, "web", 0.0)


def test_fields_start_from_the_list_and_ours_come_last():
    visit = visit_of(fields={"accept": "a/b", "cookie": "x", "x-request-id": "forged", "tongguan-identity": "forged"})
    outbound = route("GET", "/guides/{id}", SYSTEM).outbound(visit, None, ((b"tongguan-account", b"7"),), 2.0)
    assert outbound.fields == [
        (b"accept", b"a/b"),
        (b"x-request-id", visit.inbound.id.encode()),
        (b"traceparent", b"00-%b-%b-01" % (visit.inbound.id.encode(), visit.inbound.id[16:].encode())),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-host", b"gw.example"),
        (b"x-forwarded-proto", b"https"),
        (b"tongguan-account", b"7"),
    ]
    assert outbound.timeout == 3.0


def test_a_system_behind_the_gatekeeper_is_not_told_where_the_client_is():
    outbound = route("GET", "/guides/{id}", SYSTEM, forwarded=False).outbound(visit_of(), None, (), 0.0)
    assert [name for name, _ in outbound.fields] == [b"x-request-id", b"traceparent"]


@pytest.mark.parametrize("name", [b"accept", b"x-request-id", b"transfer-encoding", b"upgrade", b"host"])
def test_what_is_injected_must_not_be_sayable_by_a_client(name):
    with pytest.raises(InternalError):
        route("GET", "/guides/{id}", SYSTEM).outbound(visit_of(), None, ((name, b"7"),), 0.0)


@pytest.mark.parametrize(("offered", "passes"), [("websocket", True), (None, False)])
def test_the_key_of_a_websocket_passes_where_one_is_offered(offered, passes):
    visit = visit_of(fields={"sec-websocket-key": "x"}, upgrade="websocket")
    outbound = route("GET", "/guides/{id}", SYSTEM, upgrade=offered).outbound(visit, None, (), 0.0)
    assert ((b"sec-websocket-key", b"x") in outbound.fields) == passes
