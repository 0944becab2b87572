"""Weighs and judges the tickets that one transaction has to deal with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select

from data_contracts.posting import VoidTarget as Target
from data_contracts.posting import judge, judge_void, name_products, pickup_waits, weigh
from tasks.hub.bulk import fetch_for, stage_keys
from tasks.hub.candidates import TICKETS_OF, Arrivals, Candidate, Gathered, collect, gather_into, waived
from tasks.hub.desk import Desk
from tasks.hub.schema import document_revisions, documents, orders


def gather_tickets(
    desk: Desk,
    arrivals: Arrivals | None,
    *,
    recheck_all: bool,
    names: Collection[str] = (),
    entries_of: Collection[str] = (),
) -> Gathered:
    """Read, weigh and judge a batch's tickets and waiting ones.

    Pick-ups that nothing is wrong with wait: `tasks.hub.advancing` applies them. `names` are documents
    of which something may have changed besides, so that what waits for them is judged again; so are the
    entries of the tickets `entries_of`.
    """
    found = weigh_tickets(desk, arrivals, recheck_all=recheck_all, names=names, entries_of=entries_of)
    known = known_orders(desk, found)
    for candidate in pickups(found):
        order = recalled_order(desk, candidate)
        kind, discarded = known.get(order, (None, False))
        candidate.objection = pickup_waits(candidate.ticket, order, kind, discarded=discarded)
    judge_voids(desk, found)
    return found


def weigh_tickets(
    desk: Desk,
    arrivals: Arrivals | None,
    *,
    recheck_all: bool,
    names: Collection[str] = (),
    entries_of: Collection[str] = (),
) -> Gathered:
    """`gather_tickets` without what tickets say of other documents: pick-ups and voids are not judged yet."""
    found = collect(desk, TICKETS_OF, arrivals, recheck_all=recheck_all, names=names, entries_of=entries_of)
    if not found.frames:
        return found
    tickets, lines, tenders = (found.frames[role] for role in TICKETS_OF.columns)
    tickets = weigh(tickets, lines, tenders, desk.rules.codes)
    found.frames["ticket_lines"] = name_products(
        lines,
        desk.products(set(lines["sku"].tolist())),
        desk.rules.codes,
        ignore_case=desk.rules.ignore_case,
    )
    waivers = waived(found, tickets)
    gather_into(found, tickets, judge(tickets, found.frames["ticket_lines"], desk.rules, waivers))
    return found


def pickups(found: Gathered) -> list[Candidate]:
    """The pick-ups among the candidates that nothing is wrong with."""
    return [c for c in found.candidates if c.ticket["kind"] == "pickup" and c.objection is None]


def recalled_order(desk: Desk, candidate: Candidate) -> str:
    """The document of the order that a pick-up names."""
    return desk.recalled_order(candidate.ticket["epoch"], candidate.ticket["recall_id"])


def known_orders(desk: Desk, found: Gathered) -> dict[str, tuple[str, bool]]:
    """Document -> kind of the orders that the pick-ups name and the hub has, and whether it was discarded."""
    named = {recalled_order(desk, candidate) for candidate in pickups(found)}
    return {
        row["document"]: (row["kind"], row["state"] == "discarded")
        for row in fetch_for(desk.connection, documents, "document", named)
    }


def judge_voids(desk: Desk, found: Gathered) -> None:
    """Judge the voids among the candidates, after all others: a void may name a ticket of the same batch."""
    voids = [c for c in found.candidates if c.ticket["kind"] == "void" and c.objection is None]
    for candidate in found.candidates:
        if candidate.ticket["kind"] in ("return", "exchange"):
            recalled = linked_document(desk, candidate.ticket)
            candidate.before_baseline = recalled is not None and desk.is_history(
                candidate.ticket["recall_id"]
            )
    if not voids:
        return
    named = {c.candidate: desk.recalled(c.ticket["epoch"], c.ticket["recall_id"]) for c in voids}
    targets = _targets(desk, found, set(named.values()))
    for void in sorted(voids, key=lambda c: (c.ticket["epoch"], c.ticket["number"], c.newness)):
        name = named[void.candidate]
        target = targets.get(name)
        is_history = desk.is_history(void.ticket["recall_id"])
        void.objection = judge_void(void.ticket, target, name, is_history=is_history)
        void.before_baseline = void.objection is None and target is None
        if void.objection is None and target is not None:
            targets[name] = target._replace(voided_by=void.document)


def voids_of(desk: Desk, names: Collection[str]) -> dict[str, str]:
    """Ticket -> the void of it that is booked, of these tickets."""
    staged = stage_keys(desk.connection, "staged_voided", names)
    query = (
        select(orders.c.linked_document, func.min(orders.c.order_id))
        .join(staged, staged.c.key == orders.c.linked_document)
        .where(orders.c.kind == "void")
        .group_by(orders.c.linked_document)
    )
    return dict(desk.connection.execute(query).tuples().all())


def _targets(desk: Desk, found: Gathered, names: set[str]) -> dict[str, Target]:
    mirrors: dict[str, set[str]] = {}
    for row in fetch_for(desk.connection, document_revisions, "document", names):
        mirrors.setdefault(row["document"], set()).add(row["mirror"] or "")
    voided_by = voids_of(desk, names)
    kinds: dict[str, str] = {}
    booked: set[str] = set()
    discarded: set[str] = set()
    for row in fetch_for(desk.connection, documents, "document", names):
        kinds[row["document"]] = row["kind"]
        if row["state"] == "discarded":
            discarded.add(row["document"])
        if row["state"] == "accepted":
            booked.add(row["document"])
    for candidate in (*found.superseded, *found.candidates):
        if candidate.document in names:
            mirrors.setdefault(candidate.document, set()).add(candidate.ticket["mirror"] or "")
            kinds[candidate.document] = candidate.ticket["kind"]
    for candidate in found.candidates:
        # A void that is still to be judged has no objection yet, but nothing may void it anyway.
        if candidate.document in names:
            discarded.discard(candidate.document)
        if candidate.document in names and candidate.objection is None:
            booked.add(candidate.document)
            kinds[candidate.document] = candidate.ticket["kind"]
    return {
        name: Target(kind, name in booked, frozenset(mirrors[name]), voided_by.get(name), name in discarded)
        for name, kind in kinds.items()
    }


def linked_document(desk: Desk, ticket: dict[str, Any]) -> str | None:
    """The ticket that a return, exchange or void recalls; None where RMS knows none, or itself."""
    codes = desk.rules.codes
    recalls = ticket.get("recall_type") in (codes.recall_return, codes.recall_void)
    if ticket["kind"] not in ("return", "exchange", "void") or not recalls or not ticket["recall_id"]:
        return None
    recalled = desk.recalled(ticket["epoch"], ticket["recall_id"])
    return None if recalled == ticket["document"] else recalled
