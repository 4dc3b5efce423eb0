"""A worker that is killed: `python -m tests.ledger.killed_worker URL`, fed by test_ledger_kills.py.

Each line of input (JSON) has one more child forked, which changes the ledger step by step until somebody kills it: what
takes long, importing, is done once. The child tells its process id, then a dot for each step that is done.
"""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

from gateway.ledger import open_ledger
from gateway.ledger.inputs.claims import BindingInput
from gateway.ledger.inputs.switches import SwitchInput
from gateway.ledger.values import Officer
from tests.ledger.grants_world import PENSION, TRAINING, Scene, Unit, asked
from tests.plugin_world import NOW


def main() -> None:
    open_ledger(sys.argv[1], Path()).database.open(create=False)  # imports the driver; connects to nothing
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            say(f"{os.getpid()}\n")
            asyncio.run(work(sys.argv[1], **order))
        os.waitpid(child, 0)
        say("\ndead\n")


def say(text: str) -> None:
    os.write(1, text.encode())


SETTINGS = ["open", "left", "closed"]


async def work(url: str, seed: int, staff: list[dict], units: list[dict]) -> None:
    async def open_office():
        ledger = open_ledger(url, Path(), clock=lambda: NOW)
        await ledger.start()
        return ledger.office

    scene = await Scene(open_office, [Officer(**one) for one in staff]).begin()
    chance = random.Random(seed)
    while True:
        await step(scene, Unit(**chance.choice(units)), chance)
        say(".")


async def step(scene, unit, chance):
    """One change of a unit, whatever comes next there; now and then another one."""
    choices = [
        lambda: scene.switches.set(unit.owners[2], SwitchInput(item=PENSION, setting=chance.choice(SETTINGS))),
        next_of_grant(scene, unit, (await scene.grants.of(unit.owners[0])).found),
        next_of_binding(scene, unit, (await scene.bindings.of_party(scene.clerk, unit.id)).found, chance),
    ]
    await chance.choices(choices, weights=[1, 4, 4])[0]()


def next_of_grant(scene, unit, grants):
    grant = next((one for one in grants if one.state != "ended"), None)
    if grant is None:
        return lambda: scene.grants.propose(scene.clerk, unit.id, asked(unit, PENSION, TRAINING, exclusive=True))
    if grant.state == "proposed":
        return lambda: scene.grants.approve(scene.reviewer, grant.id, grant.version)
    if grant.state == "offered":
        return lambda: scene.grants.accept(unit.owners[0], grant.id)
    return lambda: scene.grants.end(scene.clerk, grant.id, "样例", grant.version)


def next_of_binding(scene, unit, bindings, chance):
    binding = next((one for one in bindings if one.state != "ended"), None)
    if binding is None:
        given = BindingInput(system="social", local_id=f"{chance.randrange(10**19):020d}")
        return lambda: scene.bindings.propose(scene.clerk, unit.id, given)
    if binding.state == "proposed":
        return lambda: scene.bindings.approve(scene.reviewer, binding.id, binding.version)
    return lambda: scene.bindings.end(scene.reviewer, binding.id, "样例", binding.version)


if __name__ == "__main__":
    main()
