"""Records documents, their revisions and their tenders, booked or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, update

from tasks import faults
from tasks.hub.bulk import fetch_for, upsert
from tasks.hub.candidates import TICKETS_OF, Candidate, Gathered
from tasks.hub.desk import Desk
from tasks.hub.schema import document_revisions, documents, tenders
from tasks.hub.settling import Settled

faults.declare("hub.orders.documents")

PLACES = ("warehouse", "warehouse_rule", "returns_to", "returns_rule")
"""Where a document's goods went and came back to, with the rules: fixed at its first posting."""

DOCUMENT_COLUMNS = (
    "document",
    "store",
    "epoch",
    "source",
    "number",
    "kind",
    "state",
    "revision",
    "sequence",
    "batch_id",
    "batch",
    "order_id",
    "postings",
    *PLACES,
)
FIGURES = (
    "rowversion",
    "occurred_at",
    "business_date",
    "z_batch",
    "register",
    "units",
    "tax",
    "total",
    "mirror",
)
REVISION_COLUMNS = ("document", "revision", "sequence", "batch_id", "batch", "state", "lines", *FIGURES)


def record_documents(
    desk: Desk, found: Gathered, settled: Settled, posting: dict[str, dict[str, Any]]
) -> list[Candidate]:
    """Write what is known of each document; `posting` holds what booking fixed for those booked now.

    Returns booked revisions that came again with another date or time.
    """
    faults.point("hub.orders.documents")
    rows: list[tuple[Any, ...]] = []
    for row in settled.rows:
        name, current = row["document"], found.current.get(row["document"])
        fixed = posting.get(name) or current or {}
        row["postings"] = fixed.get("posting", fixed.get("postings", 0))
        row["order_id"] = fixed.get("order_id", name) if row["state"] == "accepted" else None
        rows.append(tuple(row.get(column, fixed.get(column)) for column in DOCUMENT_COLUMNS))
    upsert(desk.connection, documents, DOCUMENT_COLUMNS, rows, update=DOCUMENT_COLUMNS[5:])
    booked = {(c.document, c.revision) for c in settled.booked}
    known = {
        (row["document"], row["revision"]): row
        for row in fetch_for(
            desk.connection,
            document_revisions,
            "document",
            {c.document for c in (*found.candidates, *found.superseded, *found.seen_again)},
        )
    }
    revisions: dict[tuple[str, str], tuple[Any, ...]] = {}
    told_anew: list[Candidate] = []
    unjudged = [(candidate, True) for candidate in (*found.superseded, *found.seen_again)]
    for candidate, as_before in (*unjudged, *((candidate, False) for candidate in found.candidates)):
        key = (candidate.document, candidate.revision)
        before = known.get(key)
        if key in booked:
            state = "accepted"
        elif before is not None and as_before:
            state = before["state"]
        elif candidate.objection is not None:
            state = "quarantined"
        else:
            state = "superseded"
        here = (candidate.newness, candidate.batch)
        (sequence, batch_id), batch = settled.newness.get(key, here)
        ticket = candidate.ticket
        figures = {name: ticket.get(name) for name in ("line_count", *FIGURES)}
        if before is not None:
            earlier = ((before["sequence"], before["batch_id"]), before["batch"])
            unread = candidate.by_contract and state != "quarantined"
            if as_before and (candidate.newness < earlier[0] or unread):
                # Dates and codes are outside the hash: those that came last count, if they can be read.
                figures = {"line_count": before["lines"]} | {name: before[name] for name in FIGURES}
            elif as_before and state == "accepted":
                told_anew.append(candidate)
            (sequence, batch_id), batch = max(((sequence, batch_id), batch), earlier)
            # The content is as old as its first arrival; a later stamp of the same content says nothing.
            stamps = [v for v in (ticket.get("rowversion"), before["rowversion"]) if v is not None]
            figures["rowversion"] = min(stamps, default=None)
        revisions[key] = (*key, sequence, batch_id, batch, state, *figures.values())
    upsert(
        desk.connection,
        document_revisions,
        REVISION_COLUMNS,
        list(revisions.values()),
        update=REVISION_COLUMNS[2:],
    )
    if settled.replaced:
        d = document_revisions.c
        desk.connection.execute(
            update(document_revisions)
            .where(d.document == bindparam("of"), d.revision == bindparam("at"))
            .values(state="replaced"),
            [{"of": name, "at": revision} for name, revision in settled.replaced],
        )
    if found.source is TICKETS_OF:
        judged = (*found.superseded, *told_anew, *found.candidates)
        written = [c for c in judged if c.from_batch or found.standing(c.key).decisions]
        _write_tenders(desk, found, written)
    return [c for c in told_anew if _redated(c, known[c.document, c.revision])]


def _redated(candidate: Candidate, before: dict[str, Any]) -> bool:
    return any(candidate.ticket[name] != before[name] for name in ("business_date", "occurred_at"))


def _write_tenders(desk: Desk, found: Gathered, written: Sequence[Candidate]) -> None:
    of = {c.candidate: c for c in written if not c.by_contract}
    columns = ("entry_id", "tender_id", "tender_code", "amount")
    rows: list[tuple[Any, ...]] = []
    if of:
        cells_of = [found.frames["tenders"][name].tolist() for name in ("candidate", *columns)]
        rows = [
            (of[candidate].document, of[candidate].revision, *cells)
            for candidate, *cells in zip(*cells_of, strict=True)
            if candidate in of
        ]
    for refusal in (c for c in written if c.by_contract):
        # Several rows with one entry id may be the very fault: the last stands for them.
        readable = {tender["entry_id"]: tender for tender in refusal.ticket["parts"]["tenders"]}
        rows += [(*refusal.key, *(tender[column] for column in columns)) for tender in readable.values()]
    upsert(
        desk.connection,
        tenders,
        ("document", "revision", *columns),
        rows,
        update=("tender_id", "tender_code", "amount"),
    )
