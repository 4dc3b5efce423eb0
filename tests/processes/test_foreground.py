"""A process in the foreground: which signals end it, and with which exit code."""

import subprocess
import sys

import pytest

PROGRAM = """\
import asyncio
import os
import signal
import sys

from gateway.processes.foreground import run_in_foreground


async def run(stop):
    for name in sys.argv[1:]:
        os.kill(os.getpid(), signal.Signals[name])
        await asyncio.sleep(0.02)
    await stop.wait()


sys.exit(run_in_foreground(run))
"""


@pytest.mark.parametrize(
    ("signals", "code"),
    [(["SIGTERM"], 0), (["SIGHUP", "SIGUSR1", "SIGINT"], 0), (["SIGTERM", "SIGTERM"], 1)],
    ids=["to stop", "of a reload and a rotation before it", "to stop twice"],
)
def test_only_signals_to_stop_end_it(signals, code):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *signals], check=False, timeout=20)
    assert done.returncode == code
