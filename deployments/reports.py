"""The longer reports of the command line and the demo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from data_contracts.amounts import show_money, show_units
from data_contracts.reconciling import Day, Figures
from deployments.output import say, show_table

if TYPE_CHECKING:
    from tasks.hub.lookup import FoundOrder
    from tasks.hub.product_standing import FoundProduct, ProductStanding
    from tasks.hub.products import CatalogOutcome
    from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder
    from tasks.use_cases.exporting_products import ProductExports
    from tasks.use_cases.finding import FoundReport
    from tasks.use_cases.reconciling import Reconciliation

MOST_FINDINGS = 40


def show_advance(report: AdvanceReport) -> None:
    """What became of layaways or backorders: a row per store, and who was given stock.

    Columns without a figure in any store are left out, so that the table fits the page.
    """
    if not (report.moved or report.allocated):
        say(f"{report.kind}s: nothing is to be applied.".capitalize(), indent=0)
    names = ("store", "applied", "whole", "partly", "ended", "changed", "expired", "waiting", "held")
    rows = [
        (
            store.store,
            store.applied,
            store.picked_up,
            store.partly,
            store.cancelled,
            store.changed,
            store.expired,
            store.waiting,
            store.quarantined,
            show_units(store.reserved),
            show_money(store.money),
        )
        for store in report.moved
    ]
    headers = (*names, "reserved", "money")
    kept = [at for at in range(len(headers)) if any(row[at] not in (0, "0", "0.00") for row in rows)]
    if rows:
        show_table(
            [headers[at] for at in kept],
            [[row[at] for at in kept] for row in rows],
            title=f"{report.kind}s".capitalize(),
        )
    for store in report.stores:
        _list(f"{store.store}, what waits:", store.reasons)
    show_allocated(report.allocated)


def show_allocated(allocated: Sequence[AllocatedOrder]) -> None:
    """Backorders that were given stock, oldest first."""
    if allocated:
        show_table(
            ("backorder", "number", "units", "still waits"),
            [(o.order_id, o.number, show_units(o.units), "no" if o.filled else "yes") for o in allocated],
        )


def show_orders(report: FoundReport) -> None:
    """Each order that a number finds, and what of the number waits."""
    say(report.sentence, indent=0)
    for order in report.orders:
        click.echo()
        show_order(order)
    for document in report.documents:
        say(f"{document.document} ({document.state}): {document.message}", bullet="- ")
        say(f"What to do: {document.fix}", indent=4)


def show_order(order: FoundOrder) -> None:
    """Where an order stands, every number that finds it, its lines."""
    state = f"{order.state}; " if order.state else ""
    say(
        f"{order.order_id}: {order.kind}, {state}{order.order_status}, {order.payment_status}, "
        f"{order.shipping_status}"
    )
    numbers = [f"{n.number} ({n.kind} number, since {_minute(n.since_utc)} UTC)" for n in order.numbers]
    say(f"Goes by {order.source_order_id}. Found by {', '.join(numbers)}.")
    late = " (passed)" if order.expired else ""
    until = f", expires {order.expires_on}{late}" if order.expires_on else ""
    held = f", deposit held {show_money(order.deposit)}" if order.state else ""
    say(f"Ordered {_minute(order.ordered_at_utc)} UTC{until}; warehouse {order.warehouse}.")
    say(f"Total {show_money(order.total)}, paid {show_money(order.paid)}{held}.")
    click.echo()
    show_table(
        ("sku", "ordered", "reserved", "awaited", "picked up", "returned", "price"),
        [
            (
                line.sku,
                show_units(line.ordered),
                show_units(line.reserved),
                show_units(line.backordered),
                show_units(line.picked_up),
                show_units(line.returned),
                show_money(line.unit_price),
            )
            for line in order.lines
        ],
    )


def _minute(utc: str) -> str:
    return utc[:16].replace("T", " ")


def show_reconciliation(result: Reconciliation) -> None:
    """A table per store with a row per business date, then what is explained and what is not."""
    for store in result.stores:
        by_date: dict[str, list[Day]] = defaultdict(list)
        for day in store.days:
            by_date[day.business_date].append(day)
        rows = []
        for date, days in sorted(by_date.items()):
            stated = sum((day.store for day in days), Figures())
            apart = sum((day.difference for day in days), Figures())
            rows.append(
                (
                    date,
                    len(days),
                    stated.tickets,
                    show_units(stated.units),
                    show_money(stated.total),
                    sum(day.accepted.tickets for day in days),
                    sum(day.quarantined.tickets + day.pending.tickets for day in days),
                    show_money(apart.total),
                )
            )
        show_table(
            ("date", "Z", "tickets", "units", "money", "in hub", "waiting", "apart"),
            rows,
            title=f"{store.store}: the store's statement against the hub",
        )
    _list("Explained:", result.explained)
    _list("Unexplained:", result.findings)
    say(result.sentence)


def _list(title: str, texts: tuple[str, ...]) -> None:
    if not texts:
        return
    say(title)
    for text in texts[:MOST_FINDINGS]:
        say(text, indent=4, bullet="- ")
    if len(texts) > MOST_FINDINGS:
        say(f"... and {len(texts) - MOST_FINDINGS} more: use --json", indent=4)
    click.echo()


def show_catalog(report: CatalogOutcome) -> None:
    """What a catalogue changed in the hub, and what of it was left out."""
    if report.rejected:
        say(f"{report.reasons[0].message} What to do: {report.reasons[0].fix}", indent=0)
        return
    say(
        f"{report.products:,} products are in the catalogue file: {report.created:,} new, "
        f"{report.changed:,} changed ({report.deactivated:,} of them no longer active), "
        f"{report.unchanged:,} as they were, {report.refused:,} left out; "
        f"{report.cleared} tickets left the quarantine because of it.",
        indent=0,
    )
    _list("Left out:", tuple(f"{reason.message} What to do: {reason.fix}" for reason in report.reasons))
    _list(
        "To look at:",
        tuple(
            f"{reason.message}{f' And {count - 1:,} more like it.' * (count > 1)} What to do: {reason.fix}"
            for count, reason in report.to_look_at
        ),
    )
    if report.ignored:
        say(f"Columns that nothing was taken from: {', '.join(report.ignored)}.", indent=0)
    if report.dry_run:
        click.echo("Dry run: nothing was written.")


def show_product_exports(report: ProductExports) -> None:
    """What each store was sent and has answered."""
    moved = [store for store in report.stores if store.products or store.answered]
    if moved:
        show_table(
            ("store", "sent", "inactive", "batches", "answers", "at the till", "refused"),
            [
                (s.store, s.products, s.inactive, len(s.batches), s.answered, s.at_till, s.refused)
                for s in moved
            ],
        )
    elif not report.failures:
        click.echo("Nothing is to be sent, and no answer has come.")
    for store in report.stores:
        reasons = (f"{reason.document or 'the batch'}: {reason.message}" for reason in store.reasons)
        _list(f"{store.store}, refused:", tuple(reasons))
        if store.skipped:
            say(f"{store.store} takes no part: {store.skipped}.", indent=0)
    if report.dry_run:
        click.echo("Dry run: nothing was sent.")


def show_product_standing(standing: ProductStanding) -> None:
    """The catalogue in a sentence, a row per store, and the newest refusals with what to do."""
    imported = f", last imported {standing.last_import_utc[:16]}" if standing.last_import_utc else ""
    left_out = f" ({standing.last_refused:,} of its products were left out)" if standing.last_refused else ""
    say(
        f"{standing.products:,} products, {standing.active:,} active{imported}{left_out}.",
        indent=0,
    )
    parts = [store for store in standing.stores if store.takes_part]
    if parts:
        show_table(
            ("store", "at till", "on its way", "refused", "to send", "oldest", "answered"),
            [
                (
                    s.store,
                    s.at_till,
                    s.on_the_way,
                    s.refused,
                    s.to_send,
                    _when(s.oldest_utc),
                    _when(s.last_answer_utc),
                )
                for s in parts
            ],
        )
    for store in standing.stores:
        if not store.takes_part:
            say(f"{store.store} was sent no products yet.", indent=0)
        for refused in store.reasons:
            say(f"{store.store}, {refused.sku}: {refused.message}", bullet="- ")
            say(f"What to do: {refused.fix} (sent {refused.attempts} times)", indent=4)
        if store.refused > len(store.reasons):
            say(f"... and {store.refused - len(store.reasons):,} more of {store.store}", indent=4)


def show_product(code: str, found: FoundProduct | None) -> None:
    """One product in the hub and at every till."""
    if found is None:
        say(f"The hub knows no product with the SKU, UPC or alias `{code}`.", indent=0)
        return
    kind = "".join([", a shadow of " + found.shadow_of if found.shadow_of else "", ", a kit" * found.is_kit])
    say(
        f"{found.sku}: {found.name}, {'active' if found.active else 'inactive'}{kind}; "
        f"{show_money(found.till_price)} at a till.",
        indent=0,
    )
    if found.codes:
        say(f"Found by {', '.join(found.codes)} as well.", indent=0)
    show_table(
        ("store", "state", "sent", "at the till since", "attempts"),
        [
            (s.store, s.state.replace("_", " "), _when(s.sent_utc), _when(s.till_utc), s.attempts)
            for s in found.stores
        ],
    )
    for store in found.stores:
        if store.message:
            say(f"{store.store}: {store.message} What to do: {store.fix}", bullet="- ")
        for note in store.notes:
            say(f"{store.store}: {note}", bullet="- ")


def _when(utc: str | None) -> str:
    """A UTC time in a table, nothing where there is none: `11-23 08:15`."""
    return utc[5:16].replace("T", " ") if utc else ""
