"""Turns what a run did into one readable artifact: what moved, what did not and why.

Keys are per flow and store, so that the UI shows their history. No row values beyond ticket numbers,
sums and the quarantine's sentences; never a customer, a card or a credential.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from data_contracts.amounts import show_money, show_units
from data_contracts.waiting import WAITING_TO_ADVANCE

if TYPE_CHECKING:
    from data_contracts.manifest import ProductAnswer
    from tasks.hub.products import CatalogOutcome
    from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder, StoreAdvance
    from tasks.use_cases.applying_products import ProductsReport
    from tasks.use_cases.cleaning import Cleaning
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.exporting_products import ProductExports
    from tasks.use_cases.importing import ImportSummary
    from tasks.use_cases.quarantine import DeskReport
    from tasks.use_cases.receiving import ReceiptReport
    from tasks.use_cases.reconciling import Reconciliation
    from tasks.use_cases.resending import ResendReport
    from tasks.use_cases.stating import StatementReport

ADVANCED = (
    "snapshots and pick-ups applied",
    "picked up whole",
    "picked up in part",
    "cancelled, wholly or the rest",
    "otherwise changed",
    "past their date",
    "still waiting",
    "put into quarantine",
    "units reserved less freed",
    "money of the pick-ups",
)
"""What an advance says of a store, in the order of its figures."""

MOST_REASONS = 50
"""Reasons listed in an artifact; the rest is counted and found by `tillbridge quarantine`."""


def show_export(store: str, report: ExportReport) -> None:
    """One line in the log; an artifact if something moved or waits."""
    sentence = (
        f"{store}: {report.tickets} tickets, {report.lines} lines, {show_money(report.money)}, "
        f"{report.orders} orders in {len(report.batches)} batches; {report.waiting} waiting, "
        f"{report.held_back} held back"
    )
    get_run_logger().info(sentence)
    if not (report.batches or report.waiting or report.held_back):
        return
    _publish(
        f"export-orders-{store}",
        f"# Export of {store}",
        table(
            ("what", "figure"),
            [
                ("tickets", report.tickets),
                ("lines", report.lines),
                ("units", show_units(report.units)),
                ("money", show_money(report.money)),
                ("layaways and backorders, new or changed", report.orders),
                ("deposits on them", show_money(report.deposits)),
                ("not finished by RMS yet", report.waiting),
                ("held back by an open transaction in RMS", report.held_back),
                ("older than the baseline, left alone", report.before_baseline),
            ],
        ),
        _batches(report.batches),
    )


def _batches(paths: Sequence[str]) -> str:
    return "Batches: " + (", ".join(f"`{path}`" for path in paths) or "none")


def show_resend(label: str, report: ResendReport) -> None:
    """What went, or would go, and what was left out and why."""
    get_run_logger().info(
        "%s: %d tickets, %s, %d orders in %d batches%s",
        label,
        report.tickets,
        show_money(report.money),
        report.orders,
        len(report.batches),
        _dry(report.dry_run),
    )
    _publish(
        f"resend-period-{report.store}",
        f"# Sent again: {label}" + (" (dry run: nothing was published)" if report.dry_run else ""),
        table(
            ("what", "figure"),
            [
                ("tickets", report.tickets),
                ("lines", report.lines),
                ("units", show_units(report.units)),
                ("money", show_money(report.money)),
                ("layaways and backorders", report.orders),
                ("deposits on them", show_money(report.deposits)),
                ("that never settled, flagged", report.unsettled),
                ("left to the ordinary export: RMS is still writing them", report.left_to_export),
                ("left out: from before the baseline", report.before_baseline),
                ("left out: numbers under which RMS holds nothing", report.absent),
            ],
        ),
        _batches(report.batches),
    )


def show_statement(store: str, report: StatementReport) -> None:
    """One line in the log and a small artifact."""
    get_run_logger().info(
        "%s: statement %s to %s, %s tickets", store, report.first_date, report.last_date, report.tickets
    )
    _publish(
        f"statement-{store}",
        f"# Statement of {store}",
        table(
            ("what", "figure"),
            [
                ("business dates", f"{report.first_date} to {report.last_date}"),
                ("tickets", report.tickets),
                ("units", show_units(report.units)),
                ("money", show_money(report.money)),
                ("numbers RMS never filled", report.absent),
                ("open layaways and backorders", report.open_orders),
                ("deposits", show_money(report.deposits)),
                ("not finished by RMS yet", report.waiting),
            ],
        ),
    )


def show_products(report: ProductsReport) -> None:
    """What became of each batch, every product that is not at the till, and what was cut or replaced."""
    get_run_logger().info(report.sentence)
    if not report.batches:
        return
    states = ("created", "updated", "unchanged", "refused", "superseded")
    parts = [
        f"# Products to {report.store}" + _dry(report.dry_run),
        table(
            ("batch", "state", *states),
            [(f"`{b.path}`", b.state, *(b.count(state) for state in states)) for b in report.batches],
        ),
    ]
    parts += [f"**{b.path} was rejected:** {reason.message}" for b in report.batches for reason in b.reasons]
    if report.refused:
        rows = [(f"`{a.sku}`", a.message, a.fix) for a in report.refused[:MOST_REASONS]]
        parts += ["## Not at the till", table(("product", "why", "what to do"), rows)]
        parts += _unlisted(report.refused)
    if report.noted:
        rows = [(f"`{a.sku}`", a.state, " ".join(a.notes)) for a in report.noted[:MOST_REASONS]]
        parts += ["## Cut, left out or replaced", table(("product", "state", "what"), rows)]
        parts += _unlisted(report.noted)
    _publish(f"apply-products-{report.store}", *parts)


def _unlisted(answers: Sequence[ProductAnswer]) -> list[str]:
    more = len(answers) - MOST_REASONS
    return [f"... and {more} more, in the acknowledgements in `acks/`."] if more > 0 else []


def show_catalog(outcome: CatalogOutcome) -> None:
    """What a catalogue changed, and every product that was left out; an artifact if there is any of it."""
    log = get_run_logger()
    if outcome.already:
        log.info("the catalogue is the one imported last; %d tickets left the quarantine", outcome.cleared)
        return
    log.info(
        "%d products: %d new, %d changed, %d unchanged, %d refused; %d tickets left the quarantine",
        outcome.products,
        outcome.created,
        outcome.changed,
        outcome.unchanged,
        outcome.refused,
        outcome.cleared,
    )
    if not (outcome.moved or outcome.refused or outcome.cleared):
        return
    parts = [
        "# Catalogue" + _dry(outcome.dry_run),
        table(
            ("what", "figure"),
            [
                ("products in the file", outcome.products),
                ("new", outcome.created),
                ("changed", outcome.changed),
                ("of these no longer active", outcome.deactivated),
                ("as they were", outcome.unchanged),
                ("left out", outcome.refused),
                ("tickets that left the quarantine", outcome.cleared),
            ],
        ),
    ]
    if outcome.reasons:
        parts += [
            "## Left out",
            table(("why", "what to do"), [(r.message, r.fix) for r in outcome.reasons[:MOST_REASONS]]),
        ]
        more = len(outcome.reasons) - MOST_REASONS
        parts += [f"... and {more} more: `tillbridge import-catalog FILE`."] if more > 0 else []
    if outcome.to_look_at:
        parts += [
            "## To look at",
            table(
                ("products", "for example", "what to do"),
                [(count, reason.message, reason.fix) for count, reason in outcome.to_look_at],
            ),
        ]
    if outcome.ignored:
        parts.append("Columns that nothing was taken from: " + ", ".join(outcome.ignored))
    _publish("import-catalog", *parts)


def show_product_exports(label: str, report: ProductExports) -> None:
    """What each store was sent and has answered; an artifact if anything moved."""
    log = get_run_logger()
    log.info(report.sentence)
    for store, text in report.failures.items():
        log.error("%s stopped: %s", store, text)
    moved = [store for store in report.stores if store.products or store.answered]
    if not (moved or report.failures):
        return
    parts = [f"# {report.sentence}" + _dry(report.dry_run)]
    if moved:
        parts.append(
            table(
                ("store", "sent", "of these inactive", "batches", "answers", "at the till", "refused"),
                [
                    (s.store, s.products, s.inactive, len(s.batches), s.answered, s.at_till, s.refused)
                    for s in moved
                ],
            )
        )
    reasons = [(store.store, reason) for store in moved for reason in store.reasons]
    if reasons:
        parts += [
            "## Refused at the till",
            table(
                ("store", "product", "why", "what to do"),
                [(s, r.document or "", r.message, r.fix) for s, r in reasons[:MOST_REASONS]],
            ),
        ]
        more = len(reasons) - MOST_REASONS
        parts += [f"... and {more} more: `tillbridge products`."] if more > 0 else []
    parts += [f"**{store} stopped:** {text}" for store, text in report.failures.items()]
    _publish(f"export-products-{label}", *parts)


def show_import(summary: ImportSummary) -> None:
    """What became of each batch, and every reason for quarantine."""
    batches = summary.checked or summary.batches
    get_run_logger().info(
        "%d batches: %d documents accepted, %d quarantined, %d pending",
        len(batches),
        summary.accepted,
        summary.quarantined,
        summary.pending,
    )
    if not (batches or summary.failures):
        return
    reasons = [
        (batch.path, reason)
        for batch in batches
        for reason in batch.reasons
        if reason.rule != WAITING_TO_ADVANCE
    ]
    parts = [
        "# Import" + (" (dry run: nothing was imported)" if summary.checked else ""),
        table(
            ("batch", "state", "documents", "accepted", "quarantined", "pending", "seen before", "money"),
            [
                (
                    f"`{b.path}`",
                    b.state,
                    b.documents,
                    b.accepted,
                    b.quarantined,
                    b.pending,
                    b.seen_before,
                    show_money(b.money),
                )
                for b in batches
            ],
        ),
    ]
    if reasons:
        parts += [
            "## What needs attention",
            table(
                ("document", "why", "what to do"),
                [
                    (f"`{reason.document or path}`", reason.message, reason.fix)
                    for path, reason in reasons[:MOST_REASONS]
                ],
            ),
            *_left_out(len(reasons)),
        ]
    odd = [(batch.path, warning) for batch in batches for warning in batch.warnings]
    if odd:
        parts += [
            "## Booked all the same, but odd",
            table(
                ("document", "what", "what to do"),
                [(f"`{w.document or path}`", w.message, w.fix) for path, w in odd[:MOST_REASONS]],
            ),
        ]
    if any(reason.rule == WAITING_TO_ADVANCE for batch in batches for reason in batch.reasons):
        parts.append("Layaways and backorders moved on: advance-layaways and advance-backorders apply it.")
    parts += [f"**{store} stopped:** {text}" for store, text in summary.failures.items()]
    _publish("import-orders", *parts)


def show_advance(label: str, report: AdvanceReport) -> None:
    """What became of layaways or backorders in each store; an artifact if anything moved or waits."""
    log = get_run_logger()
    log.info(report.sentence)
    for store, text in report.failures.items():
        log.error("%s stopped: %s", store, text)
    moved = report.moved
    if not (moved or report.allocated or report.failures):
        return
    parts = [f"# Advance of {report.kind}s" + _dry(report.dry_run)]
    if moved:
        columns = zip(ADVANCED, *map(_advanced, moved), strict=True)
        parts.append(table(("what", *(store.store for store in moved)), columns))
    if report.allocated:
        parts += ["## Stock given to backorders, oldest first", _given(report.allocated)]
    reasons = [f"- {store.store}: {text}" for store in report.stores for text in store.reasons]
    if reasons:
        parts += ["## What waits, and for what", "\n".join(reasons[:MOST_REASONS]), *_left_out(len(reasons))]
    parts += [f"**{store} stopped:** {text}" for store, text in report.failures.items()]
    _publish(f"advance-{report.kind}s-{label}", *parts)


def _advanced(store: StoreAdvance) -> tuple[Any, ...]:
    """The figures of a store, as `ADVANCED` names them."""
    return (
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


def show_receipt(report: ReceiptReport) -> None:
    """What a receipt brought and who was given it."""
    if report.already:
        get_run_logger().info("receipt %s was received before; nothing was changed", report.receipt)
        return
    get_run_logger().info(
        "receipt %s: %d lines, %s units into %s; %d backorders given stock",
        report.receipt,
        report.lines,
        show_units(report.units),
        ", ".join(report.warehouses),
        len(report.allocated),
    )
    parts = [
        "# Stock received" + _dry(report.dry_run),
        table(
            ("what", "figure"),
            [
                ("receipt", f"`{report.receipt}`"),
                ("lines", report.lines),
                ("units", show_units(report.units)),
                ("warehouses", ", ".join(report.warehouses)),
            ],
        ),
    ]
    if report.allocated:
        parts += ["## Given to waiting backorders, oldest first", _given(report.allocated)]
    _publish("receive-stock", *parts)


def show_desk(report: DeskReport) -> None:
    """What became of each document, and who decided why."""
    get_run_logger().info(report.sentence)
    parts = [
        "# Quarantine" + _dry(report.dry_run),
        f"**{report.sentence}**",
        table(("what", "by whom", "why"), [(report.action, report.by, report.why)]),
    ]
    if report.decided:
        parts.append(
            table(
                ("document", "now", "what it says", "what to do"),
                [
                    (f"`{of.document}`", of.outcome, of.message, of.fix)
                    for of in report.decided[:MOST_REASONS]
                ],
            )
        )
    parts += _left_out(len(report.decided))
    _publish("release-quarantine", *parts)


def _left_out(count: int) -> list[str]:
    """A line that says how many of so many reasons were not listed, and where they are."""
    more = count - MOST_REASONS
    return [f"... and {more} more: `tillbridge quarantine`."] if more > 0 else []


def _given(allocated: Sequence[AllocatedOrder]) -> str:
    return table(
        ("order", "number", "units", "still waits"),
        [
            (f"`{order.order_id}`", order.number, show_units(order.units), "no" if order.filled else "yes")
            for order in allocated
        ],
    )


def _dry(dry_run: bool) -> str:
    return " (dry run: nothing was written)" if dry_run else ""


def show_reconciliation(result: Reconciliation) -> None:
    """The comparison store by store, day by day, and every finding by name."""
    get_run_logger().info(result.sentence)
    parts = ["# Reconciliation", f"**{result.sentence}**"]
    for store in result.stores:
        parts += [
            f"## {store.store}",
            table(
                ("business date", "Z batch", "store", "accepted", "quarantined", "pending", "apart"),
                [
                    (
                        day.business_date,
                        day.z_batch,
                        day.store.tickets,
                        day.accepted.tickets,
                        day.quarantined.tickets,
                        day.pending.tickets,
                        show_money(day.difference.total),
                    )
                    for day in store.days
                ],
            ),
        ]
    if result.findings:
        parts += ["## Unexplained", "\n".join(f"- {text}" for text in result.findings)]
    if result.explained:
        parts += ["## Explained", "\n".join(f"- {text}" for text in result.explained)]
    _publish("reconcile", *parts)


def show_cleaning(label: str, report: Cleaning) -> None:
    """What was removed of each store, and what is old and stays; an artifact if there is anything to say."""
    log = get_run_logger()
    log.info(report.sentence)
    for store, text in report.failures.items():
        log.error("%s stopped: %s", store, text)
    told = [store for store in report.stores if store.anything or store.kept]
    if not (told or report.failures):
        return
    parts = [f"# {report.sentence}"]
    if told:
        parts.append(
            table(
                ("store", "batches", "acknowledgements", "killed exports", "files", "copies in the inbox"),
                [(s.store, s.batches, s.answers, s.leftovers, s.files, s.inbox) for s in told],
            )
        )
    parts += [f"- {text}" for store in told for text in store.kept]
    parts += [f"**{store} stopped:** {text}" for store, text in report.failures.items()]
    _publish(f"clean-exchange-{label}", *parts)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A markdown table; every row has a cell per header, and cells cannot break out of it."""
    lines = [" | ".join(headers), " | ".join("---" for _ in headers)]
    for row in rows:
        cells = (
            str(cell).replace("|", "\\|").replace("\n", " ") for _, cell in zip(headers, row, strict=True)
        )
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def _publish(key: str, *parts: str) -> None:
    create_markdown_artifact(markdown="\n\n".join(parts), key=key.lower().replace("_", "-"))
