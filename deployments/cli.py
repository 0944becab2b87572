"""`tillbridge`: every use case by hand, without Prefect; `up` and `deploy` put the flows under it.

Exit status: 0 all is well; 1 something needs a person (unexplained differences, a failed check); 2 wrong
usage; 3 an error that trying again cannot clear; 4 an error that trying again may clear.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from data_contracts.amounts import show_money, show_units
from data_contracts.errors import TillbridgeError
from data_contracts.waiting import WAITING_TO_ADVANCE
from deployments.alert_commands import alerts, unblock
from deployments.output import say, show_json, show_table
from deployments.prefect_commands import deploy, up
from deployments.quarantine_commands import quarantine, say_to_advance
from tasks.settings import CONFIG_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from data_contracts.manifest import Reason
    from tasks.use_cases.arrivals import ImportedBatch
    from tasks.use_cases.standing import StoreSide

EXIT_ATTENTION = 1
EXIT_FINAL = 3
EXIT_TRANSIENT = 4

_Report = TypeVar("_Report")

MOST_REASONS = 10
"""Reasons printed for a batch; the quarantine lists them all."""

_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Read and report, change nothing.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog="A first look: `tillbridge init`, `tillbridge check`, `tillbridge migrate`, then per store "
    "`tillbridge baseline STORE`, and from then on export, import and reconcile.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=CONFIG_VARIABLE,
    help="Settings file; otherwise $TILLBRIDGE_CONFIG, otherwise ./tillbridge.toml.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log each batch as it moves; so does a terminal.")
@click.option("--log-json", is_flag=True, help="Log as JSON lines: time, level, message, store, batch.")
@click.version_option(package_name="tillbridge")
@click.pass_context
def cli(context: click.Context, config: Path | None, verbose: bool, log_json: bool) -> None:
    """Keep RMS tills and the order hub in step: nothing lost, nothing doubled, all explained."""
    from tasks import logs

    # On long work a line a batch is the progress; it goes to standard error, results to standard output.
    shown = verbose or log_json or sys.stderr.isatty()
    logs.configure(logging.INFO if shown else logging.WARNING, as_json=log_json)
    context.obj = config


def _settings(context: click.Context) -> Settings:
    return load_settings(context.obj)


# -- setting up -------------------------------------------------------------------------------------
@cli.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("tillbridge.toml"))
def init(file: Path) -> None:
    """Write an example settings file, every key explained, to FILE."""
    example = Path(__file__).with_name("tillbridge.example.toml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(example)
    except FileExistsError:
        raise click.ClickException(f"{file} exists already; it was left as it is.") from None
    click.echo(f"Wrote {file}. Edit it, then run `tillbridge check`.")


@cli.command()
@_JSON
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Test every setting and connection, and say what to do about each fault."""
    from deployments.prefect_api import check_prefect
    from tasks.use_cases.checking import check_installation

    settings = _settings(context)
    results = check_installation(settings)
    if (of_prefect := check_prefect(settings)) is not None:
        results.append(of_prefect)
    if as_json:
        show_json(results)
    else:
        show_table(
            ("", "what", "result"),
            [
                ("ok" if r.ok else "FAULT", r.subject, r.detail if r.ok else f"{r.detail} {r.fix}")
                for r in results
            ],
        )
    if not all(r.ok for r in results):
        context.exit(EXIT_ATTENTION)


@cli.command()
@click.pass_context
def migrate(context: click.Context) -> None:
    """Create the hub's tables and views, or bring them up to this version."""
    from tasks.hub.database import migrate as run
    from tasks.hub.database import open_hub
    from tasks.hub.registry import configure

    settings = _settings(context)
    version = run(settings.hub_url)
    with open_hub(settings.hub_url) as hub:
        configure(hub, settings)
    click.echo(f"The hub's schema is at version {version}.")


@cli.command("import-catalog")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@_DRY_RUN
@_JSON
@click.pass_context
def import_catalog(context: click.Context, file: Path | None, dry_run: bool, as_json: bool) -> None:
    """Load products into the hub from a CSV FILE (default: `file` of [catalog]).

    Columns go by Sellercloud's names (ProductID, ProductName, UPC, SitePrice, StorePrice, ...), by the
    hub's own (sku,name,upc,aliases,price,...) or as [catalog.columns] says. A product that fails the
    contract is left out and named; what the file lacks stays as it is. Tickets that waited in quarantine
    for one of the products are booked right after; `tillbridge export-products` sends them to the tills.

    Ends with exit status 1 when a product was left out.
    """
    from deployments.product_reports import show_catalog
    from tasks.use_cases.catalog import import_catalog as run

    report = run(_settings(context), file, dry_run=dry_run)
    if as_json:
        show_json(report)
    else:
        show_catalog(report)
    if report.refused:
        context.exit(EXIT_ATTENTION)


# -- at the store -----------------------------------------------------------------------------------
@cli.command()
@click.argument("store")
@click.option(
    "--stock-from-rms", is_flag=True, help="Take the store's quantities on hand as the hub's opening stock."
)
@click.option("--again", is_flag=True, help="Take over a database that was restored or replaced.")
@_JSON
@click.pass_context
def baseline(context: click.Context, store: str, stock_from_rms: bool, again: bool, as_json: bool) -> None:
    """Fix STORE's start mark: what is rung from here on travels to the hub.

    Layaways and backorders that are open then are taken over with the first export.

    With --again, after an export that stopped because RMS was restored from a backup: what the hub and
    the database have in common stays as it is, and what is rung above it counts as a new epoch.
    """
    from tasks.use_cases.baselining import baseline_store

    report = baseline_store(_settings(context), store, stock_from_rms=stock_from_rms, again=again)
    if as_json:
        show_json(report)
        return
    if again:
        say(f"{store} is taken over; the new epoch is published in {report.batch}.", indent=0)
    else:
        say(
            f"{store} is baselined after ticket {report.start.ticket_number} "
            f"({report.history_tickets} tickets are history); opening stock of {report.items} items, "
            f"{show_units(report.units)} units, is published in {report.batch}.",
            indent=0,
        )
    if report.open_orders:
        say(
            f"Open layaways and backorders, which travel with the next `tillbridge export {store}`: "
            f"{report.open_orders}.",
            indent=0,
        )


@cli.command()
@click.argument("stores", nargs=-1)
@click.option("--sweep", is_flag=True, help="Also find changes of old tickets.")
@_DRY_RUN
@_JSON
@click.pass_context
def export(context: click.Context, stores: Sequence[str], sweep: bool, dry_run: bool, as_json: bool) -> None:
    """Publish what STORES (default: all) have rung since their newest batch."""
    from tasks.use_cases.exporting import export_orders

    settings = _settings(context)
    reports, failures = _each_store(
        settings, stores, lambda code: export_orders(settings, code, sweep=sweep, dry_run=dry_run)
    )
    if as_json:
        show_json(reports)
    elif reports:
        show_table(
            ("store", "batches", "tickets", "money", "orders", "deposits", "waiting"),
            [
                (
                    code,
                    len(r.batches),
                    r.tickets,
                    show_money(r.money),
                    r.orders,
                    show_money(r.deposits),
                    r.waiting,
                )
                for code, r in reports.items()
            ],
        )
        for code, report in reports.items():
            if report.held_back:
                say(
                    f"{code}: {report.held_back:,} tickets are held back by a transaction open in RMS.",
                    indent=0,
                )
        if dry_run:
            click.echo("Dry run: nothing was published.")
        from tasks.use_cases.standing import show_lacking

        _say_reasons(show_lacking(settings, list(reports)))
    _raise_first(failures)


@cli.command()
@click.argument("store")
@click.option("--batch", metavar="N", type=click.IntRange(1), help="The batch with this sequence.")
@click.option("--numbers", metavar="FIRST-LAST", help="These ticket numbers, as 10452-10455 or 10452.")
@click.option("--dates", metavar="FIRST..LAST", help="These business dates, as 2010-12-01..2010-12-03.")
@click.option("--orders", metavar="FIRST-LAST", help="These layaways and backorders, as 12-15 or 12.")
@_DRY_RUN
@_JSON
@click.pass_context
def resend(
    context: click.Context,
    store: str,
    batch: int | None,
    numbers: str | None,
    dates: str | None,
    orders: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send tickets or orders of STORE once more: a rejected or lost batch, some numbers or some days.

    They are read anew from RMS and published in new batches. Run it as often as you like: what the hub
    has already is seen before and changes nothing, and the next export goes on where it would have.

    \b
    A batch was rejected or is lost:  tillbridge resend S1 --batch 412
    Reconcile names missing tickets:  tillbridge resend S1 --numbers 10452-10455
    Days differ:                      tillbridge resend S1 --dates 2010-12-01..2010-12-03
    It names layaways or backorders:  tillbridge resend S1 --orders 12-15

    Then import as usual; --dry-run first shows what would go.
    """
    from tasks.use_cases.resending import resend as run

    if sum(given is not None for given in (batch, numbers, dates, orders)) != 1:
        raise click.UsageError(
            f"Say what to send again, one of: `tillbridge resend {store} --batch 412`, "
            "`--numbers 10452-10455`, `--dates 2010-12-01..2010-12-03`, `--orders 12-15`."
        )
    tickets = None if numbers is None else _numbers(numbers, "--numbers")
    days = None if dates is None else _dates(dates)
    layaways = None if orders is None else _numbers(orders, "--orders")
    report = run(
        _settings(context),
        store,
        batch=batch,
        numbers=tickets,
        dates=days,
        orders=layaways,
        dry_run=dry_run,
    )
    if as_json:
        show_json(report)
        return
    if report.tickets or report.orders:
        show_table(
            ("batches", "tickets", "lines", "units", "money", "orders", "unsettled"),
            [
                (
                    len(report.batches),
                    report.tickets,
                    report.lines,
                    show_units(report.units),
                    show_money(report.money),
                    report.orders,
                    report.unsettled,
                )
            ],
        )
    elif report.batches:
        click.echo(f"Nothing of batch {batch} is left to be sent again; an empty batch says so.")
    else:
        click.echo("Nothing was found to be sent again.")
    for count, text in (
        (report.left_to_export, "still being written in RMS; the ordinary export publishes them."),
        (report.before_baseline, "from before the baseline; they never travel."),
        (report.absent, "numbers under which RMS holds nothing of this store."),
    ):
        if count:
            click.echo(f"Left out: {count:,} {text}")
    for path in report.batches:
        click.echo(f"Published {path}; `tillbridge import {store}` takes it in.")
    if dry_run:
        click.echo("Dry run: nothing was published.")


@cli.command()
@click.argument("stores", nargs=-1)
@click.option(
    "--days", type=click.IntRange(1, 3660), default=35, show_default=True, help="Business days back."
)
@_DRY_RUN
@_JSON
@click.pass_context
def statement(context: click.Context, stores: Sequence[str], days: int, dry_run: bool, as_json: bool) -> None:
    """Publish control totals of STORES (default: all), for the hub to compare with."""
    from tasks.use_cases.stating import publish_statement

    settings = _settings(context)
    reports, failures = _each_store(
        settings, stores, lambda code: publish_statement(settings, code, days=days, dry_run=dry_run)
    )
    if as_json:
        show_json(reports)
    elif reports:
        show_table(
            ("store", "through", "tickets", "money", "orders", "deposits", "waiting"),
            [
                (
                    code,
                    r.last_date,
                    r.tickets,
                    show_money(r.money),
                    r.open_orders,
                    show_money(r.deposits),
                    r.waiting,
                )
                for code, r in reports.items()
            ],
        )
    _raise_first(failures)


@cli.command("apply-products")
@click.argument("stores", nargs=-1)
@_DRY_RUN
@_JSON
@click.pass_context
def apply_products(context: click.Context, stores: Sequence[str], dry_run: bool, as_json: bool) -> None:
    """Write the products that the hub has sent into the RMS items of STORES (default: all).

    Only what the hub owns is written, and only where [stores.CODE.products] lets it; quantities never are,
    and nothing is deleted. Every product is answered for.
    """
    from deployments.reports import show_products
    from tasks.use_cases.applying_products import apply_products as run

    settings = _settings(context)
    reports, failures = _each_store(settings, stores, lambda code: run(settings, code, dry_run=dry_run))
    if as_json:
        show_json(reports)
    elif reports:
        show_products(list(reports.values()))
        if dry_run:
            click.echo("Dry run: nothing was written.")
    _raise_first(failures)
    if any(batch.state == "rejected" for report in reports.values() for batch in report.batches):
        context.exit(EXIT_ATTENTION)


# -- at the hub -------------------------------------------------------------------------------------
@cli.command("import")
@click.argument("stores", nargs=-1)
@_DRY_RUN
@_JSON
@click.pass_context
def import_(context: click.Context, stores: Sequence[str], dry_run: bool, as_json: bool) -> None:
    """Fetch, validate and import the waiting batches of STORES (default: all)."""
    from tasks.use_cases.importing import import_waiting

    summary = import_waiting(_settings(context), stores, dry_run=dry_run)
    if as_json:
        show_json(summary)
    else:
        shown = summary.checked if dry_run else summary.batches
        if not shown and not summary.failures:
            click.echo("Nothing waits.")
        if shown:
            show_table(
                ("batch", "state", "documents", "booked", "held", "pending", "seen"),
                [
                    (
                        b.path.rsplit("-", 1)[0],
                        b.state,
                        b.documents,
                        b.accepted,
                        b.quarantined,
                        b.pending,
                        b.seen_before,
                    )
                    for b in shown
                ],
            )
        to_advance = 0
        for batch in shown:
            reasons = [reason for reason in batch.reasons if reason.rule != WAITING_TO_ADVANCE]
            to_advance += len(batch.reasons) - len(reasons)
            for reason in reasons[:MOST_REASONS]:
                say(f"{reason.document or batch.path}: {reason.message}", bullet="- ")
                say(f"What to do: {reason.fix}", indent=4)
            if len(reasons) > MOST_REASONS:
                say(f"... and {len(reasons) - MOST_REASONS} more: `tillbridge quarantine`", indent=4)
            _say_warnings(batch)
        if to_advance:
            say_to_advance(to_advance)
        for store, text in summary.failures.items():
            click.echo(f"{store} stopped: {text}", err=True)
        if dry_run:
            click.echo("Dry run: nothing was imported.")
    if summary.failures:
        context.exit(EXIT_ATTENTION)


@cli.command()
@click.argument("stores", nargs=-1)
@click.option("--layaways", "only", flag_value="layaways", help="Only layaways.")
@click.option("--backorders", "only", flag_value="backorders", help="Only backorders.")
@_DRY_RUN
@_JSON
@click.pass_context
def advance(
    context: click.Context, stores: Sequence[str], only: str | None, dry_run: bool, as_json: bool
) -> None:
    """Apply what waits of the layaways and backorders of STORES (default: all).

    Newer snapshots and pick-ups are applied; free stock goes to backorders, the oldest first.
    """
    from deployments.reports import show_advance
    from tasks.use_cases.advancing import advance_backorders, advance_layaways

    settings = _settings(context)
    runs = {"layaways": advance_layaways, "backorders": advance_backorders}
    reports = [run(settings, stores, dry_run=dry_run) for name, run in runs.items() if only in (None, name)]
    if as_json:
        show_json(reports)
    else:
        for report in reports:
            show_advance(report)
        if dry_run:
            click.echo("Dry run: nothing was written.")
    for report in reports:
        for store, text in report.failures.items():
            click.echo(f"{store} stopped: {text}", err=True)
    if any(report.failures for report in reports):
        context.exit(EXIT_ATTENTION)


@cli.command()
@click.argument("stores", nargs=-1)
@_DRY_RUN
@_JSON
@click.pass_context
def clean(context: click.Context, stores: Sequence[str], dry_run: bool, as_json: bool) -> None:
    """Remove old batches and acknowledgements of STORES (default: all) from the exchange folder.

    [retention] says how long they stay. Heads, baselines and the newest batch of each stream always do, and
    what the hub lacks with the batch before it. What killed exports left goes as well.
    """
    from tasks.use_cases.cleaning import clean_exchange

    report = clean_exchange(_settings(context), stores, dry_run=dry_run)
    if as_json:
        show_json(report)
    else:
        told = [s for s in report.stores if s.anything]
        if told:
            show_table(
                ("store", "batches", "answers", "killed exports", "files", "inbox"),
                [(s.store, s.batches, s.answers, s.leftovers, s.files, s.inbox) for s in told],
            )
        for text in (text for store in report.stores for text in store.kept):
            say(text, indent=0)
        say(report.sentence, indent=0)
    for store, text in report.failures.items():
        click.echo(f"{store} stopped: {text}", err=True)
    if report.failures:
        context.exit(EXIT_ATTENTION)


@cli.command("export-products")
@click.argument("stores", nargs=-1)
@click.option("--retry", is_flag=True, help="Send at once what a till has refused.")
@_DRY_RUN
@_JSON
@click.pass_context
def export_products(
    context: click.Context, stores: Sequence[str], retry: bool, dry_run: bool, as_json: bool
) -> None:
    """Send STORES (default: all) the products that differ from what is at their tills.

    What the tills answered since the last run is booked first. Products that a till refused are sent again
    when they have changed, and after a while; with --retry at once.
    """
    from deployments.product_reports import show_product_exports
    from tasks.use_cases.exporting_products import export_products as run

    report = run(_settings(context), stores, retry=retry, dry_run=dry_run)
    if as_json:
        show_json(report)
    else:
        show_product_exports(report)
    for store, text in report.failures.items():
        click.echo(f"{store} stopped: {text}", err=True)
    if report.failures:
        context.exit(EXIT_ATTENTION)


@cli.command()
@click.argument("code", required=False)
@click.option("--store", "stores", metavar="STORE", multiple=True, help="Only this store; may be repeated.")
@_JSON
@click.pass_context
def products(context: click.Context, code: str | None, stores: Sequence[str], as_json: bool) -> None:
    """Show where the hub's products stand at the tills; with a CODE (SKU, UPC or alias) that product.

    Ends with exit status 1 when a till refuses products, or when the hub does not know CODE.
    """
    from deployments import product_reports as reports
    from tasks.use_cases.catalog import find_product, show_products

    if code is not None:
        found = find_product(_settings(context), code)
        if as_json:
            show_json(found)
        else:
            reports.show_product(code, found)
        if found is None:
            context.exit(EXIT_ATTENTION)
        return
    standing = show_products(_settings(context), stores)
    if as_json:
        show_json(standing)
    else:
        reports.show_product_standing(standing)
    if any(store.refused for store in standing.stores):
        context.exit(EXIT_ATTENTION)


@cli.command("receive-stock")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reference", metavar="REF", help="Name of the receipt; a name counts once.")
@_DRY_RUN
@_JSON
@click.pass_context
def receive_stock(
    context: click.Context, file: Path, reference: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take stock into the hub's warehouses from a CSV FILE: warehouse,sku,quantity.

    All or nothing, and each file once. Backorders that wait for these goods get them, oldest first.
    """
    from deployments.reports import show_allocated
    from tasks.use_cases.receiving import receive_stock as run

    report = run(_settings(context), file, reference=reference, dry_run=dry_run)
    if as_json:
        show_json(report)
        return
    if report.already:
        say(f"{report.receipt} was received before; nothing was changed.", indent=0)
        return
    say(
        f"{report.receipt}: {report.lines} lines, {show_units(report.units)} units into "
        f"{', '.join(report.warehouses)}.",
        indent=0,
    )
    show_allocated(report.allocated)
    if dry_run:
        click.echo("Dry run: nothing was written.")


@cli.command()
@click.argument("number")
@click.option("--store", metavar="CODE", help="Only of this store; numbers repeat between stores.")
@_JSON
@click.pass_context
def order(context: click.Context, number: str, store: str | None, as_json: bool) -> None:
    """Find orders by a NUMBER they have or had: of a layaway, a backorder or a ticket.

    Ends with exit status 1 when the hub has nothing of that number.
    """
    from deployments.reports import show_orders
    from tasks.use_cases.finding import find_order

    report = find_order(_settings(context), number, store)
    if as_json:
        show_json(report)
    else:
        show_orders(report)
    if not (report.orders or report.documents):
        context.exit(EXIT_ATTENTION)


@cli.command()
@click.argument("stores", nargs=-1)
@_JSON
@click.pass_context
def reconcile(context: click.Context, stores: Sequence[str], as_json: bool) -> None:
    """Compare the hub with the newest statements of STORES (default: all).

    Ends with exit status 1 when anything is unexplained, and names it.
    """
    from tasks.use_cases.reconciling import reconcile_stores

    result = reconcile_stores(_settings(context), stores)
    if as_json:
        show_json(result)
    else:
        from deployments.reports import show_reconciliation

        show_reconciliation(result)
    if result.unexplained:
        context.exit(EXIT_ATTENTION)


cli.add_command(quarantine)
cli.add_command(alerts)
cli.add_command(unblock)
cli.add_command(up)
cli.add_command(deploy)


@cli.command()
@_JSON
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show where each store stands: last ticket, last batch, what waits, what needs a person.

    On a store's own machine, without a hub, it shows what the exchange folder says.
    """
    from tasks.use_cases.standing import hub_is_elsewhere, show_standing, show_store_sides

    settings = _settings(context)
    if hub_is_elsewhere(settings):
        _show_store_sides(show_store_sides(settings), as_json)
        return
    standing = show_standing(settings)
    if as_json:
        show_json(standing)
        return
    show_table(
        ("store", "last ticket", "looked at RMS", "last import", "batches", "held", "pending"),
        [
            (
                s.hub.store,
                _minute(s.hub.last_ticket_utc),
                _minute(s.last_looked_utc),
                _minute(s.hub.last_import_utc),
                s.batches_waiting,
                s.hub.quarantined,
                s.hub.pending,
            )
            for s in standing.stores
        ],
    )
    orders = [(s.hub.store, s.hub.layaways, s.hub.backorders_waiting, s.hub.expired) for s in standing.stores]
    if any(any(figures) for _, *figures in orders):
        show_table(("store", "open layaways", "backorders that wait for stock", "past their date"), orders)
    _say_reasons(standing.lacking)
    say(standing.sentence, indent=0)


def _show_store_sides(sides: Sequence[StoreSide], as_json: bool) -> None:
    if as_json:
        show_json(sides)
        return
    show_table(
        ("store", "looked at RMS", "newest batch", "the hub's answer", "batches waiting"),
        [
            (
                side.store,
                _minute(side.last_looked_utc),
                side.newest_batch or "none",
                side.answer or "none yet",
                side.batches_waiting,
            )
            for side in sides
        ],
    )
    for side in sides:
        if side.held_back:
            say(
                f"{side.store}: {side.held_back:,} tickets are held back by a transaction open in RMS.",
                indent=0,
            )
        _say_reasons(side.lacking)
    if not any(side.lacking for side in sides):
        say("The hub has not said that it lacks a batch.", indent=0)


def _say_reasons(reasons: Sequence[Reason]) -> None:
    """Each with what to do about it."""
    for reason in reasons:
        say(reason.message, bullet="- ")
        say(f"What to do: {reason.fix}", indent=4)


def _say_warnings(batch: ImportedBatch) -> None:
    """One line for each rule that found something odd in what is booked all the same."""
    of_rule: dict[str, list[Reason]] = {}
    for warning in batch.warnings:
        of_rule.setdefault(warning.rule, []).append(warning)
    for rule, found in of_rule.items():
        more = f" And {len(found) - 1:,} documents more like this ({rule})." if len(found) > 1 else ""
        say(f"{batch.path}, booked all the same: {found[0].message}{more}", bullet="- ")


def _say_to_advance(count: int) -> None:
    what = "1 snapshot or pick-up waits" if count == 1 else f"{count:,} snapshots and pick-ups wait"
    say(f"{what} to be applied: `tillbridge advance` does it.", indent=0)


def _minute(utc: str | None) -> str:
    """A UTC time for people, short enough for a table: `11-23 08:15`."""
    return utc[5:16].replace("T", " ") if utc else "never"


# -- sample stores ----------------------------------------------------------------------------------
@cli.group()
def sample() -> None:
    """Build a sample RMS store from real tickets, and ring new ones in it."""


@sample.command()
@click.argument("store")
@click.option(
    "--tickets",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The full Online Retail CSV (.csv or .csv.xz) instead of the slice that comes along.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same store.")
@click.option("--store-id", type=int, default=1, show_default=True, help="RMS StoreID of the store.")
@click.option("--share", default="1/1", show_default=True, help="Which part of the invoices, as 2/5.")
@click.option("--sales-tax", is_flag=True, help="Tax on top of prices instead of VAT inside.")
@click.option("--history", type=click.IntRange(0), default=200, show_default=True, help="Older tickets.")
@click.option(
    "--catalog", type=click.Path(dir_okay=False, path_type=Path), help="Also write the products to this CSV."
)
@click.pass_context
def build(
    context: click.Context,
    store: str,
    tickets: Path | None,
    seed: int,
    store_id: int,
    share: str,
    sales_tax: bool,
    history: int,
    catalog: Path | None,
) -> None:
    """Build the RMS database of STORE at its rms_url: only where it is empty or a sample store."""
    from deployments.sample_store.build import UK_VAT, build_store
    from deployments.sample_store.catalog import write_catalog
    from deployments.sample_store.ring import VAT
    from deployments.sample_store.store import SampleStore
    from deployments.sample_store.tickets import SLICE, read_invoices, split_invoices

    part, of = _share(share)
    url = _settings(context).rms_url(store)
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    invoices = read_invoices(tickets or SLICE)
    report = build_store(
        url,
        store_id=store_id,
        invoices=split_invoices(invoices, of, seed)[part - 1],
        all_invoices=invoices,
        seed=seed,
        tax_system=0 if sales_tax else VAT,
        tax_basis_points=625 if sales_tax else UK_VAT,
    )
    if history:
        with SampleStore.open(url) as shop:
            shop.write_history(history)
    click.echo(
        f"Built {store}: {report.items:,} items, {history:,} older tickets, "
        f"{report.script:,} tickets ready to be rung by `tillbridge sample till {store}`."
    )
    if catalog is not None:
        click.echo(f"Wrote {write_catalog(catalog, invoices):,} products to {catalog}.")


@sample.command()
@click.argument("store")
@click.option("--per-minute", type=click.FloatRange(0.1, 6000), default=60.0, show_default=True, help="Rate.")
@click.option("--tickets", type=click.IntRange(1), help="Stop after so many; otherwise at Ctrl-C.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same tickets.")
@click.pass_context
def till(context: click.Context, store: str, per_minute: float, tickets: int | None, seed: int) -> None:
    """Keep ringing tickets in STORE's sample database, as of now."""
    from deployments.sample_store.till import run_till, tickets_among

    settings = _settings(context)
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        rung = run_till(
            settings.rms_url(store),
            rate_per_minute=per_minute,
            seed=seed,
            stop=interrupted.is_set,
            max_tickets=tickets,
            time_zone=settings.store(store).time_zone,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    click.echo(
        f"Rang {tickets_among(rung):,} tickets: "
        + ", ".join(f"{count} {kind}" for kind, count in sorted(rung.items()))
        + "."
    )


@sample.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(1, 65535), default=2222, show_default=True, help="Port.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("till_key"),
    show_default=True,
    help="Private key that may log in; written if it is not there.",
)
def sftp(folder: Path, port: int, key_file: Path) -> None:
    """Serve FOLDER over SFTP to this machine until Ctrl-C, to try the exchange; not for production."""
    from deployments.sftp_server import SftpServer, public_line

    folder.mkdir(parents=True, exist_ok=True)
    with SftpServer(folder, keys=[public_line(key_file)], port=port) as server:
        click.echo(
            f"Serving {folder} until Ctrl-C. In tillbridge.toml:\n\n[exchange]\n"
            f'url = "{server.url}"\nhost_keys = ["{server.fingerprint}"]\n'
            f"key_file = '{key_file.resolve()}'"
        )
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def _share(text: str) -> tuple[int, int]:
    try:
        part, of = (int(piece) for piece in text.split("/"))
    except ValueError:
        part, of = 0, 0
    if not 1 <= part <= of:
        raise click.BadParameter("write it as 2/5: the second of five parts", param_hint="--share")
    return part, of


def _numbers(text: str, option: str) -> tuple[int, int]:
    first, to, last = text.partition("-")
    try:
        pair = int(first), int(last if to else first)
    except ValueError:
        pair = 0, 0
    if not 1 <= pair[0] <= pair[1]:
        raise click.BadParameter(
            "write it as 10452-10455, the lower number first, or as 10452", param_hint=option
        )
    return pair


def _dates(text: str) -> tuple[date, date]:
    first, to, last = text.partition("..")
    try:
        pair = date.fromisoformat(first), date.fromisoformat(last if to else first)
    except ValueError:
        pair = date.max, date.min
    if pair[0] > pair[1]:
        raise click.BadParameter(
            "write it as 2010-12-01..2010-12-03, the earlier date first, or as 2010-12-01",
            param_hint="--dates",
        )
    return pair


def _each_store(
    settings: Settings, stores: Sequence[str], work: Callable[[str], _Report]
) -> tuple[dict[str, _Report], list[TillbridgeError]]:
    """What `work` returns for each store that has an RMS database here; one that fails stops no other.

    Named stores are all tried; without names, those that are configured here.
    """
    chosen = stores or [code for code, store in sorted(settings.stores.items()) if store.rms_url is not None]
    reports: dict[str, _Report] = {}
    failures: list[TillbridgeError] = []
    for code in chosen:
        try:
            reports[code] = work(code)
        except TillbridgeError as error:
            failures.append(error)
    return reports, failures


def _raise_first(failures: Sequence[TillbridgeError]) -> None:
    """Say every failure; the first one that trying again cannot clear decides the exit status."""
    if not failures:
        return
    deciding = next((error for error in failures if not error.transient), failures[0])
    for error in failures:
        if error is not deciding:
            _say_error(error)
    raise deciding


def _say_error(error: TillbridgeError) -> None:
    click.echo(f"Error: {error.message}", err=True)
    if error.next_step:
        click.echo(f"Next: {error.next_step}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors become one sentence and an exit status."""
    try:
        cli.main(args=list(arguments) if arguments is not None else None, prog_name="tillbridge")
    except TillbridgeError as error:
        _say_error(error)
        sys.exit(EXIT_TRANSIENT if error.transient else EXIT_FINAL)


if __name__ == "__main__":
    main()
