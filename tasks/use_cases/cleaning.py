"""Takes out of the exchange folder what nobody needs any more: old batches, old answers, killed exports.

Age is counted back from the newest batch that the hub has taken in of the same stream, so that a shop that
stands still keeps its last days. What stays whatever its age: heads, baselines, the newest batch of each
stream, what waits, what the hub does not know, what it lacks and the batch before that, the batches with the
last ticket of those that are old, by which a backup of that time is recognised, and those by which a database
that was replaced is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from data_contracts.documents import STREAM_ORDERS, STREAM_PRODUCTS, STREAM_STATEMENT
from data_contracts.errors import ContractBroken
from data_contracts.manifest import Cleaned, EpochStart, Position, batch_name
from tasks.exchange import batches, cleaning
from tasks.exchange.cleaning import BatchKey, Lying
from tasks.exchange.folder import Folder, open_folder
from tasks.hub.database import open_hub
from tasks.hub.outstanding import outstanding
from tasks.hub.settled import Settled, highest_order, manifests_of, settled_batches
from tasks.settings import Settings
from tasks.use_cases import inbox
from tasks.use_cases.each_store import each_store
from tasks.use_cases.store_session import from_utc_text, utc_now, utc_text

logger = logging.getLogger(__name__)

STREAMS = (STREAM_ORDERS, STREAM_STATEMENT, STREAM_PRODUCTS)
"""Baselines stay: they say where everything began."""

LEFTOVER = timedelta(days=1)
"""So long after a newer batch was taken in, an export that left files without a manifest is dead."""


@dataclass(frozen=True)
class CleanedStore:
    """What was removed of one store, or with a dry run would be."""

    store: str
    batches: int = 0
    answers: int = 0
    """Acknowledgements."""
    files: int = 0
    """Files of these batches and leftovers; answers are counted apart."""
    leftovers: int = 0
    """Batches that were never published, of which files were left behind."""
    inbox: int = 0
    """Copies of batches in the hub's inbox that do not wait any more."""
    kept: tuple[str, ...] = ()
    """What is old and stays, and why."""

    @property
    def anything(self) -> bool:
        """Whether there was anything to remove."""
        return bool(self.files or self.answers or self.inbox)


@dataclass(frozen=True)
class Cleaning:
    """One run over several stores."""

    stores: tuple[CleanedStore, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)
    """Store -> the error that stopped it; the other stores went on."""
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """One sentence on top of it all."""
        done = self.stores
        if not any(store.anything for store in done):
            return "Nothing is old enough to be removed."
        counts = (
            ("batches", sum(store.batches for store in done)),
            ("acknowledgements", sum(store.answers for store in done)),
            ("killed exports", sum(store.leftovers for store in done)),
            ("files of these", sum(store.files for store in done)),
            ("copies in the inbox", sum(store.inbox for store in done)),
        )
        said = "; ".join(f"{name}: {count:,}" for name, count in counts)
        return f"{'Would be removed' if self.dry_run else 'Removed'}: {said}."


def clean_exchange(settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False) -> Cleaning:
    """`clean_store` for some stores, all by default; one that fails stops no other."""
    done, failures = each_store(
        stores or sorted(settings.stores), lambda code: clean_store(settings, code, dry_run=dry_run)
    )
    return Cleaning(done, failures, dry_run)


def clean_store(
    settings: Settings, store: str, *, dry_run: bool = False, now: Callable[[], datetime] = utc_now
) -> CleanedStore:
    """Remove what is old by [retention] and not needed of one store; killed anywhere, the next run goes on.

    Raises `ConfigurationError` (no such store, no right to delete), `HubUnavailable`, `TransferInterrupted`.
    """
    settings.store(store)
    in_inbox = inbox.held(settings, store)
    done = CleanedStore(store)
    with open_hub(settings.hub_url) as hub, open_folder(settings) as folder:
        for stream in STREAMS:
            with hub.reading() as connection:
                plan = _plan(settings, connection, folder, store, stream, now())
            if not dry_run:
                _remove(folder, plan)
            done = _added(done, plan)
        # Listed after the inbox: what was fetched waits still, or is taken in.
        waiting = {
            inbox.BatchRef(store, stream, *key)
            for stream in {ref.stream for ref in in_inbox}
            for key in batches.waiting_batches(folder, store, stream)
        }
    gone = [ref for ref in in_inbox if ref not in waiting]
    if not dry_run:
        for ref in gone:
            inbox.forget(settings, ref)
    done = replace(done, inbox=len(gone))
    if done.anything:
        logger.info(
            "%s: %d batches, %d answers, %d files, %d copies in the inbox%s",
            store,
            done.batches,
            done.answers,
            done.files,
            done.inbox,
            " would be removed" if dry_run else " removed",
        )
    return done


@dataclass(frozen=True)
class _Plan:
    """What of a stream is to go."""

    store: str
    stream: str
    old: dict[BatchKey, list[str]] = field(default_factory=dict)
    """The files of old batches, ascending."""
    leftovers: dict[BatchKey, list[str]] = field(default_factory=dict)
    """What killed exports left."""
    answers: tuple[BatchKey, ...] = ()
    cleaned: Cleaned | None = None
    """What has to be said before; None if that stands already."""
    kept: tuple[str, ...] = ()


def _remove(folder: Folder, plan: _Plan) -> None:
    if plan.cleaned is not None:
        cleaning.note_cleaned(folder, plan.cleaned)
    for paths in (*plan.old.values(), *plan.leftovers.values()):
        cleaning.remove_files(folder, paths)
    for key in plan.answers:
        cleaning.remove_answer(folder, plan.store, plan.stream, key)


def _added(done: CleanedStore, plan: _Plan) -> CleanedStore:
    return replace(
        done,
        batches=done.batches + len(plan.old),
        answers=done.answers + len(plan.answers),
        files=done.files + sum(len(paths) for paths in (*plan.old.values(), *plan.leftovers.values())),
        leftovers=done.leftovers + len(plan.leftovers),
        kept=(*done.kept, *plan.kept),
    )


def _plan(
    settings: Settings, connection: Connection, folder: Folder, store: str, stream: str, now: datetime
) -> _Plan:
    nothing = _Plan(store, stream)
    lying = cleaning.lying_batches(folder, store, stream)
    settled = settled_batches(connection, store, stream, first=min(lying.keys)[0]) if lying.keys else []
    if not settled:
        return nothing
    settled = _no_older_than_those_before(settled, utc_text(now))
    # A clock that ran ahead for a while must not make everything old.
    newest = min(now, from_utc_text(max(batch.settled_utc for batch in settled)))
    below, lacking = _limit(connection, store, stream, lying, settled)

    def of_age(lie: Container[BatchKey], days: int) -> list[Settled]:
        """Batches of which something lies there that is older than so many days; 0 days never are."""
        before = utc_text(newest - timedelta(days=days)) if days else ""
        return [b for b in settled if b.key in lie and b.key not in lying.waiting and b.settled_utc < before]

    aged = of_age(lying.files, settings.retention.archive_days)
    kept = []
    if lacking and (spared := [batch for batch in aged if below <= batch.sequence < _newest(lying, settled)]):
        kept.append(f"{store}/{stream}: {len(spared):,} old batches stay for what the hub lacks. {lacking}")
    old = [batch for batch in aged if batch.sequence < below]
    cleaned = None
    if stream == STREAM_ORDERS and old:
        head = batches.newest_position(folder, store, stream)
        if head is None:
            return nothing
        epochs = head.position.epochs
        telling = _telling_epochs_apart(connection, store, old, epochs)
        if telling:
            kept.append(
                f"{store}/{stream}: {len(telling):,} old batches stay from before the RMS database was "
                "replaced: by them the old one is recognised should it come back."
            )
        staying = telling | _with_the_last_ticket(connection, store, aged)
        old = [batch for batch in old if batch.key not in staying]
        cleaned = _cleaned(connection, folder, store, old, epochs, utc_text(now))
    dead = utc_text(now - LEFTOVER)
    # A folder that was restored gives out again what the hub has had long since.
    passed = max((b.sequence for b in settled if b.settled_utc < dead and b.key in lying.archived), default=0)
    known = {*lying.waiting, *lying.archived, *(batch.key for batch in settled)}
    return _Plan(
        store,
        stream,
        old={batch.key: lying.files[batch.key] for batch in old},
        leftovers={
            key: paths for key, paths in lying.unarchived.items() if key not in known and key[0] <= passed
        },
        answers=tuple(
            batch.key
            for batch in of_age(lying.answered, settings.retention.acks_days)
            if batch.sequence < below
        ),
        cleaned=cleaned,
        kept=tuple(kept),
    )


def _no_older_than_those_before(settled: Sequence[Settled], now_utc: str) -> list[Settled]:
    """The same, dated in the order of their sequence: a clock that was behind must not make batches old."""
    latest, dated = "", []
    for batch in settled:
        if batch.settled_utc <= now_utc:
            latest = max(latest, batch.settled_utc)
        dated.append(batch._replace(settled_utc=max(latest, batch.settled_utc)))
    return dated


def _newest(lying: Lying, settled: Sequence[Settled]) -> int:
    """The newest batch that is archived and was accepted: from it on all stays; 0 if there is none.

    A publisher goes on from its newest manifest, a store's till from the newest answer.
    """
    archived = max((sequence for sequence, _ in lying.archived), default=0)
    return min(archived, max((batch.sequence for batch in settled if batch.accepted), default=0))


def _limit(
    connection: Connection, store: str, stream: str, lying: Lying, settled: Sequence[Settled]
) -> tuple[int, str]:
    """Only what lies below this sequence may go; and what the hub lacks, if that is why."""
    newest = _newest(lying, settled)
    if stream != STREAM_ORDERS:
        return newest, ""
    found = outstanding(connection, store)
    lacking = [(gap.first, gap.sentence) for gap in found.missing]
    lacking += [(batch.sequence, batch.sentence) for batch in found.rejected if batch.stream == stream]
    first, why = min(lacking, default=(newest, ""))
    if first >= newest:
        return newest, ""
    # Sending it again goes by what its neighbours say.
    before = [b.sequence for b in settled if b.accepted and b.sequence < first and b.key in lying.archived]
    return max(before, default=first), why


def _telling_epochs_apart(
    connection: Connection, store: str, old: Sequence[Settled], epochs: Sequence[EpochStart]
) -> set[BatchKey]:
    """Batches of an earlier epoch that may hold what was lost when it ended."""
    former = {_path(store, batch): batch for batch in old if batch.epoch < epochs[-1].epoch}
    found: set[BatchKey] = set()
    for path, manifest in manifests_of(connection, former):
        batch, last = former[path], manifest.position.last_ticket
        ended = min(epoch.after_number for epoch in epochs if epoch.epoch > batch.epoch)
        if last is None or last.number >= ended:
            found.add(batch.key)
    return found


def _with_the_last_ticket(connection: Connection, store: str, aged: Sequence[Settled]) -> set[BatchKey]:
    """The newest of these batches, back to the one that brought the last ticket of them all."""
    by_path = {_path(store, batch): batch.key for batch in reversed(aged)}
    found: set[BatchKey] = set()
    number: int | None = None
    for path, manifest in manifests_of(connection, by_path):
        last = manifest.position.last_ticket
        reached = last.number if last is not None else 0
        if number is not None and reached != number:
            break
        number = reached
        found.add(by_path[path])
    return found


def _cleaned(
    connection: Connection,
    folder: Folder,
    store: str,
    old: Sequence[Settled],
    epochs: Sequence[EpochStart],
    as_of_utc: str,
) -> Cleaned | None:
    """What has to be said before these batches go; None if it is said already."""
    if not old:
        return None
    said: Cleaned | None = None
    with suppress(ContractBroken):  # this one takes its place
        said = cleaning.read_cleaned(folder, store, STREAM_ORDERS)
    newest = old[-1].sequence
    if said is not None and said.sequence >= newest:
        return None
    position = said.position if said is not None else Position()
    paths = (_path(store, batch) for batch in reversed(old))
    for _, manifest in manifests_of(connection, paths):
        position = manifest.position
        break
    last = position.last_ticket
    return Cleaned(
        store=store,
        stream=STREAM_ORDERS,
        sequence=newest,
        ticket=max(last.number if last is not None else 0, said.ticket if said is not None else 0),
        order=max(highest_order(connection, store, newest, epochs), said.order if said is not None else 0),
        position=position,
        as_of_utc=as_of_utc,
    )


def _path(store: str, batch: Settled) -> str:
    return f"{store}/{STREAM_ORDERS}/{batch_name(*batch.key)}"
