"""`make bench-empty`: what a run costs that finds nothing to do, beside a bare Prefect flow.

Each run is a process of its own against a server that is up already: CPU seconds (user and system) of that
process, the median of some rounds in which all kinds take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deployments.output import show_table
from deployments.prefect_server import running_server
from tasks.settings import CONFIG_VARIABLE
from tests.scenarios.installation import install

ROOT = Path(__file__).resolve().parents[2]
RUNS = {
    "bare flow": "from prefect import flow\n@flow\ndef bare(): pass\nbare()",
    "bare flow with a task and a parameter": (
        "from prefect import flow, task\n@task\ndef step(): pass\n"
        "@flow\ndef bare(number: int = 1): step()\nbare()"
    ),
    "import-orders, nothing waits": "from flows.import_orders import import_orders\nimport_orders()",
    "export-orders, nothing rung": (
        "from data_contracts.parameters import ExportScope\nfrom flows.export_orders import export_orders\n"
        "export_orders(ExportScope(store='S1'))"
    ),
    "advance-layaways, nothing waits": (
        "from flows.advance_layaways import advance_layaways\nadvance_layaways()"
    ),
}


def main() -> None:
    """Measure and show a table."""
    parser = argparse.ArgumentParser(prog="make bench-empty", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shops = install(folder, "sqlite:///hub.db", invoices=14, history=4)
        shops.go_live()
        shops.ring_all(3)
        shops.cycle()
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in RUNS}
        with running_server(folder / "prefect"):
            os.environ[CONFIG_VARIABLE] = str(folder / "tillbridge.toml")
            for code in RUNS.values():
                _run(code)  # what is compiled or created but once
            for _ in range(rounds):
                for kind, code in RUNS.items():
                    measured[kind].append(_run(code))
    bare = statistics.median(cpu for cpu, _ in measured["bare flow"])
    rows = []
    for kind, figures in measured.items():
        cpu, wall = (statistics.median(column) for column in zip(*figures, strict=True))
        rows.append((kind, f"{cpu:.2f}", f"{cpu - bare:+.2f}", f"{wall:.2f}"))
    show_table(("run", "CPU s", "beyond the bare flow", "seconds"), rows)


def _run(code: str) -> tuple[float, float]:
    """CPU and wall seconds of a process that runs some Python."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise SystemExit(said.decode())
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began


if __name__ == "__main__":
    main()
