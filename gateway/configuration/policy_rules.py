"""What has to hold for the items of policy.yaml beyond their types. loading.py notes the findings.

items.py relies on it: templates are well formed and no two operations answer to the same request.
"""

from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter

from gateway.configuration.catalogue import Catalogue, Entry, Finding
from gateway.configuration.parts import PartUnusableError, import_part
from gateway.configuration.problems import did_you_mean
from gateway.configuration.yaml_source import Where
from gateway.contracts import Reauthorizer
from gateway.model import Kind
from gateway.settings import FerrySettings, ItemSettings, StaticSettings
from gateway.templates import check_template, shape


def find_unknown_names(catalogue: Catalogue) -> Iterator[Finding]:
    """Every part and system that an item names exists, and is named once."""
    channels, verifiers = catalogue.names("channels"), catalogue.names("verifiers")
    reauthorizers, systems = catalogue.names("reauthorizers"), catalogue.names("systems")
    for entry in catalogue.items:
        item, where = entry.value, entry.where
        if item.system not in systems:
            yield (*where, "system"), f"no system named {item.system!r}{did_you_mean(item.system, systems)}"
        yield from _unknown(item.channels, channels, (*where, "channels"))
        yield from _unknown(item.verifiers or (), verifiers, (*where, "verifiers"))
        named = [one if isinstance(one, str) else one.name for one in item.reauthorize]
        yield from _unknown(named, reauthorizers, (*where, "reauthorize"))


def _unknown(names: Sequence[str], known: Collection[str], where: Where) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name not in known:
            yield (*where, index), f"no part named {name!r}{did_you_mean(name, known)}"
        elif name in names[:index]:
            yield (*where, index), f"{name!r} is named twice"


def find_repeated_codes(catalogue: Catalogue) -> Iterator[Finding]:
    """Item codes are unique."""
    first = catalogue.names("items", "code")
    for entry in catalogue.items:
        if first[entry.value.code] != entry.where:
            written = catalogue.written_at(first[entry.value.code])
            yield (*entry.where, "code"), f"{entry.value.code!r} is taken, first in {written}"


def find_bad_templates(catalogue: Catalogue) -> Iterator[Finding]:
    """Paths are templates of whole segments, and a parameter is named once in each."""
    for entry in catalogue.items:
        for index, operation in enumerate(entry.value.operations):
            try:
                check_template(operation.path)
            except ValueError as exc:
                yield (*entry.where, "operations", index, "path"), str(exc)


def find_collisions(catalogue: Catalogue) -> Iterator[Finding]:
    """No two operations have the same method and the same shape of path."""
    first: dict[tuple[str, str], Where] = {}
    for entry in catalogue.items:
        for index, operation in enumerate(entry.value.operations):
            where = (*entry.where, "operations", index)
            other = first.setdefault((operation.method, shape(operation.path)), where)
            if other is not where:
                taken = f"{operation.method} {operation.path} is answered already, in {catalogue.written_at(other)}"
                yield where, taken


def find_bad_ways(catalogue: Catalogue) -> Iterator[Finding]:
    """Operations fit the way to their system: the ferry needs route ids, WebSocket needs GET and no ferry."""
    first: dict[str, Where] = {}
    for entry in catalogue.items:
        ferry = isinstance(catalogue.system(entry.value.system), FerrySettings)
        for index, operation in enumerate(entry.value.operations):
            where = (*entry.where, "operations", index)
            if operation.id is not None and (other := first.setdefault(operation.id, where)) is not where:
                yield (*where, "id"), f"{operation.id!r} is taken, first in {catalogue.written_at(other)}"
            if operation.id is None and ferry:
                yield (*where, "id"), "is required via ferry: the inner unit knows the route by it"
            if operation.upgrade and ferry:
                yield (*where, "upgrade"), "does not work via ferry: no connection crosses the gatekeeper"
            if operation.upgrade and operation.method != "GET":
                yield (*where, "upgrade"), f"needs method GET, not {operation.method} (RFC 6455 §4.1)"


def find_bad_audiences(catalogue: Catalogue) -> Iterator[Finding]:
    """Who has to sign in can, and what needs a person has one."""
    offered = bool(catalogue.names("verifiers"))
    for entry in catalogue.items:
        item, where = entry.value, entry.where
        public = Kind.ANYONE in item.audience
        verified = offered if item.verifiers is None else bool(item.verifiers)
        if len(set(item.audience)) < len(item.audience):
            yield (*where, "audience"), "names a kind of person twice"
        if not verified and set(item.audience) != {Kind.ANYONE}:
            yield (*where, "verifiers"), "is empty, and the audience has to sign in: nobody could"
        if public and item.assurance:
            yield (*where, "assurance"), f"{item.assurance} asks for a sign-in, and the audience lets anyone in"
        if public and item.reauthorize:
            yield (*where, "reauthorize"), "needs a person to decide about, and the audience lets anyone in; write []"


def find_units_parts(catalogue: Catalogue) -> Iterator[Finding]:
    """What natural persons can never pass stands before no item of theirs: the back office binds units alone."""
    uses = {entry.value.name: entry.value.use for entry in catalogue.reauthorizers}
    for entry in catalogue.items:
        if Kind.NATURAL not in entry.value.audience:
            continue
        for index, named in enumerate(entry.value.reauthorize):
            name = named if isinstance(named, str) else named.name
            if name in uses and _is_for_units(uses[name]):
                where = (*entry.where, "reauthorize", index)
                yield where, f"{name!r} is for units, and the audience has natural persons: make an item for each"


def _is_for_units(use: str) -> bool:
    try:
        part = import_part(use)
    except PartUnusableError:  # part_rules.py tells that
        return False
    return issubclass(part, Reauthorizer) and part.units_only


def find_bodies_too_large(catalogue: Catalogue, static: StaticSettings) -> Iterator[Finding]:
    """What an item lets in, its ferry can carry."""
    for entry in catalogue.items:
        system = catalogue.system(entry.value.system)
        own = entry.value.limits.body
        largest = static.limits.body if own is None else own
        if isinstance(system, FerrySettings) and largest > system.message:
            said = "the item's" if own is not None else "the gateway's own limit of"
            yield (
                (*entry.where, "limits", "body"),
                f"{said} {largest} bytes do not fit a message of {system.message} bytes",
            )


_RATES = {"channels": ("rate", "client_rate"), "items": ("limits.rate", "limits.subject_rate")}


def places_of_shared_state(catalogue: Catalogue) -> Iterator[Where]:
    """Everything that every worker would have to count or remember together."""
    if catalogue.settings is not None and catalogue.settings.client_rate is not None:
        yield ("client_rate",)
    for key, rates in _RATES.items():
        entries: list[Entry[ItemSettings]] = getattr(catalogue, key)
        for entry in entries:
            yield from ((*entry.where, *rate.split(".")) for rate in rates if attrgetter(rate)(entry.value) is not None)
