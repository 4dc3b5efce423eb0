"""Whatever an editor does to the shipped files: a configuration, or problems with file and line; nothing else."""

import copy
import random
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.configuration.loading import load
from gateway.errors import ConfigurationError

SHIPPED = Path(__file__).parents[2] / "config"
FILES = ("gateway.yaml", "policy.yaml", "items/social-insurance.yaml")

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["5s", "64KiB", "30/minute", "web", "guides", "unix:/x", "0.0.0.0/0", "/a/{b}", "os:path"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["name", "$env", "$file", "use", "a\nb"]), st.text(max_size=5), max_size=2),
)
actions = st.sampled_from(["set", "drop", "double", "add"])
bytes_put = st.binary(max_size=8) | st.text(":-[]{}&*!\n \t#'\"", max_size=8).map(str.encode)

many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shipped(tmp_path, shipped_secrets):
    (tmp_path / "items").mkdir()
    for name in FILES:
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    return tmp_path


@many
@given(file=st.sampled_from(FILES), seed=st.randoms(use_true_random=False), value=values, action=actions)
def test_a_changed_value_loads_or_is_told_with_its_file(shipped, file, seed, value, action):
    data = yaml.safe_load((SHIPPED / file).read_bytes())
    changed = mutate(data, seed, value, action)
    expect_configuration_or_problems(shipped, file, msgspec.json.encode(changed))


@many
@given(file=st.sampled_from(FILES), at=st.floats(0, 1), cut=st.integers(0, 40), put=bytes_put)
def test_a_changed_byte_loads_or_is_told_with_its_file(shipped, file, at, cut, put):
    content = (SHIPPED / file).read_bytes()
    start = int(at * len(content))
    expect_configuration_or_problems(shipped, file, content[:start] + put + content[start + cut :])


def expect_configuration_or_problems(folder: Path, file: str, content: bytes) -> None:
    original = (folder / file).read_bytes()
    (folder / file).write_bytes(content)
    problems = problems_of(folder / "gateway.yaml")
    (folder / file).write_bytes(original)

    assert problems != []
    assert all(len(problem.splitlines()) == 1 for problem in problems or ())


def problems_of(path: Path) -> list[str] | None:
    try:
        load(path)
    except ConfigurationError as error:
        return error.problems
    return None


def mutate(data, seed: random.Random, value, action: str):
    data = copy.deepcopy(data)
    holders = list(containers(data))
    holder = seed.choice(holders)
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if isinstance(holder, dict) and (not keys or action == "add"):
        holder["added"] = value
    elif not keys or action == "add":
        holder.append(value)
    elif action == "drop":
        del holder[seed.choice(keys)]
    elif action == "double" and isinstance(holder, list):
        holder.append(copy.deepcopy(seed.choice(holder)))
    else:
        holder[seed.choice(keys)] = value
    return data


def containers(value):
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)
