"""``python -m bench``: which contestants and measures, how long, and where the results go."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from rich.console import Console

from bench import chart, machine, report
from bench.contestants import CONTESTANTS, TONGGUAN
from bench.contestants.base import Contestant
from bench.context import Bench, Measure
from bench.measures import MEASURES
from bench.results import Report, Section
from bench.trials import Announce
from bench.world import JWKS_PATH, PERSONS, Cores, World, make_issuer, start_backend

_RESULTS = Path(__file__).parent / "results"
_NEEDED = {"wrk": "wrk", "nginx": "nginx-light", "taskset": "util-linux", "setpriv": "util-linux"}
_EPILOG = """\b
Examples:
  python -m bench --quick                     does everything work here? about a minute
  python -m bench                             the full run; leave the machine alone meanwhile
  python -m bench --measure throughput --only tongguan,envoy,nginx
  python -m bench --measure idle --measure bulk --out /tmp/mine

Every server is alone on one core with one worker; load and back end are on another. Contestants take turns
(A B A B ...), and each ratio is formed round by round. What is not installed is left out, and named."""


def _names(known: Iterable[str]) -> Callable[[click.Context, click.Parameter, str | None], Sequence[str]]:
    """Check a comma-separated option against the names there are."""
    allowed = list(known)

    def split(context: click.Context, parameter: click.Parameter, value: str | None) -> Sequence[str]:
        names = [name.strip() for name in (value or "").split(",") if name.strip()]
        if unknown := [name for name in names if name not in allowed]:
            raise click.BadParameter(f"no {', '.join(unknown)}; there are: {', '.join(allowed)}", context, parameter)
        return names

    return split


@click.command(epilog=_EPILOG, context_settings={"max_content_width": 110})
@click.option("--quick", is_flag=True, help="One short round with small sizes; the figures mean little.")
@click.option(
    "--only", callback=_names(one.name for one in CONTESTANTS), metavar="NAME,..", help="Only these contestants."
)
@click.option(
    "--measure",
    "measures",
    multiple=True,
    type=click.Choice([measure.name for measure in MEASURES]),
    help="Only this measure; may be given more than once. Default: all that are possible.",
)
@click.option("--seconds", type=click.IntRange(1, 60), help="Length of each burst of load.  [default: 4; quick: 1]")
@click.option("--rounds", type=click.IntRange(1, 50), help="Turns of each contestant.  [default: 5; quick: 1]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=_RESULTS,
    help="Where latest.json, latest.md and latest.svg go.  [default: bench/results]",
)
def main(
    quick: bool, only: Sequence[str], measures: Sequence[str], seconds: int | None, rounds: int | None, out: Path
) -> None:
    """Measure Tongguan and its peers side by side on this machine."""
    _refuse_without_programs()
    console = Console(stderr=True)
    chosen = [measure for measure in MEASURES if not measures or measure.name in measures]
    length, turns = seconds or (1 if quick else 4), rounds or (1 if quick else 5)
    cores, facts = Cores.of_this_machine(), machine.facts()
    doubts = machine.warnings(cores)
    for doubt in doubts:
        console.print(f"doubtful: {doubt}", style="bold red", markup=False)
    able, left_out = _muster(only)
    with _surroundings(cores) as (world, scratch), _progress(console) as announce:
        tongguan = TONGGUAN if TONGGUAN in able else None
        bench = Bench(world, scratch, length, turns, quick, able, tongguan, announce)
        sections = list(_run(bench, chosen, left_out))
    options: dict[str, str | int] = {"seconds": length, "rounds": turns, "quick": str(quick).lower()}
    finished = Report(facts, options, sections, left_out, doubts)
    report.show(finished, _paper())
    _write(finished, out)
    console.print(f"written: latest.json, latest.md and latest.svg in {out}", soft_wrap=True)


def _refuse_without_programs() -> None:
    missing = sorted({package for program, package in _NEEDED.items() if not shutil.which(program)})
    if missing:
        raise click.ClickException(f"the load needs these Debian packages: apt-get install {' '.join(missing)}")


def _muster(only: Sequence[str]) -> tuple[list[Contestant], dict[str, str]]:
    """Part the contestants into those that can run and the reasons of those that cannot."""
    able: list[Contestant] = []
    left_out: dict[str, str] = {}
    for contestant in CONTESTANTS:
        if only and contestant.name not in only:
            continue
        if reason := contestant.missing():
            left_out[contestant.name] = reason
        else:
            able.append(contestant)
    return able, left_out


def _run(bench: Bench, measures: Sequence[Measure], left_out: dict[str, str]) -> Iterator[Section]:
    for measure in measures:
        section = measure.run(replace(bench, announce=_prefixed(measure.name, bench.announce)))
        if section is None:
            left_out[f"measure {measure.name}"] = "whom it asks about is not here"
        else:
            yield section


def _prefixed(name: str, announce: Announce) -> Announce:
    return lambda step: announce(f"{name}: {step}")


@contextmanager
def _surroundings(cores: Cores) -> Iterator[tuple[World, Path]]:
    """Keep the back end running, and leave nothing behind however the run ends."""
    signal.signal(signal.SIGTERM, _end)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {cores.load})
    with tempfile.TemporaryDirectory(prefix="tongguan-bench-") as directory:
        scratch = Path(directory)
        issuer = make_issuer(scratch, PERSONS)
        backend = start_backend(scratch / "backend", cores.load, jwks=issuer.jwks)
        try:
            yield World(cores, issuer, backend.port, f"http://127.0.0.1:{backend.port}{JWKS_PATH}"), scratch
        finally:
            backend.stop()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


@contextmanager
def _progress(console: Console) -> Iterator[Announce]:
    """Show what is being measured: one changing line on a terminal, plain lines elsewhere."""
    if console.is_terminal:
        with console.status("starting", refresh_per_second=2) as status:
            yield status.update
    else:
        yield lambda step: console.print(step, markup=False, highlight=False)


def _paper() -> Console:
    """Print results as wide as the terminal is; into a file or pipe, as wide as the tables need."""
    console = Console()
    return console if console.is_terminal else Console(width=180)


def _write(finished: Report, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "latest.json").write_text(report.to_json(finished))
    (out / "latest.md").write_text(report.to_markdown(finished))
    for section in finished.sections:
        if section.name == "throughput":
            drawn = chart.draw(section, "rate", "Requests per second on one core: median, lowest to highest round")
            (out / "latest.svg").write_text(drawn)
