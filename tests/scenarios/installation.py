"""A whole installation for a test: shops with real tickets, an exchange folder, a hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from data_contracts.amounts import SCALE
from deployments.sample_store.build import build_store
from deployments.sample_store.catalog import write_catalog
from deployments.sample_store.store import SampleStore
from deployments.sample_store.tickets import Invoice, read_invoices, split_invoices
from tasks.hub.database import migrate, open_hub
from tasks.hub.registry import configure
from tasks.settings import Settings, load_settings
from tasks.use_cases.arrivals import ImportSummary
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.catalog import import_catalog
from tasks.use_cases.exporting import export_orders
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.reconciling import Reconciliation, reconcile_stores
from tasks.use_cases.stating import publish_statement

SEED = 7
STORES = ("S1", "S2")


@dataclass
class Installation:
    """Settings and the handles a story needs."""

    settings: Settings
    folder: Path
    invoices: Sequence[Invoice]

    def shop(self, code: str) -> SampleStore:
        """A shop's database, to ring in."""
        return SampleStore.open(self.settings.rms_url(code))

    def go_live(self) -> None:
        """Catalogue, baselines with stock, both in the hub."""
        write_catalog(self.folder / "catalog.csv", self.invoices)
        import_catalog(self.settings, self.folder / "catalog.csv")
        for code in self.settings.stores:
            baseline_store(self.settings, code, stock_from_rms=True)
        assert import_waiting(self.settings).failures == {}

    def ring_all(self, count: int = 10_000) -> None:
        """Ring the next `count` entries of each shop's script."""
        for code in self.settings.stores:
            with self.shop(code) as shop:
                shop.ring_next(count)

    def cycle(self, *, sweep: bool = False) -> ImportSummary:
        """Export every store, then import what waits."""
        for code in self.settings.stores:
            export_orders(self.settings, code, sweep=sweep)
        return import_waiting(self.settings)

    def reconcile(self) -> Reconciliation:
        """Statements of all stores since their baselines against the hub."""
        for code in self.settings.stores:
            publish_statement(self.settings, code, days=None)
        import_waiting(self.settings)
        return reconcile_stores(self.settings)

    def ask(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the hub's database."""
        return _ask(self.settings.hub_url, sql, **parameters)

    def ask_rms(self, code: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a shop's RMS database."""
        return _ask(self.settings.rms_url(code), sql)

    def figures(self) -> dict[str, list[tuple[Any, ...]]]:
        """All the hub knows, as the reporting views show it, without the names of batches."""
        views = {
            "reporting_orders": "*",
            "reporting_order_lines": "*",
            "reporting_tickets": "store, epoch, transaction_number, kind, order_id, business_date, z_batch, "
            "register, lines, units, net, tax, total, state",
            "reporting_tenders": "*",
            "reporting_layaways": "*",
            "reporting_deposits": "*",
            "reporting_order_numbers": "*",
            "reporting_stock": "*",
            "reporting_stock_movements": "warehouse, sku, physical_delta, reserved_delta, cause, store, "
            "document, order_id",
            "reporting_quarantine": "store, document, rule, message, units, total, state",
        }
        return {
            view: sorted(self.ask(f"SELECT {columns} FROM {view}"), key=repr)
            for view, columns in views.items()
        }


def _ask(url: str, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), parameters)]
    finally:
        engine.dispose()


def install(
    folder: Path,
    hub_url: str,
    *,
    invoices: int = 60,
    history: int = 20,
    lookback: int = 5_000,
    orders: bool = False,
    open_orders: int = 0,
    rms_urls: Mapping[str, str] | None = None,
    codes: Sequence[str] = STORES,
) -> Installation:
    """Shops (two unless `codes` says others) with their share of the first invoices, a migrated hub.

    Nothing is live yet.

    With `orders` the shops' scripts have layaways, backorders, work orders and quotes as well; some
    `open_orders` are there before they go live. `rms_urls` are the shops' databases; none makes files.
    """
    chosen = read_invoices()[:invoices]
    lines = [f'[hub]\nurl = "{hub_url}"\n']
    for place, code in enumerate(codes, start=1):
        name = 'name = "Second"\n' if place == 2 else ""
        lines.append(
            f"[warehouses.{code}]\n{name}"
            f'[stores.{code}]\nrms_url = "{(rms_urls or {}).get(code) or f"sqlite:///{code}/rms.db"}"\n'
            'time_zone = "Europe/London"\n'
            f'warehouse = "{code}"\nnumber_lookback = {lookback}\n'
        )
    file = folder / "tillbridge.toml"
    file.write_text("".join(lines), encoding="utf-8")
    settings = load_settings(file)
    for store_id, (code, share) in enumerate(
        zip(codes, split_invoices(chosen, len(codes), SEED), strict=True), start=1
    ):
        (folder / code).mkdir()
        build_store(
            settings.rms_url(code),
            store_id=store_id,
            invoices=share,
            all_invoices=chosen,
            seed=SEED,
            tax_system=store_id % 2,
            tax_basis_points=2000 if store_id == 1 else 625,
            orders=orders,
        )
        if history:
            with SampleStore.open(settings.rms_url(code)) as shop:
                shop.write_history(history, open_orders=open_orders)
    migrate(settings.hub_url)
    with open_hub(settings.hub_url) as hub:
        configure(hub, settings)
    return Installation(settings, folder, chosen)


def on_hand(installation: Installation, code: str) -> dict[str, int]:
    """Item.Quantity of a shop by upper-case SKU in ten-thousandths, of items that hold stock."""
    rows = installation.ask_rms(
        code, "SELECT ItemLookupCode, Quantity FROM Item WHERE ItemType = 0 AND Quantity <> 0"
    )
    return {sku.upper(): round(quantity * SCALE) for sku, quantity in rows}


def in_hub(installation: Installation, warehouse: str) -> dict[str, int]:
    """Physical stock of a warehouse in the hub, likewise."""
    rows = installation.ask(
        "SELECT sku, physical FROM reporting_stock WHERE warehouse = :warehouse AND physical <> 0",
        warehouse=warehouse,
    )
    return {sku.upper(): round(physical * SCALE) for sku, physical in rows}
