"""Where the demo plays: its folder, its settings, its shops, and the flows as it runs them."""

from __future__ import annotations

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from data_contracts.amounts import show_units
from data_contracts.errors import ConfigurationError
from tasks.settings import Settings

if TYPE_CHECKING:
    from deployments.sample_store.store import SampleStore
    from tasks.hub.products import CatalogOutcome
    from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder
    from tasks.use_cases.applying_products import ProductsReport
    from tasks.use_cases.arrivals import ImportSummary
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.resending import ResendReport


ROOT = Path(__file__).resolve().parents[2]

HOME = ROOT / ".demo"

MARK = HOME / ".made-by-tillbridge-demo"

SEED = 20101201

EXCHANGE = HOME / "exchange"

BY_HAND = HOME / "tillbridge.toml"
"""Settings for who looks around when the story is over: the exchange as the folder that it is."""

OVER_SFTP = HOME / "over-sftp.toml"
"""Settings of the story: the same folder, shown by an SFTP server that ends with it."""

FOLDER = """\
url = "exchange"
"""

SFTP = """\
url = "{url}"
host_keys = ["{fingerprint}"]
key_file = "till_key"
"""

CONFIG = """\
# Written by `make demo`.
[hub]
url = "sqlite:///hub.db"

[exchange]
{exchange}inbox = "inbox"

[warehouses.MAIN]
name = "Main warehouse"

[warehouses.LONDON]
name = "London shop"

[warehouses.BOSTON]
name = "Boston shop"

[stores.LONDON]
rms_url = "sqlite:///stores/LONDON/rms.db"
time_zone = "Europe/London"
warehouse = "LONDON"
number_lookback = 20   # small, so that the sweep has something to do

[stores.LONDON.products]   # products from the hub are written into this shop's items
tax_code = "TAX"

[stores.BOSTON]
rms_url = "sqlite:///stores/BOSTON/rms.db"
time_zone = "America/New_York"
warehouse = "BOSTON"
number_lookback = 20

[stores.BOSTON.products]
tax_code = "TAX"
"""


@dataclass
class Tally:
    """What the story moved, for its last page."""

    tickets: int = 0
    orders: int = 0
    lines: int = 0
    batches: int = 0
    products: int = 0
    """Items created or changed at the tills."""
    corrected: tuple[int, str, str] = (0, "", "")
    """Ticket, SKU as typed, SKU as sold: corrected at the hub alone."""
    received: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Shop -> its last purchase order whose goods the hub has received too."""
    runs: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, name: str, started: float) -> None:
        """Add what a flow took."""
        self.runs[name] += 1
        self.seconds[name] += time.monotonic() - started


def start_fresh() -> None:
    """Empty `.demo/`, but only if this demo made it."""
    if HOME.exists():
        if not MARK.exists() and any(HOME.iterdir()):
            raise ConfigurationError(
                f"{HOME} was not made by the demo; it is left alone.", next_step="move it away"
            )
        shutil.rmtree(HOME)
    HOME.mkdir()
    MARK.touch()
    EXCHANGE.mkdir()
    BY_HAND.write_text(CONFIG.format(exchange=FOLDER), encoding="utf-8")


def heading(number: str, text: str) -> None:
    """The title of a step."""
    click.echo(click.style(f"{number}. {text}", bold=True) + "\n")


def open_shop(settings: Settings, code: str) -> SampleStore:
    """A shop's database, to ring in."""
    from deployments.sample_store.store import SampleStore

    return SampleStore.open(settings.rms_url(code))


def run_export(code: str, tally: Tally, *, sweep: bool = False) -> ExportReport:
    """Run the flow export-orders for one shop."""
    from data_contracts.parameters import ExportScope
    from flows.export_orders import export_orders

    started = time.monotonic()
    report = export_orders(ExportScope(store=code, sweep=sweep))
    tally.timed("export-orders", started)
    tally.batches += len(report.batches)
    if not sweep:
        tally.tickets += report.tickets
        tally.orders += report.orders
        tally.lines += report.lines
    return report


def run_import(tally: Tally) -> ImportSummary:
    """Run the flow import-orders for all shops."""
    from flows.import_orders import import_orders

    started = time.monotonic()
    summary = import_orders()
    tally.timed("import-orders", started)
    return summary


def run_advance(tally: Tally) -> list[AdvanceReport]:
    """Run the flows advance-layaways and advance-backorders for all shops."""
    from flows.advance_backorders import advance_backorders
    from flows.advance_layaways import advance_layaways

    reports = []
    for name, flow in (("advance-layaways", advance_layaways), ("advance-backorders", advance_backorders)):
        started = time.monotonic()
        reports.append(flow())
        tally.timed(name, started)
    return reports


def run_receive(settings: Settings, code: str, name: str, tally: Tally) -> Sequence[AllocatedOrder]:
    """Run the flow receive-stock for what a shop's suppliers have delivered; returns who was given it."""
    from data_contracts.parameters import ReceiptScope
    from flows.receive_stock import receive_stock

    with open_shop(settings, code) as shop:
        receipts = shop.receipts(after=tally.received[code])
    if not receipts:
        return ()
    tally.received[code] = max(receipt.number for receipt in receipts)
    file = HOME / "receipts" / f"{code}-{name}.csv"
    file.parent.mkdir(exist_ok=True)
    lines = [f"{code},{receipt.sku},{show_units(receipt.units)}\n" for receipt in receipts]
    file.write_text("warehouse,sku,quantity\n" + "".join(lines), encoding="utf-8")
    started = time.monotonic()
    report = receive_stock(ReceiptScope(file=str(file)))
    tally.timed("receive-stock", started)
    return report.allocated


def run_catalog(file: Path, tally: Tally) -> CatalogOutcome:
    """Run the flow import-catalog, which sends what has changed to the stores."""
    from data_contracts.parameters import CatalogScope
    from flows.import_catalog import import_catalog

    started = time.monotonic()
    outcome = import_catalog(CatalogScope(file=str(file)))
    tally.timed("import-catalog", started)
    if outcome is None:
        raise ConfigurationError(f"{file} was not looked at.", next_step="read the log of the run")
    return outcome


def run_products(settings: Settings, tally: Tally) -> dict[str, ProductsReport]:
    """Run export-products, apply-products in every shop, and export-products again for the answers."""
    from data_contracts.parameters import StoreScope
    from flows.apply_products import apply_products
    from flows.export_products import export_products

    def send() -> None:
        started = time.monotonic()
        export_products()
        tally.timed("export-products", started)

    send()
    applied = {}
    for code in sorted(settings.stores):
        started = time.monotonic()
        applied[code] = apply_products(StoreScope(store=code))
        tally.timed("apply-products", started)
        tally.products += sum(applied[code].count(state) for state in ("created", "updated"))
    send()
    return applied


def run_resend(code: str, batch: int, tally: Tally) -> ResendReport:
    """Run the flow resend-period for one batch of a shop."""
    from data_contracts.parameters import ResendScope
    from flows.resend_period import resend_period

    started = time.monotonic()
    report = resend_period(ResendScope(store=code, batch=batch), dry_run=False)
    tally.timed("resend-period", started)
    return report


def run_desk(
    action: Literal["edit", "release"], document: str, why: str, tally: Tally, *, edits: tuple[str, ...] = ()
) -> None:
    """Run the flow release-quarantine for one document."""
    from data_contracts.parameters import DeskScope
    from flows.release_quarantine import release_quarantine

    scope = DeskScope(action=action, documents=(document,), edits=edits, why=why, by="Ann")
    started = time.monotonic()
    release_quarantine(scope, dry_run=False)
    tally.timed("release-quarantine", started)
