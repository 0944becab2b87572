"""`make demo`: the whole story on one machine, told to a shop owner, with the real flows.

Builds two sample shops from real tickets under `.demo/`, baselines them, rings several business days,
runs the Prefect flows in this process against a Prefect server of its own, and ends with a
reconciliation. A second run starts fresh, also after a killed one. `make ui` opens the history.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Row, bindparam, select, text

from data_contracts.amounts import SCALE, show_money, show_units
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError, TillbridgeError
from data_contracts.life_cycle import State
from deployments.output import say, show_table
from tasks.settings import CONFIG_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from deployments.sample_store.store import Rung, SampleStore
    from deployments.sample_store.tickets import Invoice
    from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.importing import ImportSummary

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
MARK = HOME / ".made-by-tillbridge-demo"
SEED = 20101201
DAYS = 5
HISTORY = 200
"""Tickets each shop had rung before tillbridge came."""
OPEN_BEFORE = 3
"""Layaways each shop had open by then."""

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

[stores.BOSTON]
rms_url = "sqlite:///stores/BOSTON/rms.db"
time_zone = "America/New_York"
warehouse = "BOSTON"
number_lookback = 20
"""


@dataclass
class Tally:
    """What the story moved, for its last page."""

    tickets: int = 0
    orders: int = 0
    lines: int = 0
    batches: int = 0
    received: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Shop -> its last purchase order whose goods the hub has received too."""
    runs: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, name: str, started: float) -> None:
        """Add what a flow took."""
        self.runs[name] += 1
        self.seconds[name] += time.monotonic() - started


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story, or (`ui`) open the history of the last one; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments == ["ui"]:
            return open_ui()
        return tell()
    except TillbridgeError as error:
        click.echo(f"\nThe demo stopped: {error}", err=True)
        return 1


def open_ui() -> int:
    """Serve the Prefect history of the last demo until interrupted."""
    from deployments.prefect_server import running_server

    home = HOME / "prefect"
    if not home.is_dir():
        raise ConfigurationError("There is no history yet.", next_step="run `make demo` first")
    with running_server(home) as address:
        click.echo(f"The demo's flow runs: {address}/runs   (Ctrl-C ends)")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            click.echo("\nStopped.")
    return 0


def tell() -> int:
    """The story from an empty folder to its last page."""
    from deployments.sftp_server import SftpServer, public_line

    began = time.monotonic()
    start_fresh()
    click.echo("tillbridge demo: two shops, one hub, real tickets. Everything is in .demo/\n")
    with SftpServer(EXCHANGE, keys=[public_line(HOME / "till_key")]) as server:
        exchange = SFTP.format(url=server.url, fingerprint=server.fingerprint)
        OVER_SFTP.write_text(CONFIG.format(exchange=exchange), encoding="utf-8")
        unexplained, tally = tell_story(load_settings(OVER_SFTP), server.port)
    last_page(tally, time.monotonic() - began, unexplained)
    return 0 if unexplained == 0 else 1


def tell_story(settings: Settings, port: int) -> tuple[int, Tally]:
    """From two shops to a reconciled hub, over the SFTP server on `port`; how much is unexplained."""
    from deployments.prefect_server import running_server
    from deployments.sample_store.tickets import read_invoices

    os.environ[CONFIG_VARIABLE] = str(OVER_SFTP)
    invoices = read_invoices()
    build_shops(settings, invoices)
    set_up_hub(settings, invoices)
    heading("3", "A Prefect server of its own starts; all that follows are real flow runs")
    with running_server(HOME / "prefect") as address:
        # The runs log to the server, where `make ui` shows them; the story stays readable.
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        say(f"Listening at {address} until the story ends.")
        click.echo()
        tally = Tally()
        go_live(settings, tally, port)
        trade(settings, tally)
        set_aside(settings, tally)
        unknown_sku(settings, tally)
        sweep(settings, tally)
        return prove(settings, tally), tally


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
    say(f"{report.products:,} products read from .demo/catalog.csv")
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


def trade(settings: Settings, tally: Tally) -> None:
    """Several business days: ring, export, import, advance."""
    from deployments.sample_store.store import SampleStore

    heading("5", f"{DAYS} business days: tills ring, goods arrive, the flows run")
    with SampleStore.open(settings.rms_url("LONDON")) as shop:
        days = shop.days()[:DAYS]
    rows = []
    for day in days:
        rung = ring(settings, day)
        published = [run_export(code, tally) for code in sorted(settings.stores)]
        imported = run_import(tally)
        for code in sorted(settings.stores):
            run_receive(settings, code, f"{day}", tally)
        run_advance(tally)
        kinds = Counter(ticket.kind for tickets in rung.values() for ticket in tickets)
        rows.append(
            (
                f"{day:%a %d}",
                *(sum(ticket.is_ticket for ticket in rung[code]) for code in sorted(rung)),
                kinds["return"] + kinds["exchange"] + kinds["void"],
                show_money(sum(report.money for report in published)),
                sum(report.orders for report in published),
                kinds["pickup"],
                imported.quarantined,
            )
        )
    show_table(("day", *sorted(settings.stores), "undone", "money", "orders", "picked up", "held"), rows)
    say("Orders are layaways and backorders that were opened or changed. Where they stand now in the hub:")
    click.echo()
    show_fates(settings)


def ring(settings: Settings, day: date) -> dict[str, list[Rung]]:
    """Ring one business day in every shop."""
    rung: dict[str, list[Rung]] = {}
    for code in sorted(settings.stores):
        with open_shop(settings, code) as shop:
            rung[code] = shop.ring_day(day)
    return rung


def open_shop(settings: Settings, code: str) -> SampleStore:
    """A shop's database, to ring in."""
    from deployments.sample_store.store import SampleStore

    return SampleStore.open(settings.rms_url(code))


def show_fates(settings: Settings) -> None:
    """How many layaways and backorders stand where, in the hub."""
    counted = Counter((row.kind, row.state) for row in read_layaways(settings))
    show_table(
        ("state", "layaways", "backorders"),
        [(state.value, counted["layaway", state], counted["backorder", state]) for state in State],
    )


def read_layaways(settings: Settings, numbers: Sequence[int] | None = None) -> Sequence[Row[Any]]:
    """The hub's view of layaways and backorders: all, or those of London with these numbers."""
    from tasks.hub.database import open_hub

    view = "SELECT * FROM reporting_layaways"
    if numbers is None:
        query = text(view)
    else:
        query = text(f"{view} WHERE store = 'LONDON' AND order_number IN :numbers ORDER BY order_number")
        query = query.bindparams(bindparam("numbers", list(numbers), expanding=True))
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        return connection.execute(query).all()


def set_aside(settings: Settings, tally: Tally) -> None:
    """Three layaways and a backorder, from deposit to pick-up or cancel."""
    heading("6", "London sets goods aside: three layaways, and a backorder that waits")
    first, second, absent = choose_goods(settings)
    deposit = 100_000
    with open_shop(settings, "LONDON") as shop:
        whole = shop.open_layaway([(first, 2), (second, 3)], deposit=deposit)
        given_up = shop.open_layaway([(second, 4)], deposit=deposit)
        in_parts = shop.open_layaway([(first, 4)], deposit=deposit)
        awaited = shop.open_backorder([(absent, 6)])
    orders = (whole, given_up, in_parts, awaited)
    follow(settings, tally, orders, "They are opened. Of the backorder's goods there are none yet.")
    with open_shop(settings, "LONDON") as shop:
        taken = shop.pick_up(whole)
        shop.cancel_order(given_up)
        shop.pick_up(in_parts, [(first, 1)])
        shop.receive(absent, 6)
    given = run_receive(settings, "LONDON", "backorder", tally)
    units = ", ".join(f"{show_units(order.units)} to order {order.number}" for order in given)
    follow(
        settings,
        tally,
        orders,
        f"Layaway {whole} is picked up on ticket {taken.number}, {given_up} is cancelled, a part of "
        f"{in_parts} is fetched. receive-stock takes 6 units of {absent} into the hub from a CSV file; "
        f"they go to who waits: {units}.",
    )
    with open_shop(settings, "LONDON") as shop:
        shop.pick_up(in_parts)
        shop.pick_up(awaited)
    follow(settings, tally, orders, f"The rest of {in_parts} is fetched, and so is the backorder.")
    show_one_order(settings, whole, taken.number)


def follow(settings: Settings, tally: Tally, orders: Sequence[int], text: str) -> None:
    """Export, import and advance, then show where these orders of London stand."""
    run_export("LONDON", tally)
    run_import(tally)
    run_advance(tally)
    say(text)
    click.echo()
    show_table(
        ("order", "goes by", "state", "reserved", "taken", "deposit", "paid"),
        [
            (
                f"{row.kind} {row.order_number}",
                row.source_order_id,
                row.state,
                f"{row.reserved:.0f} of {row.ordered:.0f}",
                f"{row.picked_up:.0f}",
                f"{row.deposit_held:,.2f}",
                f"{row.paid:,.2f}",
            )
            for row in read_layaways(settings, orders)
        ],
    )


def show_one_order(settings: Settings, layaway: int, ticket: int) -> None:
    """Both numbers on the customer's papers find the same order."""
    from deployments.reports import show_order
    from tasks.use_cases.finding import find_order

    by_layaway, by_ticket = (find_order(settings, str(number), "LONDON") for number in (layaway, ticket))
    mine = [order for order in by_layaway.orders if order in by_ticket.orders]
    say(
        f"Asked for {layaway}, the number on the customer's first paper, or for {ticket}, that on the last, "
        "the hub finds the same order:"
    )
    click.echo()
    for order in mine:
        show_order(order)


def choose_goods(settings: Settings) -> tuple[str, str, str]:
    """SKUs of London: two of which there is plenty, one of which there is none and nobody waits for it."""
    from tasks.hub.database import open_hub
    from tasks.hub.schema import order_lines, products, stock_levels

    level, line = stock_levels.c, order_lines.c
    goods = (
        select(level.sku)
        .join(products, products.c.sku == level.sku)
        .where(level.warehouse == "LONDON", products.c.price > 0)
        .order_by(level.sku)
    )
    waited_for = select(line.sku).where(line.backorder_quantity > 0)
    plenty = goods.where(level.physical >= 50 * SCALE, products.c.price.between(50_000, 99_900))
    none = goods.where(level.physical == 0, level.reserved == 0, level.sku.not_in(waited_for))
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        first, second = connection.execute(plenty.limit(2)).scalars()
        return first, second, connection.execute(none.limit(1)).scalar_one()


def unknown_sku(settings: Settings, tally: Tally) -> None:
    """A cashier sells what the hub has never heard of."""
    from tasks.hub.database import open_hub
    from tasks.hub.quarantine import open_entries

    heading("7", "A cashier in London creates an item at the till and sells it")
    with open_shop(settings, "LONDON") as shop:
        number, sku = shop.ring_unknown_item()
    run_export("LONDON", tally)
    run_import(tally)
    say(f"Ticket {number} has the SKU {sku}, which the hub does not know. It waits, whole:")
    with open_hub(settings.hub_url) as hub:
        for entry in open_entries(hub):
            say(f"{entry.document}: {entry.message}", indent=4, bullet="- ")
            say(f"What to do: {entry.fix}.", indent=6)
    say("The tickets around it were booked; no stock moved for any of its lines.")
    click.echo()


def sweep(settings: Settings, tally: Tally) -> None:
    """The back office corrects a ticket of long ago: only the daily sweep looks that far back."""
    heading("8", "The daily sweep looks at every number, however old")
    number = HISTORY + 1
    with open_shop(settings, "LONDON") as shop:
        tender = shop.correct_tender(number)
    ordinary = run_export("LONDON", tally).tickets
    say(
        f"The back office corrects ticket {number}: it was paid by {tender}. An ordinary export, which "
        f"looks only a little way back, finds {ordinary} tickets; then the sweep runs."
    )
    read = [run_export(code, tally, sweep=True) for code in sorted(settings.stores)]
    imported = run_import(tally)
    seen = sum(batch.seen_before for batch in imported.batches)
    say(
        f"It read {sum(report.tickets for report in read)} tickets and "
        f"{sum(report.orders for report in read)} orders of both shops again: {seen} were in the hub as "
        f"they are and changed nothing, {imported.accepted} had changed and was corrected, "
        f"{imported.quarantined} is still held."
    )
    click.echo()


def prove(settings: Settings, tally: Tally) -> int:
    """Statements against the hub; returns how much is unexplained."""
    from data_contracts.parameters import StatementScope
    from deployments.reports import show_reconciliation
    from flows.publish_statement import publish_statement
    from flows.reconcile import reconcile
    from tasks.use_cases.reconciling import Reconciliation

    heading("9", "Each shop states what it has; the hub compares, to the unit and the cent")
    compare_shelves(settings)
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


def compare_shelves(settings: Settings) -> None:
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
    say(f"{agreed:,} items lie in the same number in the shops and in the hub; apart: {', '.join(apart)}.")
    click.echo()


def last_page(tally: Tally, seconds: float, unexplained: int) -> None:
    """What was moved, how fast, and where to look."""
    click.echo()
    heading("10", "What was moved, how fast, and where to look")
    show_table(
        ("flow", "runs", "seconds in all"),
        [(name, tally.runs[name], f"{taken:.1f}") for name, taken in sorted(tally.seconds.items())],
    )
    say(
        f"{tally.tickets:,} tickets, {tally.lines:,} lines and {tally.orders} snapshots of orders in "
        f"{tally.batches} batches, "
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


if __name__ == "__main__":
    sys.exit(main())
