"""Tells Prefect what has happened, for the triggers of other flows and for alerts.

An event is sent only when something happened, by a run that was no dry run, after the fact. Nothing rests
on it: what is not told, the next schedule finds. Payloads are counts, names of batches and sentences of our
reports; never a row, a customer or a credential. docs/events.md lists them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect.events import emit_event

from data_contracts.codes import BACKORDER, LAYAWAY
from data_contracts.documents import STREAM_ORDERS, STREAM_STATEMENT
from data_contracts.waiting import WAITING_TO_ADVANCE

if TYPE_CHECKING:
    from tasks.hub.products import CatalogOutcome
    from tasks.hub.watching import WatchedStore
    from tasks.use_cases.advancing import AdvanceReport
    from tasks.use_cases.arrivals import ImportSummary
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.exporting_products import ProductExports
    from tasks.use_cases.receiving import ReceiptReport
    from tasks.use_cases.reconciling import Reconciliation
    from tasks.use_cases.resending import ResendReport
    from tasks.use_cases.stating import StatementReport

BATCH_PUBLISHED = "tillbridge.batch.published"
BATCH_REJECTED = "tillbridge.batch.rejected"
CATALOG_CHANGED = "tillbridge.catalog.changed"
PRODUCTS_PUBLISHED = "tillbridge.products.published"
QUARANTINE_WAITING = "tillbridge.quarantine.waiting"
RECONCILE_EXPLAINED = "tillbridge.reconcile.explained"
RECONCILE_UNEXPLAINED = "tillbridge.reconcile.unexplained"
SEQUENCE_GAP = "tillbridge.sequence.gap"
STOCK_FREED = "tillbridge.stock.freed"
STOCK_RECEIVED = "tillbridge.stock.received"
STORE_SEEN = "tillbridge.store.seen"
TRANSITIONS_WAITING = "tillbridge.import.transitions-waiting"

MOST_NAMES = 20
"""Names of batches and sentences that travel with an event; the rest is counted."""


def batch_published(store: str, stream: str, batches: Sequence[str]) -> None:
    """Batches of a store lie in the exchange folder for the hub; without any, nothing happened."""
    if batches:
        _of_store(BATCH_PUBLISHED, store, stream=stream, **_named(batches))


def exported(report: ExportReport) -> None:
    """An export of a store has come to its end, with batches or without."""
    if report.dry_run:
        return
    _of_store(STORE_SEEN, report.store, tickets=report.tickets, waiting=report.waiting)
    batch_published(report.store, STREAM_ORDERS, report.batches)


def resent(report: ResendReport) -> None:
    """Documents of a store were published once more."""
    if not report.dry_run:
        batch_published(report.store, STREAM_ORDERS, report.batches)


def stated(report: StatementReport) -> None:
    """A store has published its control totals."""
    if report.batch is not None:
        batch_published(report.store, STREAM_STATEMENT, (report.batch,))


def imported(summary: ImportSummary, watched: Sequence[WatchedStore], *, since: datetime) -> None:
    """Batches were taken in; `watched` are the stores they came from, as they stand now.

    `since` is when the run began, an aware time: gaps in a sequence that are older have been told.
    """
    for batch in summary.batches:
        if batch.state == "rejected":
            why = batch.reasons[0] if batch.reasons else None
            _of_store(
                BATCH_REJECTED,
                batch.store,
                batch=batch.path,
                stream=batch.path.split("/")[1],
                why=why.message if why else "",
                fix=why.fix if why else "",
            )
    for standing in watched:
        _gaps(standing, since=since)
    moved_on = {
        batch.store
        for batch in summary.batches
        if any(reason.rule == WAITING_TO_ADVANCE for reason in batch.reasons)
    }
    for kind, counts in (
        (LAYAWAY, {store.store: store.layaways for store in watched}),
        (BACKORDER, {store.store: store.backorders for store in watched}),
    ):
        waiting = {store: count for store, count in counts.items() if count and store in moved_on}
        if waiting:
            _of_hub(TRANSITIONS_WAITING, {"tillbridge.kind": kind}, orders=waiting)


def advanced(report: AdvanceReport) -> None:
    """Layaways or backorders have moved; stock that this may have freed lets backorders move."""
    if report.dry_run:
        return
    freed = [s.store for s in report.stores if s.cancelled or s.changed or s.expired]
    if freed and report.kind == LAYAWAY:
        _of_hub(STOCK_FREED, stores=freed)


def stock_received(report: ReceiptReport) -> None:
    """Goods were booked into the hub's warehouses."""
    if not (report.dry_run or report.already):
        _of_hub(
            STOCK_RECEIVED,
            receipt=report.receipt,
            lines=report.lines,
            warehouses=list(report.warehouses),
            backorders_given=len(report.allocated),
        )


def catalog_changed(outcome: CatalogOutcome) -> None:
    """Products of the hub are new or other than they were."""
    if outcome.moved and not outcome.dry_run:
        _of_hub(
            CATALOG_CHANGED,
            created=outcome.created,
            changed=outcome.changed,
            deactivated=outcome.deactivated,
        )


def products_published(report: ProductExports) -> None:
    """Products are on their way to tills, an event for each store."""
    for store in report.stores:
        if store.batches:
            _of_store(PRODUCTS_PUBLISHED, store.store, products=store.products, **_named(store.batches))


def reconciled(
    result: Reconciliation, watched: Sequence[WatchedStore], *, now: datetime, quarantine_hours: float
) -> None:
    """Stores were compared with the hub; what a person has to look at by now is said once more.

    `now` is an aware UTC time; documents that wait for longer than `quarantine_hours` are told of.
    """
    for store in watched:
        findings = result.findings_of(store.store)
        if findings:
            named = list(findings[:MOST_NAMES])
            _of_store(RECONCILE_UNEXPLAINED, store.store, unexplained=len(findings), findings=named)
        else:
            _of_store(RECONCILE_EXPLAINED, store.store)
        _gaps(store)
        if store.oldest_utc is None or not quarantine_hours:
            continue
        if now - datetime.fromisoformat(store.oldest_utc) >= timedelta(hours=quarantine_hours):
            _of_store(
                QUARANTINE_WAITING,
                store.store,
                documents=store.quarantined,
                oldest_utc=store.oldest_utc,
            )


def _gaps(store: WatchedStore, *, since: datetime | None = None) -> None:
    gaps = [gap for gap in store.missing if since is None or datetime.fromisoformat(gap.since_utc) >= since]
    if gaps:
        _of_store(
            SEQUENCE_GAP,
            store.store,
            batches=sum(gap.last - gap.first + 1 for gap in gaps),
            what=gaps[0].sentence,
            fix=gaps[0].fix,
        )


def _named(batches: Sequence[str]) -> dict[str, Any]:
    return {"count": len(batches), "batches": list(batches[:MOST_NAMES])}


def _of_store(event: str, store: str, **payload: Any) -> None:
    resource = {"prefect.resource.id": f"tillbridge.store.{store}", "prefect.resource.name": store}
    emit_event(event, resource=resource, payload=payload)


def _of_hub(event: str, labels: dict[str, str] | None = None, **payload: Any) -> None:
    resource = {"prefect.resource.id": "tillbridge.hub", "prefect.resource.name": "hub", **(labels or {})}
    emit_event(event, resource=resource, payload=payload)
