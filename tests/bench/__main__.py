"""`make bench`: RMS -> batch -> folder -> validation -> hub on 200,000 lines, stage by stage.

Each stage runs in a process of its own, so that its CPU seconds and its peak memory are its own; the
import of the libraries is part of the process and shown apart. The floor is the least that could be
done with the same lines: read them, write one CSV, bulk-load it into one table with a primary key,
durably, without a single rule.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deployments.output import show_table

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".bench"
STORE = "S1"
HUB_VARIABLE = "TILLBRIDGE_TEST_HUB_URL"


def main() -> None:
    """Run all stages on SQLite, and on PostgreSQL where a server is named."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        _run_stage(options.stage, options.lines)
        return
    rows = []
    hubs = [("sqlite", f"sqlite:///{HOME / 'hub.db'}")]
    if server := os.environ.get(HUB_VARIABLE):
        hubs.append(("postgresql", server))
    for name, url in hubs:
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir()
        _write_config(url)
        for stage in (
            "prepare",
            "floor",
            "export",
            "fetch",
            "validate",
            "import",
            "replay",
            "statement",
            "reconcile",
        ):
            figures = _measure(stage, options.lines, url)
            if stage != "prepare":
                rows.append((name, stage, *figures))
    show_table(("hub", "stage", "seconds", "start-up", "CPU s", "peak MB", "lines/s"), rows)


def _measure(stage: str, lines: int, url: str) -> tuple[str, ...]:
    """Wall seconds inside the stage, start-up, CPU seconds and peak memory of its process."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench", "--stage", stage, "--lines", str(lines)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "TILLBRIDGE_BENCH_HUB": url, "TILLBRIDGE_CONFIG": str(HOME / "tillbridge.toml")},
    )
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    wall = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"stage {stage} failed")
    inner = json.loads(answer)["seconds"]
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    return (
        f"{inner:.2f}",
        f"{wall - inner:.2f}",
        f"{usage.ru_utime + usage.ru_stime:.2f}",
        f"{peak:.0f}",
        f"{lines / inner:,.0f}",
    )


def _run_stage(stage: str, lines: int) -> None:
    work = _STAGES[stage](lines)
    began = time.perf_counter()
    work()
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began}))


def _write_config(hub_url: str) -> None:
    (HOME / "tillbridge.toml").write_text(
        f'[hub]\nurl = "{hub_url}"\n[warehouses.{STORE}]\n[stores.{STORE}]\n'
        f'rms_url = "sqlite:///rms.db"\ntime_zone = "Europe/London"\nwarehouse = "{STORE}"\n',
        encoding="utf-8",
    )


def _prepare(lines: int) -> Callable[[], None]:
    """An RMS with items only, a baselined hub with the catalogue, then the tickets in bulk."""

    def work() -> None:
        from deployments.sample_store import bulk, marker, ring
        from deployments.sample_store.build import build_store
        from deployments.sample_store.catalog import write_catalog
        from deployments.sample_store.tickets import read_invoices
        from tasks.hub.database import migrate, open_hub
        from tasks.hub.registry import configure
        from tasks.settings import load_settings
        from tasks.use_cases.baselining import baseline_store
        from tasks.use_cases.catalog import import_catalog
        from tasks.use_cases.importing import import_waiting

        settings = load_settings()
        if settings.hub_url.startswith("postgresql"):
            _empty_postgres(settings.hub_url)
        invoices = read_invoices()
        build_store(settings.rms_url(STORE), store_id=1, invoices=invoices, seed=1)
        migrate(settings.hub_url)
        with open_hub(settings.hub_url) as hub:
            configure(hub, settings)
        write_catalog(HOME / "catalog.csv", invoices)
        import_catalog(settings, HOME / "catalog.csv")
        baseline_store(settings, STORE, stock_from_rms=True)
        import_waiting(settings)
        engine = marker.sample_engine(settings.rms_url(STORE))
        with engine.begin() as connection:
            shop = ring.read_shop(connection)
            bulk.write_tickets(connection, shop, ring.read_items(connection), seed=1, lines=lines)
        engine.dispose()

    return work


def _empty_postgres(url: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    engine.dispose()


def _floor(lines: int) -> Callable[[], None]:
    import sqlite3

    from tasks.settings import load_settings

    settings = load_settings()
    columns = ("TransactionNumber", "ID", "ItemID", "Quantity", "Price", "SalesTax")

    def work() -> None:
        target = HOME / "floor.csv"
        source = sqlite3.connect(HOME / "rms.db")
        with target.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerows(source.execute(f"SELECT {', '.join(columns)} FROM TransactionEntry"))
        source.close()
        if settings.hub_url.startswith("postgresql"):
            import psycopg

            with psycopg.connect(settings.hub_url.replace("postgresql+psycopg", "postgresql")) as server:
                server.execute("DROP TABLE IF EXISTS floor")
                server.execute(
                    "CREATE TABLE floor (number bigint, id bigint PRIMARY KEY, item bigint,"
                    " quantity numeric(19,4), price bigint, tax bigint)"
                )
                with server.cursor().copy("COPY floor FROM STDIN (FORMAT csv)") as copy:
                    copy.write(target.read_bytes())
            return
        with sqlite3.connect(HOME / "floor.db") as connection, target.open(newline="") as stream:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(
                "CREATE TABLE floor"
                " (number INTEGER, id INTEGER PRIMARY KEY, item INTEGER, quantity, price, tax)"
            )
            connection.executemany("INSERT INTO floor VALUES (?, ?, ?, ?, ?, ?)", csv.reader(stream))
        connection.close()

    return work


def _export(lines: int) -> Callable[[], None]:
    import tasks.rms.tickets  # noqa: F401 - the start-up, shown apart
    from tasks.settings import load_settings
    from tasks.use_cases.exporting import export_orders

    settings = load_settings()
    return lambda: _expect(export_orders(settings, STORE).lines, lines)


def _fetch(_lines: int) -> Callable[[], None]:
    from tasks.settings import load_settings
    from tasks.use_cases import arrivals, importing

    settings = load_settings()

    def work() -> None:
        for refs in arrivals.find_waiting(settings).values():
            importing.fetch_batches(settings, refs)

    return work


def _validate(_lines: int) -> Callable[[], None]:
    import great_expectations  # noqa: F401 - the start-up, shown apart

    from tasks.settings import load_settings
    from tasks.use_cases import arrivals, importing

    settings = load_settings()
    refs = arrivals.find_waiting(settings)[STORE]
    return lambda: _expect(len(importing.validate_batches(settings, refs)), len(refs))


def _import(_lines: int) -> Callable[[], None]:
    import tasks.hub.importer  # noqa: F401 - the start-up, shown apart
    from tasks.settings import load_settings
    from tasks.use_cases import arrivals, importing

    settings = load_settings()
    refs = arrivals.find_waiting(settings)[STORE]
    shutil.copytree(HOME / "exchange" / STORE / "orders", HOME / "again")

    def work() -> None:
        done = importing.import_batches(settings, refs)
        _expect(sum(batch.accepted for batch in done), sum(batch.documents for batch in done))

    return work


def _replay(_lines: int) -> Callable[[], None]:
    from tasks.settings import load_settings
    from tasks.use_cases import importing

    settings = load_settings()
    for file in (HOME / "again").glob("0*"):
        shutil.copy(file, HOME / "exchange" / STORE / "orders" / file.name)

    def work() -> None:
        summary = importing.import_waiting(settings)
        _expect(summary.accepted, 0)
        _expect(len(summary.failures), 0)

    return work


def _statement(_lines: int) -> Callable[[], None]:
    import tasks.rms.tickets  # noqa: F401
    from tasks.settings import load_settings
    from tasks.use_cases.stating import publish_statement

    settings = load_settings()

    def work() -> None:
        publish_statement(settings, STORE, days=None)

    return work


def _reconcile(_lines: int) -> Callable[[], None]:
    from tasks.settings import load_settings
    from tasks.use_cases.importing import import_waiting
    from tasks.use_cases.reconciling import reconcile_stores

    settings = load_settings()
    import_waiting(settings)
    return lambda: _expect(reconcile_stores(settings).unexplained, 0)


def _expect(found: int, expected: int) -> None:
    """A result counts only if it is right."""
    if found != expected:
        raise SystemExit(f"wrong result: {found} instead of {expected}")


_STAGES: dict[str, Callable[[int], Callable[[], None]]] = {
    "prepare": _prepare,
    "floor": _floor,
    "export": _export,
    "fetch": _fetch,
    "validate": _validate,
    "import": _import,
    "replay": _replay,
    "statement": _statement,
    "reconcile": _reconcile,
}

if __name__ == "__main__":
    main()
