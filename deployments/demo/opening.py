"""The story's beginning: two shops, a hub, and the day they go live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_contracts.amounts import show_units
from deployments.demo.stage import HOME, SEED, Tally, heading, run_import, run_products
from deployments.output import say, show_table
from tasks.settings import Settings

if TYPE_CHECKING:
    from deployments.sample_store.tickets import Invoice


HISTORY = 200
"""Tickets each shop had rung before tillbridge came."""

OPEN_BEFORE = 3
"""Layaways each shop had open by then."""


def build_shops(settings: Settings, invoices: Sequence[Invoice]) -> None:
    """Two shops with the same goods, each with its share of the tickets and its own tax regime."""
    from deployments.sample_store.build import build_store
    from deployments.sample_store.store import SampleStore
    from deployments.sample_store.tickets import split_invoices

    heading("1", "Two shops with an RMS database each, filled from a real retailer's tickets")
    rows = []
    shares = split_invoices(invoices, len(settings.stores), SEED)
    for store_id, (code, share) in enumerate(zip(sorted(settings.stores), shares, strict=True), start=1):
        url = settings.rms_url(code)
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        in_prices = code == "LONDON"
        report = build_store(
            url,
            store_id=store_id,
            invoices=share,
            all_invoices=invoices,
            seed=SEED,
            tax_system=1 if in_prices else 0,
            tax_basis_points=2000 if in_prices else 625,
        )
        with SampleStore.open(url) as shop:
            history = shop.write_history(HISTORY, OPEN_BEFORE)
        rows.append(
            (
                code,
                settings.store(code).time_zone,
                "20%, in prices" if in_prices else "6.25%, on top",
                f"{report.items:,}",
                f"{report.invoices:,}",
                f"{len(history):,}",
            )
        )
    show_table(("shop", "time zone", "tax", "items", "to ring", "rung before"), rows)


def set_up_hub(settings: Settings, invoices: Sequence[Invoice]) -> None:
    """The hub: its tables, its warehouses, its catalogue."""
    from deployments.sample_store.catalog import write_catalog
    from tasks.hub.database import migrate, open_hub
    from tasks.hub.registry import configure
    from tasks.use_cases.catalog import import_catalog

    heading("2", "The hub gets its tables, a warehouse for each shop and the catalogue")
    migrate(settings.hub_url)
    with open_hub(settings.hub_url) as hub:
        configure(hub, settings)
    write_catalog(HOME / "catalog.csv", invoices)
    report = import_catalog(settings, HOME / "catalog.csv")
    say(f"{report.created:,} products read from .demo/catalog.csv, {report.refused} left out.")
    click.echo()


def go_live(settings: Settings, tally: Tally, port: int) -> None:
    """Baseline both shops and take the opening stock in."""
    from tasks.use_cases.baselining import baseline_store

    heading("4", "Go-live: each shop is baselined; what it rings from here on travels")
    say(
        f"It travels over SFTP: a small server on port {port} of this machine shows the folder "
        ".demo/exchange. Its host key is pinned in the settings, shops and hub log in with a key."
    )
    click.echo()
    rows = []
    for code in sorted(settings.stores):
        report = baseline_store(settings, code, stock_from_rms=True)
        rows.append(
            (
                code,
                report.start.ticket_number,
                f"{report.items:,}",
                show_units(report.units),
                report.open_orders,
            )
        )
    show_table(("shop", "live after ticket", "items in stock", "opening stock", "open layaways"), rows)
    imported = run_import(tally)
    say(
        f"The hub took in {len(imported.batches)} baselines; older tickets are history and never booked. "
        "Layaways that are open travel with the first export: their goods are set aside in the hub, too."
    )
    click.echo()


def fill_tills(settings: Settings, tally: Tally) -> None:
    """The catalogue reaches the tills, which have it already."""
    heading("5", "The hub's catalogue goes to the tills, so that all of it can be sold there")
    applied = run_products(settings, tally)
    states = ("created", "updated", "unchanged", "refused")
    show_table(
        ("shop", *states),
        [(code, *(f"{report.count(state):,}" for state in states)) for code, report in applied.items()],
    )
    say(
        "They have them all, as the hub does: nothing was written. Of what the hub has nothing, and of "
        "quantities, bins and reorder points, the shop's own word counts."
    )
    click.echo()
