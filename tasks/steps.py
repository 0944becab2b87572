"""The use cases as Prefect tasks: the only place below `flows/` that knows Prefect.

A task is a batch or a store, never an order. One layer owns retry: here, by the kind of the error; a
flow is never retried, the next schedule goes on where the tables say. Every step may run twice: the
records live in the exchange folder and in the hub, not in Prefect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import TillbridgeError
from data_contracts.parameters import (
    CatalogScope,
    DeskScope,
    ExportScope,
    ReceiptScope,
    ResendScope,
    StatementScope,
    StoreScope,
)
from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.hub.products import CatalogOutcome
    from tasks.hub.watching import WatchedStore
    from tasks.use_cases.advancing import AllocatedOrder, StoreAdvance
    from tasks.use_cases.applying_products import ProductsReport
    from tasks.use_cases.arrivals import ImportedBatch
    from tasks.use_cases.cleaning import CleanedStore
    from tasks.use_cases.exporting import ExportReport
    from tasks.use_cases.exporting_products import ProductExport
    from tasks.use_cases.inbox import BatchRef
    from tasks.use_cases.quarantine import DeskReport
    from tasks.use_cases.receiving import ReceiptReport
    from tasks.use_cases.reconciling import Reconciliation
    from tasks.use_cases.resending import ResendReport
    from tasks.use_cases.stating import StatementReport


def is_transient(_task: Any, _run: Any, state: Any) -> bool:
    """Whether trying again may clear the failure: asked of the exception itself."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, TillbridgeError) and error.transient


_RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [5, 30, 120],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_transient,
    "persist_result": False,
    "cache_policy": NO_CACHE,
}


def artifact_key(name: str) -> str:
    """A name as Prefect takes it for a key: its history is that of all artifacts with it."""
    return name.lower().replace("_", "-")


def _shown_as(key: str) -> Callable[[int, int], None]:
    """A progress artifact, made when the first is told of it: what fits one batch leaves none."""
    shown: list[UUID] = []

    def tell(done: int, of: int) -> None:
        share, said = 100 * done / of, f"{done:,} of {of:,} documents"
        if shown:
            update_progress_artifact(shown[0], share, said)
        else:
            made = create_progress_artifact(share, key=artifact_key(key), description=said)
            shown.append(cast(UUID, made))  # a coroutine only where the caller is one

    return tell


@task(name="export orders", task_run_name="export-{scope.store}", **_RETRIES)
def export_store(settings: Settings, scope: ExportScope, dry_run: bool) -> ExportReport:
    """Read what the store has rung since its newest manifest and publish it."""
    from tasks.use_cases.exporting import export_orders

    return export_orders(
        settings,
        scope.store,
        sweep=scope.sweep,
        dry_run=dry_run,
        progress=_shown_as(f"export-orders-{scope.store}-progress"),
    )


@task(name="publish statement", task_run_name="statement-{scope.store}", **_RETRIES)
def state_store(settings: Settings, scope: StatementScope, dry_run: bool) -> StatementReport:
    """Publish the store's control totals."""
    from tasks.use_cases.stating import publish_statement

    return publish_statement(settings, scope.store, days=scope.days, dry_run=dry_run)


@task(name="apply products", task_run_name="apply-products-{scope.store}", **_RETRIES)
def apply_products(settings: Settings, scope: StoreScope, dry_run: bool) -> ProductsReport:
    """Write the products that wait for the store into its RMS, and answer for each."""
    from tasks.use_cases.applying_products import apply_products

    return apply_products(settings, scope.store, dry_run=dry_run)


@task(name="resend period", task_run_name="resend-{scope.label}", **_RETRIES)
def resend_period(settings: Settings, scope: ResendScope, dry_run: bool) -> ResendReport:
    """Publish some of the store's documents once more."""
    from tasks.use_cases.resending import resend

    return resend(
        settings,
        scope.store,
        batch=scope.batch,
        numbers=scope.tickets,
        orders=scope.orders,
        dates=scope.dates,
        dry_run=dry_run,
        progress=_shown_as(f"resend-period-{scope.store}-progress"),
    )


@task(name="find waiting batches", **_RETRIES)
def find_waiting(settings: Settings, stores: Sequence[str]) -> dict[str, list[BatchRef]]:
    """Names of the batches that wait in the exchange folder."""
    from tasks.use_cases import arrivals

    return arrivals.find_waiting(settings, stores)


@task(name="fetch", task_run_name="fetch-{store}", **_RETRIES)
def fetch_store(
    settings: Settings, store: str, refs: list[BatchRef], *, dry_run: bool
) -> tuple[list[BatchRef], list[ImportedBatch]]:
    """Copy a store's batches into the inbox, checked against their manifests."""
    from tasks.use_cases import importing

    return importing.fetch_batches(settings, refs, dry_run=dry_run)


@task(name="validate", **_RETRIES)
def validate(settings: Settings, refs: list[BatchRef]) -> list[ImportedBatch]:
    """Check fetched batches of all stores against their contracts; store a verdict for each."""
    from tasks.use_cases import importing

    return importing.validate_batches(settings, refs)


@task(name="import", task_run_name="import-{store}", **_RETRIES)
def import_store(settings: Settings, store: str, refs: list[BatchRef]) -> list[ImportedBatch]:
    """Book a store's validated batches, acknowledge and archive them."""
    from tasks.use_cases import importing

    return importing.import_batches(settings, refs)


@task(name="advance", task_run_name="advance-{store}", **_RETRIES)
def advance_store(settings: Settings, store: str, kind: str, dry_run: bool) -> StoreAdvance:
    """Apply what waits of a store's layaways or backorders (`kind`)."""
    from tasks.use_cases import advancing

    return advancing.advance_store(settings, store, kind, dry_run=dry_run)


@task(name="give out stock", **_RETRIES)
def give_out_stock(settings: Settings, stores: Sequence[str], dry_run: bool) -> tuple[AllocatedOrder, ...]:
    """Give free stock to backorders, oldest first."""
    from tasks.use_cases import advancing

    return advancing.give_out_stock(settings, stores, dry_run=dry_run)


@task(name="receive stock", task_run_name="receive-{scope.label}", **_RETRIES)
def receive_stock(settings: Settings, scope: ReceiptScope, dry_run: bool) -> ReceiptReport:
    """Book a file of stock received; the same one counts once."""
    from tasks.use_cases import receiving

    file = settings.folder / scope.file
    return receiving.receive_stock(settings, file, reference=scope.reference, dry_run=dry_run)


@task(name="visit desk", task_run_name="quarantine-{scope.label}", **_RETRIES)
def visit_desk(settings: Settings, scope: DeskScope, dry_run: bool) -> DeskReport:
    """Do with documents in quarantine what a person decided; doing it twice changes nothing."""
    from tasks.use_cases import quarantine

    named: dict[str, Any] = {"why": scope.why, "by": scope.by, "dry_run": dry_run}
    if scope.action == "edit":
        return quarantine.edit_document(settings, scope.documents[0], scope.edits, **named)
    if scope.action == "release":
        return quarantine.release_documents(settings, scope.documents, accept=scope.accept, **named)
    if scope.action == "discard":
        return quarantine.discard_documents(settings, scope.documents, **named)
    return quarantine.recheck_stores(settings, scope.stores, by=scope.by, dry_run=dry_run)


@task(name="import catalog", task_run_name="catalog-{scope.label}", **_RETRIES)
def import_catalog(settings: Settings, scope: CatalogScope, dry_run: bool) -> CatalogOutcome:
    """Take a catalogue file into the hub; the one that was imported last only if asked to."""
    from tasks.use_cases import catalog

    file = settings.folder / scope.file if scope.file else None
    return catalog.import_catalog(settings, file, dry_run=dry_run, skip_same=not scope.again)


@task(name="export products", task_run_name="products-{store}", **_RETRIES)
def export_products(settings: Settings, store: str, retry: bool, dry_run: bool) -> ProductExport:
    """Book a store's answers and publish the products that differ from what is at its till."""
    from tasks.use_cases.exporting_products import export_store_products

    return export_store_products(settings, store, retry=retry, dry_run=dry_run)


@task(name="clean", task_run_name="clean-{store}", **_RETRIES)
def clean_store(settings: Settings, store: str, dry_run: bool) -> CleanedStore:
    """Remove old batches and answers of a store from the exchange folder."""
    from tasks.use_cases.cleaning import clean_store

    return clean_store(settings, store, dry_run=dry_run)


@task(name="reconcile", **_RETRIES)
def reconcile(settings: Settings, stores: Sequence[str]) -> Reconciliation:
    """Compare the hub with the stores' newest statements."""
    from tasks.use_cases.reconciling import reconcile_stores

    return reconcile_stores(settings, stores)


@task(name="watch", **_RETRIES)
def watch_stores(settings: Settings, stores: Sequence[str]) -> tuple[WatchedStore, ...]:
    """Look at what of these stores waits for a person or for another flow."""
    from tasks.use_cases import watching

    return watching.watch_stores(settings, stores)
