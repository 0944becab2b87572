"""What the flows of the hub say: imports, what moved on, goods received, decisions about the quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect.logging import get_run_logger

from data_contracts.amounts import counted, show_money, show_units
from data_contracts.manifest import Reason
from data_contracts.waiting import WAITING_TO_ADVANCE
from flows.reporting.pages import (
    MOST_ROWS,
    dry,
    form,
    lean_table,
    more,
    publish,
    publish_by_store,
    stopped,
    table,
)

if TYPE_CHECKING:
    from tasks.use_cases.advancing import AdvanceReport, AllocatedOrder
    from tasks.use_cases.arrivals import ImportedBatch, ImportSummary
    from tasks.use_cases.cleaning import Cleaning
    from tasks.use_cases.quarantine import DeskReport
    from tasks.use_cases.receiving import ReceiptReport

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
"""Names of the figures of a `StoreAdvance`, in their order."""

BATCH_COLUMNS = (
    "batch",
    "state",
    "documents",
    "accepted",
    "quarantined",
    "pending",
    "seen before",
    "units",
    "money",
    "booked",
)
"""What an import says of a batch."""

IN_QUARANTINE = "`tillbridge quarantine`"
STOCK = "stock"
"""Who failed if it was not a store: the giving out of stock."""


def show_import(summary: ImportSummary) -> None:
    """What became of each batch, and every reason for quarantine: a page for each store."""
    batches = summary.checked or summary.batches
    get_run_logger().info(_import_sentence(batches))
    stores = dict.fromkeys([*(batch.store for batch in batches), *summary.failures])
    publish_by_store("import-orders", stores, lambda chosen: _import_page(summary, chosen))


def _import_sentence(batches: Sequence[ImportedBatch]) -> str:
    accepted, quarantined, pending = (
        sum(getattr(batch, name) for batch in batches) for name in ("accepted", "quarantined", "pending")
    )
    return (
        f"{len(batches)} {'batch' if len(batches) == 1 else 'batches'}: "
        f"{counted(accepted, 'document')} accepted, "
        f"{quarantined} quarantined, {pending} pending"
    )


def _import_page(summary: ImportSummary, stores: Sequence[str]) -> tuple[str, list[str]]:
    batches = [batch for batch in summary.checked or summary.batches if batch.store in stores]
    sentence = _import_sentence(batches)
    parts = [
        f"# Import of {', '.join(stores)}" + dry(bool(summary.checked), "nothing was imported"),
        f"**{sentence}**",
    ]
    if batches:
        parts += [_batch_table(batches), *_where_to_look(batches, stores)]
    reasons = [
        (batch.path, reason)
        for batch in batches
        for reason in batch.reasons
        if reason.rule != WAITING_TO_ADVANCE
    ]
    if reasons:
        parts += [
            "## What needs attention",
            table(
                ("document", "why", "what to do"),
                [(f"`{r.document or path}`", r.message, r.fix) for path, r in reasons[:MOST_ROWS]],
            ),
            *more(len(reasons), IN_QUARANTINE),
            *_to_the_desk([reason for _, reason in reasons]),
        ]
    odd = [(batch.path, warning) for batch in batches for warning in batch.warnings]
    if odd:
        parts += [
            "## Booked all the same, but odd",
            table(
                ("document", "what", "what to do"),
                [(f"`{w.document or path}`", w.message, w.fix) for path, w in odd[:MOST_ROWS]],
            ),
        ]
    if any(reason.rule == WAITING_TO_ADVANCE for batch in batches for reason in batch.reasons):
        parts.append("Layaways and backorders moved on: advance-layaways and advance-backorders apply it.")
    parts += stopped({store: text for store, text in summary.failures.items() if store in stores})
    return sentence, parts


def _batch_table(batches: Sequence[ImportedBatch]) -> str:
    return lean_table(
        BATCH_COLUMNS,
        [
            (
                f"`{b.path}`",
                b.state,
                b.documents,
                b.accepted,
                b.quarantined,
                b.pending,
                b.seen_before,
                show_units(b.units),
                show_money(b.money),
                ", ".join(b.booked),
            )
            for b in batches
        ],
        keep=("documents", "accepted", "money"),
    )


def _where_to_look(batches: Sequence[ImportedBatch], stores: Sequence[str]) -> list[str]:
    """From a batch to its orders and to its files."""
    booked = any(batch.booked for batch in batches)
    store = stores[0] if len(stores) == 1 else "STORE"
    parts = [f"An order goes by the number of its ticket: `tillbridge order NUMBER --store {store}`."]
    folders = sorted({f"`{batch.path.rpartition('/')[0]}/archive/`" for batch in batches})
    return [
        " ".join((parts if booked else []) + [f"Files, once imported: {', '.join(folders)} of the exchange."])
    ]


def _to_the_desk(reasons: Sequence[Reason]) -> list[str]:
    """How what is in quarantine leaves it: by itself, or by a person's word in a form."""
    documents = list(dict.fromkeys(reason.document for reason in reasons if reason.document))[:MOST_ROWS]
    if not documents:
        return []
    address = form("release-quarantine", {"scope": {"action": "release", "documents": documents}})
    by_form = f", or [fill in the form]({address}) with who you are and why" if address else ""
    return [
        "What is here leaves the quarantine by itself once its cause is gone. To decide about it, look with "
        f"`tillbridge quarantine show {documents[0]}` and say `tillbridge quarantine release`, `edit` or "
        f"`discard`{by_form}."
    ]


def show_advance(report: AdvanceReport) -> None:
    """What became of layaways or backorders: a page for each store of which anything moved or waits."""
    log = get_run_logger()
    log.info(report.sentence)
    for store, text in report.failures.items():
        log.error("%s stopped: %s", store, text)
    if not (report.moved or report.allocated or report.failures):
        return
    stores = [store.store for store in report.moved]
    stores += [_store_of(order) for order in report.allocated]
    stores += [store for store in report.failures if store != STOCK]
    publish_by_store(
        f"advance-{report.kind}s", dict.fromkeys(stores), lambda chosen: _advance_page(report, chosen)
    )


def _store_of(order: AllocatedOrder) -> str:
    return order.order_id.partition("/")[0]


def _advance_page(report: AdvanceReport, stores: Sequence[str]) -> tuple[str, list[str]]:
    chosen = replace(
        report,
        stores=tuple(store for store in report.stores if store.store in stores),
        allocated=tuple(order for order in report.allocated if _store_of(order) in stores),
        failures={name: text for name, text in report.failures.items() if name in (*stores, STOCK)},
    )
    parts = [f"# Advance of {report.kind}s" + dry(report.dry_run)]
    if moved := chosen.moved:
        columns = zip(ADVANCED, *(store.figures for store in moved), strict=True)
        parts.append(table(("what", *(store.store for store in moved)), columns))
    if chosen.allocated:
        parts += ["## Stock given to backorders, oldest first", _given(chosen.allocated)]
    reasons = [f"- {store.store}: {text}" for store in chosen.stores for text in store.reasons]
    if reasons:
        parts += ["## What waits, and for what", "\n".join(reasons[:MOST_ROWS])]
        parts += more(len(reasons), IN_QUARANTINE)
    return chosen.sentence, [*parts, *stopped(chosen.failures)]


def show_receipt(report: ReceiptReport) -> None:
    """What a receipt brought and who was given it."""
    if report.already:
        get_run_logger().info("receipt %s was received before; nothing was changed", report.receipt)
        return
    sentence = (
        f"receipt {report.receipt}: {report.lines} lines, {show_units(report.units)} units into "
        f"{', '.join(report.warehouses)}; {len(report.allocated)} backorders given stock"
    )
    get_run_logger().info(sentence)
    parts = [
        "# Stock received" + dry(report.dry_run),
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
    publish("receive-stock", sentence, parts)


def _given(allocated: Sequence[AllocatedOrder]) -> str:
    return table(
        ("order", "number", "units", "still waits"),
        [
            (f"`{order.order_id}`", order.number, show_units(order.units), "no" if order.filled else "yes")
            for order in allocated
        ],
    )


def show_desk(report: DeskReport) -> None:
    """What became of each document, and who decided why."""
    get_run_logger().info(report.sentence)
    parts = [
        "# Quarantine" + dry(report.dry_run),
        f"**{report.sentence}**",
        table(("what", "by whom", "why"), [(report.action, report.by, report.why)]),
    ]
    if report.decided:
        parts.append(
            table(
                ("document", "now", "what it says", "what to do"),
                [(f"`{of.document}`", of.outcome, of.message, of.fix) for of in report.decided[:MOST_ROWS]],
            )
        )
    parts += more(len(report.decided), IN_QUARANTINE)
    publish("release-quarantine", report.sentence, parts)


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
    publish(f"clean-exchange-{label}", report.sentence, [*parts, *stopped(report.failures)])
