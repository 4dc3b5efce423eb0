"""Installed entry points of the group `tongguan.parts`: `use:` names them as it names a class of `plugins/`."""

import os
import subprocess
import sys

import pytest

from gateway.configuration.parts import PartUnusableError, available_parts, import_part

MODULE = """\
from gateway import Reauthorizer, ALLOW, Settings

class QueueConfig(Settings):
    counters: int = 3

class Queue(Reauthorizer[QueueConfig]):
    Config = QueueConfig

    async def decide(self, principal, visit):
        return ALLOW
"""
POINTS = """\
[tongguan.parts]
queue-of-{name} = queue_of_{name}:Queue
broken-of-{name} = queue_of_{name}:Nobody
"""


def install(folder, name):
    """What an installer leaves behind: a module, and a distribution's metadata beside it. Gives its path."""
    site = folder / "site"
    metadata = site / f"queue_of_{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: queue-of-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(POINTS.format(name=name))
    (site / f"queue_of_{name}.py").write_text(MODULE)
    return str(site)


def test_an_installed_entry_point_is_found_by_its_name(tmp_path, monkeypatch):
    """And listed with the parts that there are; one that cannot be loaded is not, and says why."""
    monkeypatch.syspath_prepend(install(tmp_path, "town"))
    part = import_part("queue-of-town")
    assert (part.__module__, part.__name__) == ("queue_of_town", "Queue")
    assert "queue-of-town" in available_parts()
    assert "broken-of-town" not in available_parts()
    with pytest.raises(PartUnusableError, match="entry point 'broken-of-town' cannot be loaded: AttributeError"):
        import_part("broken-of-town")
    with pytest.raises(PartUnusableError, match="no entry point 'queue-of-twon' is installed"):
        import_part("queue-of-twon")


def check(world, site):
    """`tongguan check`, as a process that finds what is installed there; gives exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "--config", str(world.path), "check"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([site, os.getcwd()])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_policy_names_an_installed_entry_point(world, tmp_path):
    """Its settings are checked like those of any other part."""
    site = install(tmp_path, "city")
    policy = (world.folder / "policy.yaml").read_text(encoding="utf-8")
    named = policy.replace("tests.configuration.config_parts:Hours", "queue-of-city")
    world.write("policy.yaml", named.replace("{opens: 8}", "{counters: 5}"))
    assert check(world, site)[0] == 0
    world.write("policy.yaml", named.replace("{opens: 8}", "{countres: 5}"))
    code, said = check(world, site)
    assert code == 2
    assert "'counters'" in said
