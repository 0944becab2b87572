"""Takes the hub's products into a store's RMS: validated first, strictly by sequence, answered one by one.

A batch is fetched and checked against its contract before RMS is opened; then each product that differs is
written in a transaction of its own. After all products of a batch: acknowledge, then archive. Killed
anywhere, the next run finds what is written already and goes on. Nothing is loaded before a batch waits.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from data_contracts.documents import FILES, STREAM_PRODUCTS
from data_contracts.errors import BatchAltered, ContractBroken
from data_contracts.manifest import Acknowledgement, Manifest, ProductAnswer, Reason
from data_contracts.till_items import Product, products_of
from tasks.exchange import batches
from tasks.exchange.folder import Folder, open_folder
from tasks.logs import about
from tasks.rms.item_writing import ItemWriter, answer, open_items
from tasks.settings import Settings
from tasks.use_cases.inbox import BatchRef
from tasks.use_cases.store_session import utc_now, utc_text

if TYPE_CHECKING:
    from data_contracts.quarantine import BatchRows

log = logging.getLogger(__name__)

ROUND_BATCHES = 20
"""Batches looked at together; of a product that stands in several of them only the newest is written."""


@dataclass(frozen=True)
class AppliedBatch:
    """What became of one batch."""

    path: str
    state: str
    """accepted, rejected, or known (it was answered before; now it is archived)."""
    products: tuple[ProductAnswer, ...] = ()
    reasons: tuple[Reason, ...] = ()

    def count(self, state: str) -> int:
        """How many products were answered so."""
        return sum(product.state == state for product in self.products)


@dataclass(frozen=True)
class ProductsReport:
    """What one run did at one store."""

    store: str
    batches: tuple[AppliedBatch, ...] = ()
    dry_run: bool = False

    def count(self, state: str) -> int:
        """How many products were answered so: created, updated, unchanged, refused or superseded."""
        return sum(batch.count(state) for batch in self.batches)

    @property
    def refused(self) -> tuple[ProductAnswer, ...]:
        """The products that are not at the till, and why."""
        return tuple(product for batch in self.batches for product in batch.products if product.rule)

    @property
    def noted(self) -> tuple[ProductAnswer, ...]:
        """The products of which something was cut, left out or replaced."""
        return tuple(product for batch in self.batches for product in batch.products if product.notes)

    @property
    def sentence(self) -> str:
        """The report in one line."""
        states = ("created", "updated", "unchanged", "refused", "superseded")
        counts = ", ".join(f"{self.count(state)} {state}" for state in states)
        rejected = sum(batch.state == "rejected" for batch in self.batches)
        return f"{self.store}: {len(self.batches)} batches, {counts} products; {rejected} batches rejected"


@dataclass(frozen=True)
class _Fetched:
    """A batch that keeps its contract."""

    manifest: Manifest
    products: Sequence[Product]


def apply_products(
    settings: Settings, store: str, *, dry_run: bool = False, now: Callable[[], datetime] = utc_now
) -> ProductsReport:
    """Write what waits for a store into its RMS, until nothing waits; a dry run looks at one round.

    A store without [stores.CODE.products] answers each product as refused and is never opened. Raises
    `ConfigurationError` (the login may not write), `StoreUnavailable`, `SchemaMismatch`,
    `TransferInterrupted`.
    """
    done: list[AppliedBatch] = []
    with open_folder(settings) as folder:
        while refs := _waiting(folder, store):
            done += _apply_round(settings, store, folder, refs, dry_run, now)
            if dry_run:
                break
    return ProductsReport(store, tuple(done), dry_run)


def _apply_round(
    settings: Settings,
    store: str,
    folder: Folder,
    refs: Sequence[BatchRef],
    dry_run: bool,
    now: Callable[[], datetime],
) -> list[AppliedBatch]:
    configured = settings.store(store)
    fetched, done = _fetch(folder, refs, dry_run, now)
    if not fetched:
        return done
    if configured.products is None:
        return done + _apply(folder, _TakesNone(store, dry_run), fetched, now)
    clock = now().astimezone(ZoneInfo(configured.time_zone)).replace(tzinfo=None, microsecond=0)
    with open_items(settings.items_url(store), store) as connection:
        writer = ItemWriter(connection, configured.products.policy(store), clock, dry_run=dry_run)
        return done + _apply(folder, writer, fetched, now)


@dataclass(frozen=True)
class _TakesNone:
    """Answers for a store that takes no products, so that the hub can say so."""

    store: str
    dry_run: bool

    def apply(self, products: Sequence[Product]) -> list[ProductAnswer]:
        """Refused, each of them."""
        return [
            answer(
                product,
                "refused",
                rule="takes_no_products",
                message=f"Store {self.store} takes no products from the hub.",
                fix=f"add [stores.{self.store}.products] to tillbridge.toml at the store, or `send = false` "
                f"in [catalog.stores.{self.store}] at the hub",
            )
            for product in products
        ]


def _waiting(folder: Folder, store: str) -> list[BatchRef]:
    waiting = batches.waiting_batches(folder, store, STREAM_PRODUCTS)
    return [BatchRef(store, STREAM_PRODUCTS, *name) for name in waiting[:ROUND_BATCHES]]


def _ref(manifest: Manifest) -> BatchRef:
    return BatchRef(manifest.store, manifest.stream, manifest.sequence, manifest.batch_id)


# -- fetching and validating ----------------------------------------------------------------------------
def _fetch(
    folder: Folder, refs: Sequence[BatchRef], dry_run: bool, now: Callable[[], datetime]
) -> tuple[list[_Fetched], list[AppliedBatch]]:
    """The batches that can be applied, in the order of their sequence, and those that are finished here.

    Finished are what was answered before, and what is not what its manifest or its contract says.
    """
    answered = set(batches.answered_batches(folder, refs[0].store, STREAM_PRODUCTS))
    finished: list[AppliedBatch] = []
    readable: list[tuple[Manifest, BatchRows]] = []
    for ref in refs:
        manifest: Manifest | None = None
        with about(**ref._asdict()):
            if (ref.sequence, ref.batch_id) in answered:
                finished.append(_archive_again(folder, ref, dry_run))
                continue
            try:
                manifest = batches.fetch_manifest(folder, *ref)
                readable.append((manifest, _read(folder, manifest, now())))
            except (BatchAltered, ContractBroken) as error:
                rule = "altered" if isinstance(error, BatchAltered) else "structure"
                reason = Reason(rule=rule, message=error.message, fix=error.next_step)
                finished.append(_reject(folder, ref, manifest, (reason,), dry_run, now))
    fetched = []
    for manifest, rows, reasons in _validated(readable):
        if reasons:
            finished.append(_reject(folder, _ref(manifest), manifest, reasons, dry_run, now))
        else:
            fetched.append(_Fetched(manifest, _products(rows)))
    return fetched, finished


def _read(folder: Folder, manifest: Manifest, now: datetime) -> BatchRows:
    from data_contracts.frames import read_rows
    from data_contracts.quarantine import BatchRows, check_sums

    files = batches.fetch_files(folder, manifest, now=now)
    rows = {}
    for role, columns in FILES[STREAM_PRODUCTS].items():
        entry = manifest.file(role)
        rows[role] = read_rows(files[role], columns, entry.name)
    check_sums(manifest, rows)
    return BatchRows(STREAM_PRODUCTS, manifest.path, manifest.store, frozenset({manifest.epoch}), rows)


def _validated(
    readable: Sequence[tuple[Manifest, BatchRows]],
) -> Iterator[tuple[Manifest, BatchRows, tuple[Reason, ...]]]:
    """Each batch with what its contract has against it; all are checked together."""
    from data_contracts.quarantine import validate

    verdicts = validate(STREAM_PRODUCTS, [rows for _, rows in readable])
    for (manifest, rows), verdict in zip(readable, verdicts, strict=True):
        yield manifest, rows, verdict.reasons if verdict.state == "rejected" else ()


def _products(rows: BatchRows) -> list[Product]:
    from data_contracts.frames import typed

    columns = FILES[STREAM_PRODUCTS]
    frames = {role: typed(rows.rows[role], columns[role])[0] for role in columns}
    cells = {role: frame.to_dict("records") for role, frame in frames.items()}
    return products_of(
        *([{str(name): value for name, value in row.items()} for row in cells[role]] for role in columns)
    )


def _archive_again(folder: Folder, ref: BatchRef, dry_run: bool) -> AppliedBatch:
    """A run was killed after it had answered: what is left is to clear away."""
    if not dry_run:
        try:
            batches.archive(folder, batches.fetch_manifest(folder, *ref))
        except (BatchAltered, ContractBroken):
            batches.set_aside(folder, *ref)
    return AppliedBatch(ref.path, "known")


def _reject(
    folder: Folder,
    ref: BatchRef,
    manifest: Manifest | None,
    reasons: tuple[Reason, ...],
    dry_run: bool,
    now: Callable[[], datetime],
) -> AppliedBatch:
    """Refuse a batch whole: acknowledged with the reasons and out of the way of the next ones."""
    log.error("rejected %s: %s", ref.path, reasons[0].message)
    if not dry_run:
        batches.acknowledge(
            folder,
            Acknowledgement(
                **ref._asdict(), state="rejected", reasons=reasons, acknowledged_utc=utc_text(now())
            ),
        )
        if manifest is None:
            batches.set_aside(folder, *ref)
        else:
            batches.archive(folder, manifest)
    return AppliedBatch(ref.path, "rejected", reasons=reasons)


# -- applying -------------------------------------------------------------------------------------------
def _apply(
    folder: Folder, writer: ItemWriter | _TakesNone, fetched: Sequence[_Fetched], now: Callable[[], datetime]
) -> list[AppliedBatch]:
    """Answer for each batch in the order of its sequence; of each product the newest one is written."""
    store = fetched[0].manifest.store
    # Another run may have answered while this one fetched; from here on there is only one.
    answered = set(batches.answered_batches(folder, store, STREAM_PRODUCTS))
    refs = {batch.manifest.name: _ref(batch.manifest) for batch in fetched}
    done = [_archive_again(folder, ref, writer.dry_run) for ref in refs.values() if ref[2:] in answered]
    fetched = [batch for batch in fetched if refs[batch.manifest.name][2:] not in answered]
    taken = _in_sequence(fetched, _last_applied(folder, store))
    newest = {product.key: name for name in taken for product in taken[name]}
    for batch in fetched:
        manifest = batch.manifest
        with about(
            store=store, stream=manifest.stream, sequence=manifest.sequence, batch_id=manifest.batch_id
        ):
            current = [p for p in taken.get(manifest.name, ()) if newest[p.key] == manifest.name]
            answers = dict(zip((p.key for p in current), writer.apply(current), strict=True))
            products = tuple(answers.get(p.key) or answer(p, "superseded") for p in batch.products)
            done.append(AppliedBatch(manifest.path, "accepted", products))
            log.info("applied %s: %s", manifest.path, _counted(products))
            if not writer.dry_run:
                batches.acknowledge(folder, _acknowledgement(manifest, products, utc_text(now())))
                batches.archive(folder, manifest)
    return done


def _in_sequence(fetched: Sequence[_Fetched], applied: int) -> dict[str, Sequence[Product]]:
    """Name -> products of the batches that count: each with a sequence above all before it."""
    taken = {}
    for batch in fetched:
        if batch.manifest.sequence > applied:
            taken[batch.manifest.name] = batch.products
            applied = batch.manifest.sequence
    return taken


def _last_applied(folder: Folder, store: str) -> int:
    """The highest sequence that was answered and not rejected: a rejected batch changed nothing."""
    for sequence, batch_id in reversed(batches.answered_batches(folder, store, STREAM_PRODUCTS)):
        try:
            ack = batches.read_ack(folder, store, STREAM_PRODUCTS, sequence, batch_id)
        except ContractBroken as error:
            log.warning("%s; it counts as applied", error.message)
            return sequence
        if ack is not None and ack.state == "accepted":
            return sequence
    return 0


def _acknowledgement(manifest: Manifest, products: tuple[ProductAnswer, ...], at: str) -> Acknowledgement:
    return Acknowledgement(
        store=manifest.store,
        stream=manifest.stream,
        sequence=manifest.sequence,
        batch_id=manifest.batch_id,
        state="accepted",
        accepted=sum(product.at_till for product in products),
        quarantined=sum(product.state == "refused" for product in products),
        seen_before=sum(product.state == "superseded" for product in products),
        products=products,
        acknowledged_utc=at,
    )


def _counted(answers: Sequence[ProductAnswer]) -> str:
    return ", ".join(f"{n} {state}" for state, n in Counter(a.state for a in answers).items()) or "nothing"
