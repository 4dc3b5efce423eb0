"""The gateway package: what it hands out to plugins is there, once, and nothing is imported before it is needed."""

import subprocess
import sys

import gateway


def test_every_name_that_is_handed_out_can_be_had():
    assert all(getattr(gateway, name) is not None for name in gateway.__all__)


def test_the_list_and_the_homes_say_the_same():
    assert sorted(gateway.__all__) == sorted(gateway._HOME)


def test_a_name_that_is_not_handed_out_is_an_attribute_error():
    assert not hasattr(gateway, "Pipelines")


def test_importing_the_package_imports_no_part_of_it():
    program = "import gateway, sys; print([name for name in sys.modules if name.startswith('gateway.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
