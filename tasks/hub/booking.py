"""Books judged tickets: picks the revision of each document that counts, and writes what follows from it.

The newest good revision is booked; the newest bad one, if newer than that, stands open in quarantine.
Everything is written as sets, and only the difference to what was booked before reaches the ledger.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sqlalchemy import bindparam, update

from data_contracts.amounts import format_amount
from data_contracts.posting import own_movements, reversed_movements, rounded
from data_contracts.statuses import OrderStatus, PaymentStatus, ShippingStatus
from data_contracts.waiting import WAITING_RULES
from tasks import faults
from tasks.hub.bulk import delete_for, fetch_for, load, upsert
from tasks.hub.candidates import BY_CONTRACT, Candidate, Gathered, Newness, linked_document, rows_as_exported
from tasks.hub.derived import describe, recompute, snapshot
from tasks.hub.desk import Desk
from tasks.hub.ledger import paid_by_target, post_movements, post_payments, posted_movements
from tasks.hub.schema import document_revisions, documents, order_lines, orders, quarantine, tenders

log = logging.getLogger(__name__)

faults.declare("hub.orders.documents", "hub.orders.orders", "hub.quarantine.entries")


@dataclass
class Settled:
    """Which revision of each document counts from now on."""

    booked: list[Candidate] = field(default_factory=list)
    entries: list[tuple[Candidate, str]] = field(default_factory=list)
    """New or re-judged bad revisions with the state of their entry."""
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    """(document, revision) of entries that were there -> their new state."""
    newness: dict[tuple[str, str], tuple[Newness, str]] = field(default_factory=dict)
    """(document, revision) -> newest (newness, batch) in which it came."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `documents`, without what booking adds."""
    replaced: list[tuple[str, str]] = field(default_factory=list)
    """(document, revision) that was booked and is no longer."""


def settle(found: Gathered) -> Settled:
    """Pick, per document, the revision that is booked and the one that stands open."""
    settled = Settled()
    by_document: dict[str, list[Candidate]] = {}
    for candidate in (*found.candidates, *found.seen_again):
        by_document.setdefault(candidate.document, []).append(candidate)
    judged = {id(candidate) for candidate in found.candidates}
    for name, candidates in by_document.items():
        _settle(settled, found, name, candidates, judged)
    return settled


def _settle(
    settled: Settled, found: Gathered, name: str, candidates: list[Candidate], judged: set[int]
) -> None:
    current, entries = found.current.get(name), found.entries.get(name, [])
    newest: dict[str, tuple[Newness, str]] = {}
    for entry in entries:
        newest[entry["revision"]] = ((entry["sequence"], entry["batch_id"]), entry["batch"])
    accepted = current["revision"] if current is not None and current["state"] == "accepted" else None
    if current is not None and accepted is not None:
        newest[accepted] = ((current["sequence"], current["batch_id"]), current["batch"])
    for candidate in candidates:
        here = (candidate.newness, candidate.batch)
        newest[candidate.revision] = max(newest.get(candidate.revision, here), here)
    fresh = {c.revision: c for c in candidates if id(c) in judged}
    good = [c for c in fresh.values() if c.objection is None]
    best = max(good, key=lambda c: newest[c.revision], default=None)
    if best is not None and (accepted is None or newest[best.revision] > newest[accepted]):
        settled.booked.append(best)
        if accepted is not None:
            settled.replaced.append((name, accepted))
        accepted = best.revision
    bad = {e["revision"]: (e["state"], e["rule"], e["kind"]) for e in entries if e["state"] != "cleared"}
    for revision, candidate in fresh.items():
        bad.pop(revision, None)
        if candidate.objection is not None:
            bad[revision] = ("open", candidate.objection.rule, candidate.ticket["kind"])
        else:
            settled.states[name, revision] = "cleared"
    above = [r for r in bad if r != accepted and (accepted is None or newest[r] > newest[accepted])]
    top = max(above, key=lambda revision: newest[revision], default=None)
    for revision, (state, _, _) in bad.items():
        if state in ("open", "superseded"):
            state = "open" if revision == top else "superseded"
        if revision in fresh:
            settled.entries.append((fresh[revision], state))
        else:
            settled.states[name, revision] = state
    for revision, when in newest.items():
        settled.newness[name, revision] = when
    shown = accepted or top
    if shown is None:
        return
    if shown in fresh:
        kind = fresh[shown].ticket["kind"]
    else:
        kind = bad[shown][2] if shown in bad else (current or {})["kind"]
    if accepted is not None:
        state = "accepted"
    elif bad[shown][0] == "discarded":
        state = "discarded"
    else:
        state = "pending" if bad[shown][1] in WAITING_RULES else "quarantined"
    (sequence, batch_id), batch = newest[shown]
    store, epoch, source, number = name.split("/")
    row = {"document": name, "store": store, "epoch": int(epoch), "source": source, "number": int(number)}
    row |= {"kind": kind, "state": state, "revision": shown}
    settled.rows.append(row | {"sequence": sequence, "batch_id": batch_id, "batch": batch})


def book(desk: Desk, found: Gathered) -> Settled:
    """Settle and write: documents, quarantine, orders, ledger, payments, and what follows for others."""
    settled = settle(found)
    posting = _postings(desk, found, settled)
    _write_documents(desk, found, settled, posting)
    _write_quarantine(desk, found, settled)
    _write_orders(desk, found, settled, posting)
    return settled


# -- documents and their revisions -----------------------------------------------------------------------
def _postings(desk: Desk, found: Gathered, settled: Settled) -> dict[str, dict[str, Any]]:
    """What booking fixes for each booked document: number of the posting, places, link."""
    links = {c.document: linked_document(desk, c.ticket) for c in settled.booked}
    voids = [c.document for c in settled.booked if c.ticket["kind"] == "void" and not c.before_baseline]
    targets = {links[name] for name in voids} - {None}
    places = {
        row["document"]: {key: row[key] for key in PLACES}
        for row in fetch_for(desk.connection, documents, "document", {t for t in targets if t is not None})
        if row["postings"]
    }
    place = desk.placement
    own = dict(zip(PLACES, (place.warehouse, place.rule, place.returns_to, place.returns_rule), strict=True))
    found_places: dict[str, dict[str, Any]] = {}
    for candidate in sorted(settled.booked, key=lambda c: c.ticket["kind"] == "void"):
        current = found.current.get(candidate.document)
        times = current["postings"] if current is not None else 0
        target = links[candidate.document]
        if candidate.document in voids and target is not None:
            fixed = found_places.get(target) or places.get(target) or own
        elif current is not None and times:
            fixed = {key: current[key] for key in PLACES}
        else:
            fixed = own
        found_places[candidate.document] = {key: fixed[key] for key in PLACES} | {
            "posting": times + 1,
            "kind": candidate.ticket["kind"],
            "occurred_at": candidate.ticket["occurred_at"],
            "link": target,
            "reverses": target if candidate.document in voids else None,
        }
    return found_places


PLACES = ("warehouse", "warehouse_rule", "returns_to", "returns_rule")

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


def _write_documents(
    desk: Desk, found: Gathered, settled: Settled, posting: dict[str, dict[str, Any]]
) -> None:
    faults.point("hub.orders.documents")
    rows: list[tuple[Any, ...]] = []
    for row in settled.rows:
        name, current = row["document"], found.current.get(row["document"])
        fixed = posting.get(name) or current or {}
        row["postings"] = fixed.get("posting", fixed.get("postings", 0))
        row["order_id"] = name if row["state"] == "accepted" else None
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
    for candidate in (*found.superseded, *found.seen_again, *found.candidates):
        key = (candidate.document, candidate.revision)
        before = known.get(key)
        if key in booked:
            state = "accepted"
        elif before is not None and candidate in found.seen_again:
            state = before["state"]
        elif candidate.objection is not None:
            state = "quarantined"
        else:
            state = "superseded"
        here = (candidate.newness, candidate.batch)
        (sequence, batch_id), batch = settled.newness.get(key, here)
        ticket = candidate.ticket
        figures = {name: ticket.get(name) for name in FIGURES}
        if before is not None:
            (sequence, batch_id), batch = max(
                ((sequence, batch_id), batch), ((before["sequence"], before["batch_id"]), before["batch"])
            )
            # The content is as old as its first arrival; a later stamp of the same content says nothing.
            stamps = [v for v in (figures["rowversion"], before["rowversion"]) if v is not None]
            figures["rowversion"] = min(stamps, default=None)
        revisions[key] = (
            *key,
            sequence,
            batch_id,
            batch,
            state,
            ticket.get("line_count"),
            *figures.values(),
        )
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
    _write_tenders(desk, found)


def _write_tenders(desk: Desk, found: Gathered) -> None:
    of = {c.candidate: c for c in found.candidates if c.from_batch and not c.by_contract}
    columns = ("entry_id", "tender_id", "tender_code", "amount")
    rows: list[tuple[Any, ...]] = []
    if of:
        cells_of = [found.tenders[name].tolist() for name in ("candidate", *columns)]
        rows = [
            (of[candidate].document, of[candidate].revision, *cells)
            for candidate, *cells in zip(*cells_of, strict=True)
            if candidate in of
        ]
    for refusal in (c for c in found.candidates if c.by_contract):
        rows += [(refusal.document, refusal.revision, *cells) for cells in refusal.ticket["tenders"]]
    upsert(
        desk.connection,
        tenders,
        ("document", "revision", *columns),
        rows,
        update=("tender_id", "tender_code", "amount"),
    )


# -- quarantine ------------------------------------------------------------------------------------------
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


def _write_quarantine(desk: Desk, found: Gathered, settled: Settled) -> None:
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
                    "orders",
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
            if state == "open":
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
        if state == "cleared":
            desk.log.add("quarantine_cleared", document=key[0], rule=entry["rule"])
    if changed:
        values = {name: bindparam(f"to_{name}") for name in ("state", "closed_utc")}
        desk.connection.execute(update(quarantine).where(*where).values(**values, **numbered), changed)


def _newness(settled: Settled, key: tuple[str, str]) -> dict[str, Any]:
    (sequence, batch_id), batch = settled.newness[key]
    return {"to_sequence": sequence, "to_batch_id": batch_id, "to_batch": batch}


def _prefixed(names: Iterable[str], cells: Iterable[Any]) -> dict[str, Any]:
    return {f"to_{name}": cell for name, cell in zip(names, cells, strict=True)}


# -- orders and what follows -------------------------------------------------------------------------------
ORDER_COLUMNS = (
    "order_id",
    "store",
    "epoch",
    "kind",
    "source_order_id",
    "company",
    "channel",
    "order_type",
    "order_status",
    "payment_status",
    "shipping_status",
    "ordered_at_utc",
    "shipped_at_utc",
    "business_date",
    "customer",
    "customer_name",
    "warehouse",
    "tax",
    "total",
    "rounding",
    "paid",
    "refunded",
    "refundable",
    "refunds",
    "linked_order",
    "flags",
)
LINE_COLUMNS = (
    "order_id",
    "line",
    "sku",
    "source_sku",
    "item_type",
    "quantity",
    "backorder_quantity",
    "shipped_quantity",
    "returned_quantity",
    "unit_price",
    "tax",
    "warehouse",
)


def _write_orders(desk: Desk, found: Gathered, settled: Settled, posting: dict[str, dict[str, Any]]) -> None:
    if not settled.booked:
        return
    faults.point("hub.orders.orders")
    revised = {c.document for c in settled.booked if posting[c.document]["posting"] > 1}
    old = {row["order_id"]: row for row in fetch_for(desk.connection, orders, "order_id", revised)}
    followers = _followers(desk, found, old, posting)
    booked = {c.candidate: c for c in settled.booked}
    tickets = pd.DataFrame(
        [
            {"candidate": at, "document": c.document} | {k: posting[c.document][k] for k in ("kind", *PLACES)}
            for at, c in booked.items()
        ]
    )
    lines = found.lines[found.lines["candidate"].isin(list(booked))]
    paid = _post(desk, settled, posting, tickets, lines, revised | set(followers))
    touched = _touched(desk, settled, posting, old)
    shown_before = snapshot(desk, touched)
    _write_order_rows(desk, settled, posting, paid)
    _write_lines(desk, booked, posting, lines, revised)
    for name, amount in paid.items():
        if name in followers:
            desk.connection.execute(update(orders).where(orders.c.order_id == name).values(paid=amount))
    recompute(desk, touched)
    _tell(desk, settled, posting, shown_before, snapshot(desk, touched))


def _followers(
    desk: Desk, found: Gathered, old: dict[str, dict[str, Any]], posting: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """Voids booked earlier whose ticket is revised now: void -> ticket. They are posted along with it."""
    followers = {
        row["voided_by"]: name
        for name, row in old.items()
        if row["voided_by"] is not None and row["voided_by"] not in posting
    }
    for row in fetch_for(desk.connection, documents, "document", followers):
        ticket = next(r for r in fetch_for(desk.connection, orders, "order_id", [row["document"]]))
        posting[row["document"]] = {key: row[key] for key in PLACES} | {
            "posting": row["postings"] + 1,
            "kind": "void",
            "occurred_at": ticket["ordered_at_utc"],
            "link": followers[row["document"]],
            "reverses": followers[row["document"]],
        }
        desk.connection.execute(
            update(documents)
            .where(documents.c.document == row["document"])
            .values(postings=row["postings"] + 1)
        )
    return followers


def _post(
    desk: Desk,
    settled: Settled,
    posting: dict[str, dict[str, Any]],
    tickets: pd.DataFrame,
    lines: pd.DataFrame,
    again: set[str],
) -> dict[str, int]:
    """Bring ledger and payments in line; returns what is paid on each document's order."""
    reverses = {name: of["reverses"] for name, of in posting.items() if of["reverses"] is not None}
    own = tickets[~tickets["document"].isin(list(reverses))]
    desired = own_movements(own, lines)
    totals = {c.document: int(c.ticket["total"]) for c in settled.booked}
    posted = posted_movements(desk, again)
    if reverses:
        known = set(own["document"].tolist())
        distant = [target for target in reverses.values() if target not in known]
        sources = pd.concat(
            [desired[desired["document"].isin(list(reverses.values()))], posted_movements(desk, distant)]
        )
        turned = reversed_movements(sources, {target: name for name, target in reverses.items()})
        desired = pd.concat([desired, turned], ignore_index=True)
        at_target = paid_by_target(desk, distant)
        for name, target in reverses.items():
            totals[name] = -(totals[target] if target in known else at_target[target])
    post_movements(desk, desired, posted, posting)
    post_payments(desk, totals, posting, again)
    return totals


def _touched(
    desk: Desk, settled: Settled, posting: dict[str, dict[str, Any]], old: dict[str, dict[str, Any]]
) -> set[str]:
    """Orders whose derived fields may change: the booked, their links, and the links of those voided."""
    touched = set(posting) | {row["linked_order"] for row in old.values()}
    touched |= {of["link"] for of in posting.values()}
    voided = {of["reverses"] for of in posting.values()} | {
        row["linked_order"] for row in old.values() if row["kind"] == "void"
    }
    distant = {name for name in voided if name is not None}
    touched |= {row["linked_order"] for row in fetch_for(desk.connection, orders, "order_id", distant)}
    return {name for name in touched if name is not None}


def _write_order_rows(
    desk: Desk, settled: Settled, posting: dict[str, dict[str, Any]], paid: dict[str, int]
) -> None:
    rows = []
    for candidate in settled.booked:
        ticket, of = candidate.ticket, posting[candidate.document]
        rounding = ticket["total"] - rounded(ticket["come_to"])
        flags = [flag for flag in ticket["flags"].split(";") if flag]
        flags += ["rounding"] if rounding else []
        flags += ["before_baseline"] if candidate.before_baseline else []
        comes_back = of["kind"] == "return"
        rows.append(
            (
                candidate.document,
                desk.store,
                ticket["epoch"],
                of["kind"],
                str(ticket["number"]),
                desk.company,
                desk.channel,
                "retail",
                int(OrderStatus.Completed),
                int(PaymentStatus.Charged),
                int(ShippingStatus.FullyShipped),
                ticket["occurred_at"],
                ticket["occurred_at"],
                ticket["business_date"],
                desk.customer,
                desk.customer_name,
                of["returns_to"] if comes_back else of["warehouse"],
                ticket["tax"],
                ticket["total"],
                rounding,
                paid[candidate.document],
                0,
                ticket["refundable"],
                ticket["refunds"],
                of["link"],
                ";".join(flags),
            )
        )
        if rounding:
            desk.log.add("rounding_accepted", order_id=candidate.document, amount=format_amount(rounding))
        if candidate.before_baseline:
            desk.log.add("before_baseline", order_id=candidate.document, recalled=ticket["recall_id"])
    upsert(desk.connection, orders, ORDER_COLUMNS, rows, update=ORDER_COLUMNS[1:])


def _write_lines(
    desk: Desk,
    booked: dict[int, Candidate],
    posting: dict[str, dict[str, Any]],
    lines: pd.DataFrame,
    revised: set[str],
) -> None:
    delete_for(desk.connection, order_lines, "order_id", revised)
    columns = ("candidate", "line", "product", "sku", "item_type", "quantity", "unit_price", "tax")
    rows = []
    for at, line, product, sku, item_type, quantity, price, tax in zip(
        *(lines[name].tolist() for name in columns), strict=True
    ):
        name = booked[at].document
        of = posting[name]
        leaves = (quantity >= 0) != (of["kind"] == "void")
        place = of["warehouse"] if leaves else of["returns_to"]
        rows.append((name, line, product or sku, sku, item_type, quantity, 0, quantity, 0, price, tax, place))
    load(desk.connection, order_lines, LINE_COLUMNS, rows)


def _tell(
    desk: Desk,
    settled: Settled,
    posting: dict[str, dict[str, Any]],
    before: dict[str, tuple[Any, ...]],
    after: dict[str, tuple[Any, ...]],
) -> None:
    """Events of orders created and changed, in the order of their ids."""
    revised = {c.document for c in settled.booked if posting[c.document]["posting"] > 1}
    revisions = {c.document: c.revision for c in settled.booked}
    for name in sorted(after):
        if name in revised:
            desk.log.add("ticket_revised", document=name, order_id=name, revision=revisions[name])
        if name not in before:
            desk.log.add("order_created", document=name, order_id=name, **describe(after[name]))
        elif before[name] != after[name] or name in revised:
            desk.log.add("order_changed", order_id=name, **describe(after[name]))


def tally(found: Gathered) -> Counter[str]:
    """What became of the batch's documents: accepted, quarantined, pending, seen_before, superseded."""
    counts: Counter[str] = Counter()
    for candidate in found.candidates:
        if candidate.from_batch:
            why = candidate.objection
            counts["accepted" if why is None else "pending" if why.waits else "quarantined"] += 1
    counts["seen_before"] = sum(candidate.from_batch for candidate in found.seen_again)
    counts["superseded"] = len(found.superseded)
    return counts
