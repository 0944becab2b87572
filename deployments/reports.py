"""The longer reports of the command line and the demo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from data_contracts.amounts import columns_that_tell, show_money, show_units
from data_contracts.reconciling import Day, Figures
from deployments.output import alike, say, show_table

if TYPE_CHECKING:
    from tasks.hub.lookup import FoundOrder
    from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder
    from tasks.use_cases.applying_products import ProductsReport
    from tasks.use_cases.finding import FoundReport
    from tasks.use_cases.reconciling import Reconciliation

MOST_FINDINGS = 40

MOST_PRODUCTS = 10
"""Products printed with their reasons; the acknowledgements hold them all."""


def show_advance(report: AdvanceReport) -> None:
    """What became of layaways or backorders: a row per store, and who was given stock.

    Columns without a figure in any store are left out, so that the table fits the page.
    """
    if not (report.moved or report.allocated):
        say(f"{report.kind}s: nothing is to be applied.".capitalize(), indent=0)
    names = ("store", "applied", "whole", "partly", "ended", "changed", "expired", "waiting", "held")
    rows = [(store.store, *store.figures) for store in report.moved]
    headers = (*names, "reserved", "money")
    kept = columns_that_tell(rows)
    if rows:
        show_table(
            [headers[at] for at in kept],
            [[row[at] for at in kept] for row in rows],
            title=f"{report.kind}s".capitalize(),
        )
    for store in report.stores:
        list_texts(f"{store.store}, what waits:", store.reasons)
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
    list_texts("Explained:", result.explained)
    list_texts("Unexplained:", result.findings)
    say(result.sentence)


def list_texts(title: str, texts: tuple[str, ...]) -> None:
    """A title and its sentences, one under the other; nothing where there is none."""
    if not texts:
        return
    say(title)
    for text in texts[:MOST_FINDINGS]:
        say(text, indent=4, bullet="- ")
    if len(texts) > MOST_FINDINGS:
        say(f"... and {len(texts) - MOST_FINDINGS} more: use --json", indent=4)
    click.echo()


def show_products(reports: Sequence[ProductsReport]) -> None:
    """A row per store, then the products that are not at the till, and what was cut or replaced."""
    states = ("created", "updated", "unchanged", "refused", "superseded")
    show_table(
        ("store", "batches", *states),
        [(r.store, len(r.batches), *(r.count(state) for state in states)) for r in reports],
    )
    for report in reports:
        for batch in report.batches:
            for reason in batch.reasons:
                say(f"{batch.path} was rejected: {reason.message}", bullet="- ")
        refused = alike(report.refused, lambda product: (product.message, product.fix))
        for product, more in refused[:MOST_PRODUCTS]:
            say(f"{report.store}, {product.sku}{more}: {product.message}", bullet="- ")
            say(f"What to do: {product.fix}.", indent=4)
        for product in report.noted[:MOST_PRODUCTS]:
            say(f"{report.store}, {product.sku}: {' '.join(product.notes)}", bullet="- ")
        unlisted = sum(max(0, len(found) - MOST_PRODUCTS) for found in (refused, report.noted))
        if unlisted:
            say(f"... and {unlisted} more, in {report.store}/products/acks.", indent=4)
