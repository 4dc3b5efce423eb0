"""The back office as a process: `tongguan console`. It shares the configuration and the ledger with the edge."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from gateway.configuration.loading import Loaded, load, policy_from
from gateway.configuration.office_rules import office_rules
from gateway.console.application import make_console
from gateway.console.comparing import Comparing
from gateway.console.listening import listening
from gateway.console.opening import open_console
from gateway.errors import ConfigurationError
from gateway.forward.making import make_forwarder
from gateway.ledger.acting import Office
from gateway.ledger.passwords import Passwords
from gateway.lending import ledger_of, signer_of
from gateway.office_settings import ConsoleSettings
from gateway.processes.foreground import logging_to, run_in_foreground
from gateway.processes.reloading import Source
from gateway.processes.serve import notify_systemd
from gateway.records.sink import Sink

_MISSING = "console: is missing from gateway.yaml; docs/console.md shows one"


def main_console(path: Path) -> int:
    """Run the back office in the foreground until SIGTERM or SIGINT; a second signal cuts off what is under way.

    Args:
        path: gateway.yaml.

    Returns:
        The exit code: CLEAN, FORCED or MISCONFIGURED (what is wrong is on stderr).
    """
    return run_in_foreground(lambda stop: run_console(path, stop=stop))


async def run_console(path: Path, *, stop: asyncio.Event) -> None:
    """Run the back office until `stop` is set, then drain.

    Raises:
        ConfigurationError: the configuration, the ledger or the address cannot be used; nothing was started.
    """
    loaded = load(path)
    settings = loaded.settings.console
    if settings is None:
        raise ConfigurationError([_MISSING])
    records = loaded.settings.records
    with logging_to(Sink(records.application, records.queue), part="console") as log:
        ledger = ledger_of(loaded.settings, log)
        if ledger is None:
            raise ConfigurationError([_MISSING])
        await ledger.start()
        try:
            await _run(path, loaded, settings, ledger.office, stop, log)
        finally:
            await ledger.close()


async def _run(
    path: Path, loaded: Loaded, settings: ConsoleSettings, office: Office, stop: asyncio.Event, log: Any
) -> None:
    static = loaded.settings
    make = partial(make_forwarder, signer=signer_of(static), log=log)
    comparing = Comparing(office, make, static.department)
    await _take_over(loaded.policy, settings, office, comparing)
    passwords = Passwords(settings.password_length)
    console = open_console(
        office, settings, comparing, passwords, log, trusted=static.trusted_proxies, limits=static.limits
    )
    await comparing.start()
    following = asyncio.create_task(_follow(path, loaded, settings, office, comparing, log))
    try:
        async with listening(make_console(console), settings.listen, static.drain) as address:
            sys.stderr.write(f"tongguan console listens on {address}, pid {os.getpid()}\n")
            notify_systemd("READY=1")
            await stop.wait()
            notify_systemd("STOPPING=1")
    finally:
        following.cancel()
        await comparing.stop()
        passwords.close()


async def _take_over(snapshot: bytes, settings: ConsoleSettings, office: Office, comparing: Comparing) -> None:
    """Go by this policy from now on.

    Raises:
        ConfigurationError: a system cannot be made; all is left as it was.
    """
    policy = policy_from(snapshot)
    rules = office_rules(policy, settings)
    await comparing.use(policy.systems)
    office.rules = rules


async def _follow(
    path: Path, loaded: Loaded, settings: ConsoleSettings, office: Office, comparing: Comparing, log: Any
) -> None:
    """Take over each change of the files. With mistakes in them the last good rules stay; the rest needs a restart."""
    source = Source(partial(load, path), loaded.files)
    while True:
        await source.changed()
        try:
            changed = await source.read()
            await _take_over(changed.policy, settings, office, comparing)
        except ConfigurationError as error:
            log.error("the changed configuration was refused", problems=error.problems)
        except Exception as exc:  # whatever broke, the next change is looked at again
            log.error("the changed configuration could not be taken over", exc_info=exc)
        else:
            log.info("the policy was taken over", revision=changed.revision)
