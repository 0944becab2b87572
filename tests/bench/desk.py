"""`python -m tests.bench.desk`: what `tillbridge up` costs and how soon a ticket is in the hub (Linux).

`ringing`: `up --demo` runs for real; for each of ten tickets the time from when it is in RMS to when it is
in the hub. `idle`: the CPU seconds of `up` and all its processes over some minutes in which nothing is rung,
extrapolated to a day. Databases are only read from here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from deployments.demo.shops import HOME, open_shops
from deployments.output import show_table
from tests.deployments.desk import command, environment

STORES = ("BOSTON", "LONDON")
START_SECONDS = 300
DAY = 86_400


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(prog="tests.bench.desk", description=__doc__)
    parser.add_argument("what", choices=("ringing", "idle"))
    parser.add_argument("--tickets", type=int, default=10)
    parser.add_argument("--every", type=float, help="seconds; of the long-lived process")
    parser.add_argument("--settle", type=float, default=90, help="seconds before idle is measured")
    parser.add_argument("--minutes", type=float, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "ringing":
            _ringing(Path(folder), options.tickets)
        else:
            _idle(Path(folder), options.every, options.settle, options.minutes)


def _ringing(folder: Path, tickets: int) -> None:
    home = folder / HOME
    rung: dict[tuple[str, int], float] = {}
    booked: dict[tuple[str, int], float] = {}
    with _up(folder, "--demo"):
        before = {key for store in STORES for key in _rung(home, store)}
        while len(booked) < tickets:
            now = time.monotonic()
            for key in {key for store in STORES for key in _rung(home, store)} - before:
                rung.setdefault(key, now)
            for key in _booked(home) & rung.keys():
                booked.setdefault(key, now)
            time.sleep(0.25)
    waits = sorted(booked[key] - rung[key] for key in booked)[:tickets]
    show_table(
        ("tickets", "median s", "worst s"), [(len(waits), f"{median(waits):.0f}", f"{max(waits):.0f}")]
    )


def _idle(folder: Path, every: float | None, settle: float, minutes: float) -> None:
    config = open_shops(folder / "shops")
    arguments = ("--config", str(config), "up", *(() if every is None else ("--every", str(every))))
    with _up(folder, *arguments) as process:
        time.sleep(settle)
        first, began = _cpu_seconds(process.pid), time.monotonic()
        time.sleep(minutes * 60)
        used, passed = _cpu_seconds(process.pid) - first, time.monotonic() - began
    show_table(
        ("every", "minutes", "CPU s", "CPU s a day"),
        [(every or "5 minutes", f"{passed / 60:.1f}", f"{used:.0f}", f"{used * DAY / passed:,.0f}")],
    )


@contextlib.contextmanager
def _up(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`tillbridge up`, ready to serve; stopped as by Ctrl-C."""
    if "up" not in arguments:
        arguments = ("up", *arguments)
    process = subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Prefect UI" in line:
                break
        else:
            raise SystemExit("`tillbridge up` did not start")
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_SECONDS)


def _rung(home: Path, store: str) -> Iterator[tuple[str, int]]:
    query = 'SELECT TransactionNumber FROM "Transaction"'
    yield from ((store, int(number)) for (number,) in _read(home / "stores" / store / "rms.db", query))


def _booked(home: Path) -> set[tuple[str, int]]:
    query = "SELECT store, number FROM documents WHERE source = 'ticket'"
    return {(store, int(number)) for store, number in _read(home / "hub.db", query)}


def _read(file: Path, query: str) -> Sequence[tuple[str, ...]]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    with contextlib.closing(connection):
        return connection.execute(query).fetchall()


def _cpu_seconds(pid: int) -> float:
    """CPU of a process and its children, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    own = sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    for thread in threads:
        if thread.name != str(pid):
            children += (thread / "children").read_text(encoding="ascii").split()
    return own + sum(_cpu_seconds(int(child)) for child in children)


if __name__ == "__main__":
    main()
