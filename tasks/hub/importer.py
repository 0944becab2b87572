"""Books a validated batch in one transaction; what is wrong with a document never stops the others.

Exactly once lives here: a batch is recorded in the transaction that books it, and a revision booked
before is recognised, so that repeating an import changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from data_contracts.documents import STREAM_BASELINE, STREAM_ORDERS
from data_contracts.errors import NotYetArrived
from data_contracts.manifest import Manifest, Reason
from data_contracts.quarantine import split
from data_contracts.sending_again import send_again
from tasks import faults
from tasks.hub.baseline import note_epochs, recheck_stock, take_baseline
from tasks.hub.booking import book
from tasks.hub.candidates import Arrivals, Gathered
from tasks.hub.database import Hub, lock_store
from tasks.hub.desk import Desk, open_desk
from tasks.hub.inbox import (
    BatchOutcome,
    note_replacement,
    note_sequence,
    record,
    recorded,
    stored_verdict,
    utc_now,
)
from tasks.hub.ledger import write_levels
from tasks.hub.order_booking import import_orders
from tasks.hub.settling import booked_numbers, tally
from tasks.hub.statements import take_statement
from tasks.hub.ticket_candidates import gather_tickets
from tasks.settings import Settings

log = logging.getLogger(__name__)

faults.declare(
    "hub.import.locked",
    "hub.import.booked",
    "hub.import.before_commit",
    "hub.import.after_commit",
    "hub.recheck.before_commit",
    "hub.recheck.after_commit",
)


def import_batch(
    hub: Hub,
    settings: Settings,
    manifest: Manifest,
    rows: Mapping[str, pd.DataFrame],
    *,
    now: str | None = None,
) -> BatchOutcome:
    """Book a batch of any stream: `rows` holds its files as text, by role.

    A batch that is in the hub already is answered from the book and changes nothing. Raises
    `NotYetArrived` (no verdict, store without baseline), `HubUnavailable` (another run holds the store),
    `ConfigurationError` (unknown store), `ContractBroken` (rows that are not what the verdict was about).
    """
    at = now or utc_now()
    with hub.writing("hub.import.before_commit", "hub.import.after_commit") as connection:
        lock_store(connection, manifest.store)
        faults.point("hub.import.locked")
        known = recorded(connection, manifest.path)
        if known is not None and not known.may_come_again:
            return known
        verdict = stored_verdict(connection, manifest)
        if verdict.state == "rejected":
            raise NotYetArrived(
                f"{manifest.path} was rejected by its contract, so it was not imported. Nothing was changed.",
                next_step=f"let `tillbridge import` record that, then {send_again(manifest.path)}",
                batch=manifest.path,
            )
        baselined = manifest.stream != STREAM_BASELINE
        desk = open_desk(
            connection, settings, manifest.store, now=at, batch=manifest.path, baselined=baselined
        )
        note_sequence(connection, manifest, desk.log, at)
        note_replacement(connection, manifest, desk.log)
        if manifest.stream == STREAM_BASELINE:
            outcome = take_baseline(desk, manifest, rows)
        elif manifest.stream == STREAM_ORDERS:
            accepted, refused = split(rows, verdict)
            # A new epoch may tell which ticket a number names: what waits for one is looked at again.
            new_epoch = note_epochs(desk, manifest)
            arrivals = Arrivals(manifest, accepted, refused, verdict.reasons)
            opened = import_orders(desk, arrivals, recheck_all=new_epoch)
            names = {candidate.document for candidate in opened.candidates}
            found = gather_tickets(desk, arrivals, recheck_all=new_epoch, names=names)
            book(desk, found)
            outcome = _outcome(found, opened)
        else:
            outcome = take_statement(desk, manifest, rows)
        faults.point("hub.import.booked")
        recheck_stock(desk)
        write_levels(desk)
        desk.log.add(
            "batch_imported",
            stream=manifest.stream,
            accepted=outcome.accepted,
            quarantined=outcome.quarantined,
        )
        desk.log.write(connection)
        record(connection, manifest, outcome, at)
    log.info(
        "imported %s: %d documents, %d quarantined, %d pending, %d already seen",
        manifest.path,
        outcome.documents,
        outcome.quarantined,
        outcome.pending,
        outcome.seen_before,
    )
    return outcome


class _DryRun(Exception):
    """Rolls the transaction back."""


def recheck_quarantine(
    hub: Hub, settings: Settings, store: str, *, dry_run: bool = False, now: str | None = None
) -> int:
    """Judge everything that waits in a store's quarantine again; returns how many documents were booked.

    Run after the catalogue, a code table or a tolerance has changed. What the contract refused needs a new
    revision or a person instead. A dry run rolls it back. Raises `HubUnavailable` if another run holds the
    store.
    """
    cleared = 0
    with (
        contextlib.suppress(_DryRun),
        hub.writing("hub.recheck.before_commit", "hub.recheck.after_commit") as connection,
    ):
        lock_store(connection, store)
        desk = open_desk(connection, settings, store, now=now or utc_now(), batch=None, baselined=False)
        opened = import_orders(desk, None, recheck_all=True)
        settled = book(desk, gather_tickets(desk, None, recheck_all=True))
        cleared = sum(candidate.objection is None for candidate in opened.candidates)
        cleared += len(settled.booked) + recheck_stock(desk)
        write_levels(desk)
        desk.log.write(connection)
        if dry_run:
            raise _DryRun
    if cleared and not dry_run:
        log.info("cleared %d documents from the quarantine of store %s", cleared, store)
    return cleared


def judge_again(desk: Desk, names: Collection[str], *, waited_for: Collection[str] = ()) -> None:
    """Judge what waits of these documents again, and what waits for them or for those of `waited_for`."""
    opened = import_orders(desk, None, recheck_all=False, entries_of=names)
    changed = {*names, *waited_for, *(candidate.document for candidate in opened.candidates)}
    book(desk, gather_tickets(desk, None, recheck_all=False, names=changed, entries_of=names))
    recheck_stock(desk)


def _outcome(*gathered: Gathered) -> BatchOutcome:
    counts = sum((tally(found) for found in gathered), Counter[str]())
    return BatchOutcome(
        "accepted",
        documents=sum(counts.values()),
        accepted=counts["accepted"],
        quarantined=counts["quarantined"],
        pending=counts["pending"],
        seen_before=counts["seen_before"],
        superseded=counts["superseded"],
        reasons=tuple(reason for found in gathered for reason in _reasons(found)),
        booked=tuple(filter(None, map(booked_numbers, gathered))),
    )


def _reasons(found: Gathered) -> Sequence[Reason]:
    return [
        Reason(document=c.document, rule=c.objection.rule, message=c.objection.message, fix=c.objection.fix)
        for c in found.candidates
        if c.from_batch and c.objection is not None
    ]
