"""The story's end: the hub against the shops, and what was moved."""

from __future__ import annotations

import time

import click
from sqlalchemy import select

from data_contracts.amounts import SCALE
from data_contracts.documents import sku_key
from deployments.demo.stage import Tally, heading, open_shop, run_import
from deployments.output import say, show_table
from tasks.settings import Settings


def prove(settings: Settings, tally: Tally) -> int:
    """Statements against the hub; returns how much is unexplained."""
    from data_contracts.parameters import StatementScope
    from deployments.reports import show_reconciliation
    from flows.publish_statement import publish_statement
    from flows.reconcile import reconcile
    from tasks.use_cases.reconciling import Reconciliation

    heading("13", "Each shop states what it has; the hub compares, to the unit and the cent")
    compare_shelves(settings, tally)
    for code in sorted(settings.stores):
        started = time.monotonic()
        publish_statement(StatementScope(store=code, days=None))
        tally.timed("publish-statement", started)
    run_import(tally)
    started = time.monotonic()
    state = reconcile(return_state=True)
    tally.timed("reconcile", started)
    result = state.result(raise_on_failure=False)
    if isinstance(result, Reconciliation):
        show_reconciliation(result)
        return result.unexplained
    from tasks.use_cases.reconciling import reconcile_stores

    failed = reconcile_stores(settings)
    show_reconciliation(failed)
    return failed.unexplained


def compare_shelves(settings: Settings, tally: Tally) -> None:
    """Stock item by item: what lies in each shop against the hub's warehouse of it."""
    from tasks.hub.database import open_hub
    from tasks.hub.schema import stock_levels
    from tasks.rms.tables import item

    of_shop = select(item.c.ItemLookupCode, item.c.Quantity).where(item.c.Quantity != 0)
    apart = []
    agreed = 0
    for code in sorted(settings.stores):
        in_hub = select(stock_levels.c.sku, stock_levels.c.physical).where(stock_levels.c.warehouse == code)
        with open_hub(settings.hub_url) as hub, hub.reading() as connection:
            levels = {sku_key(sku): units for sku, units in connection.execute(in_hub) if units}
        with open_shop(settings, code) as shop, shop.engine.connect() as connection:
            on_hand = {sku_key(sku): round(units * SCALE) for sku, units in connection.execute(of_shop)}
        differing = {sku for sku in levels.keys() | on_hand if levels.get(sku) != on_hand.get(sku)}
        agreed += len(levels.keys() | on_hand) - len(differing)
        apart += [f"{sku} in {code}" for sku in sorted(differing)]
    number, typed, sold = tally.corrected
    say(
        f"{agreed:,} items lie in the same number in the shops and in the hub; apart: {', '.join(apart)}. "
        f"That is ticket {number}: corrected in the hub, RMS still has {typed} sold and {sold} on the shelf."
    )
    click.echo()


def last_page(tally: Tally, seconds: float, unexplained: int) -> None:
    """What was moved, how fast, and where to look."""
    click.echo()
    heading("14", "What was moved, how fast, and where to look")
    show_table(
        ("flow", "runs", "seconds in all"),
        [(name, tally.runs[name], f"{taken:.1f}") for name, taken in sorted(tally.seconds.items())],
    )
    say(
        f"{tally.tickets:,} tickets, {tally.lines:,} lines and {tally.orders} snapshots of orders in "
        f"{tally.batches} batches, {tally.products:,} items written at the tills, "
        f"{sum(tally.runs.values())} flow runs, {seconds:.0f} s in all."
    )
    click.echo()
    show_table(
        ("look at", "where"),
        [
            ("the hub", ".demo/hub.db, views reporting_* (docs/reporting-views.md)"),
            ("the batches", ".demo/exchange/<shop>/orders/archive/"),
            ("the shops", ".demo/stores/<shop>/rms.db"),
            ("the flow runs", "make ui"),
            ("the same by hand", ".venv/bin/tillbridge --config .demo/tillbridge.toml status"),
        ],
    )
    click.echo(click.style(f"{unexplained} unexplained", bold=True, fg="red" if unexplained else "green"))
