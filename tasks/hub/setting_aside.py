"""Keeps in quarantine what cannot be booked, with its rows as exported, and closes what has cleared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, update

from data_contracts.documents import STREAM_ORDERS
from tasks import faults
from tasks.hub.bulk import upsert
from tasks.hub.candidates import BY_CONTRACT, Gathered, rows_as_exported
from tasks.hub.desk import Desk
from tasks.hub.schema import quarantine
from tasks.hub.settling import GOOD, Settled

faults.declare("hub.quarantine.entries")

ENTRY_COLUMNS = (
    "document",
    "revision",
    "store",
    "epoch",
    "sequence",
    "batch_id",
    "batch",
    "stream",
    "kind",
    "rule",
    "message",
    "fix",
    "waits_for",
    "catalog",
    "units",
    "total",
    "business_date",
    "first_seen_utc",
    "closed_utc",
    "state",
    "rows",
)
JUDGED_AGAIN = ("kind", "rule", "message", "fix", "waits_for", "catalog", "state", "closed_utc")


def set_aside(desk: Desk, found: Gathered, settled: Settled) -> None:
    """Write new entries, judge old ones again, and move the states of the others."""
    faults.point("hub.quarantine.entries")
    before = {(e["document"], e["revision"]): e for es in found.entries.values() for e in es}
    exported = rows_as_exported(found, {c.document for c, _ in settled.entries if c.from_batch})
    new: list[tuple[Any, ...]] = []
    again: list[dict[str, Any]] = []
    for candidate, state in settled.entries:
        key = (candidate.document, candidate.revision)
        why = candidate.objection
        assert why is not None  # noqa: S101 - entries are made of objections
        catalog = BY_CONTRACT if candidate.by_contract else desk.catalog
        closed = None if state == "open" else desk.now
        (sequence, batch_id), batch = settled.newness[key]
        ticket = candidate.ticket
        if candidate.from_batch:
            new.append(
                (
                    *key,
                    desk.store,
                    ticket["epoch"],
                    sequence,
                    batch_id,
                    batch,
                    STREAM_ORDERS,
                    ticket["kind"],
                    *why,
                    catalog,
                    ticket.get("units"),
                    ticket.get("total"),
                    ticket.get("business_date"),
                    desk.now,
                    closed,
                    state,
                    exported[candidate.document],
                )
            )
            if state == "open" and not _told(before.get(key), why.rule, why.message):
                desk.log.add("document_quarantined", document=candidate.document, rule=why.rule)
        else:
            cells = (ticket["kind"], *why, catalog, state, closed)
            named = {"of": key[0], "at": key[1]} | _newness(settled, key)
            again.append(named | _prefixed(JUDGED_AGAIN, cells))
    kept = ("first_seen_utc",)
    upsert(
        desk.connection,
        quarantine,
        ENTRY_COLUMNS,
        new,
        update=[name for name in ENTRY_COLUMNS[4:] if name not in kept],
    )
    q = quarantine.c
    where = (q.document == bindparam("of"), q.revision == bindparam("at"))
    numbered: dict[str, Any] = {name: bindparam(f"to_{name}") for name in ("sequence", "batch_id", "batch")}
    if again:
        values: dict[str, Any] = {name: bindparam(f"to_{name}") for name in JUDGED_AGAIN}
        desk.connection.execute(update(quarantine).where(*where).values(**values, **numbered), again)
    changed = []
    for key, state in settled.states.items():
        entry = before.get(key)
        if entry is None:
            continue
        (sequence, batch_id), batch = settled.newness[key]
        if (entry["state"], entry["sequence"], entry["batch_id"]) == (state, sequence, batch_id):
            continue
        closed = None if state == "open" else desk.now
        changed.append({"of": key[0], "at": key[1], "to_state": state, "to_closed_utc": closed})
        changed[-1] |= _newness(settled, key)
        if state in GOOD:
            desk.log.add("quarantine_cleared", document=key[0], rule=entry["rule"])
    if changed:
        values = {name: bindparam(f"to_{name}") for name in ("state", "closed_utc")}
        desk.connection.execute(update(quarantine).where(*where).values(**values, **numbered), changed)


def _told(entry: dict[str, Any] | None, rule: str, message: str) -> bool:
    """Whether an event has said the same of that revision before."""
    return entry is not None and (entry["state"], entry["rule"], entry["message"]) == ("open", rule, message)


def _newness(settled: Settled, key: tuple[str, str]) -> dict[str, Any]:
    (sequence, batch_id), batch = settled.newness[key]
    return {"to_sequence": sequence, "to_batch_id": batch_id, "to_batch": batch}


def _prefixed(names: Iterable[str], cells: Iterable[Any]) -> dict[str, Any]:
    return {f"to_{name}": cell for name, cell in zip(names, cells, strict=True)}
