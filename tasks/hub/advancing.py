"""Applies what waits of the layaways and backorders of a store: newer snapshots and pick-up tickets.

One transaction a store. An order and its tickets are applied together or not at all; one that cannot be
applied never stops the others. Running it twice changes nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, or_, select

from data_contracts.documents import ORDER, STREAM_ORDERS
from data_contracts.life_cycle import State
from data_contracts.order_progress import PickUp, Snapshot, objection, rung_again
from data_contracts.posting import PICKED_UP_BEFORE, UNKNOWN_KIND, Objection, pickup_waits
from data_contracts.waiting import WAITING_FOR_ORDER, WAITING_RULES
from tasks import faults
from tasks.hub.booking import book
from tasks.hub.bulk import fetch_for
from tasks.hub.candidates import Candidate, Gathered
from tasks.hub.database import Hub, lock_store
from tasks.hub.desk import Desk, open_desk
from tasks.hub.inbox import utc_now
from tasks.hub.ledger import write_levels
from tasks.hub.order_booking import Move, book_orders, finished, tell
from tasks.hub.order_candidates import gather_orders, load_snapshots
from tasks.hub.order_standing import PickedUp, Standing, as_applied, load_standing
from tasks.hub.schema import documents, quarantine
from tasks.hub.ticket_candidates import judge_voids, pickups, recalled_order, weigh_tickets
from tasks.hub.to_advance import orders_past_date, orders_to_advance, today_of
from tasks.settings import Settings

log = logging.getLogger(__name__)

faults.declare("hub.advance.locked", "hub.advance.before_commit", "hub.advance.after_commit")


@dataclass(frozen=True)
class Advanced:
    """What was applied in a store."""

    moves: tuple[Move, ...] = ()
    pickups: int = 0
    """Pick-up tickets that were booked."""
    money: int = 0
    """Their totals in ten-thousandths."""
    snapshots: int = 0
    """Snapshots that were applied."""
    quarantined: int = 0
    """Snapshots that ask for an illegal move."""
    waiting: tuple[str, ...] = ()
    """What the others wait for, a sentence for each order."""


class _DryRun(Exception):
    """Rolls the transaction back; carries what it would have done."""

    def __init__(self, advanced: Advanced) -> None:
        super().__init__()
        self.advanced = advanced


@dataclass
class _Group:
    """An order with what waits of it."""

    name: str
    snapshots: list[Candidate] = field(default_factory=list)
    """Those of its snapshots that wait, in any order."""
    tickets: list[tuple[Candidate, dict[str, int]]] = field(default_factory=list)
    """Good pick-ups that wait, each with its units by product."""
    held: set[int] = field(default_factory=set)
    """Numbers of pick-ups that stand in quarantine for a reason of their own."""
    rung_again: set[tuple[str, str]] = field(default_factory=set)
    """Pick-ups of which a person has said that they do not repeat one that RMS lost."""
    discarded: bool = False
    """Whether a person has put the order aside for good."""


def advance(
    hub: Hub, settings: Settings, store: str, kind: str, *, dry_run: bool = False, now: str | None = None
) -> Advanced:
    """Apply what waits of a store's layaways or backorders (`kind`) and note which have expired.

    A dry run does the same and rolls it back. Raises `HubUnavailable` if another run holds the store.
    """
    at = now or utc_now()
    try:
        with hub.writing("hub.advance.before_commit", "hub.advance.after_commit") as connection:
            lock_store(connection, store)
            faults.point("hub.advance.locked")
            desk = open_desk(connection, settings, store, now=at, batch=None, baselined=False)
            advanced = _advance(desk, kind)
            write_levels(desk)
            desk.log.write(connection)
            if dry_run:
                raise _DryRun(advanced)
    except _DryRun as dry:
        return dry.advanced
    if advanced.moves or advanced.pickups:
        log.info(
            "advanced %s of store %s: %d snapshots and %d pick-ups applied, %d orders wait",
            f"{kind}s",
            store,
            advanced.snapshots,
            advanced.pickups,
            len(advanced.waiting),
        )
    return advanced


def _advance(desk: Desk, kind: str) -> Advanced:
    today = today_of(desk.now, desk.time_zone)
    names = orders_to_advance(desk.connection, desk.store, kind)
    dated = orders_past_date(desk.connection, desk.store, kind, today, desk.release_on_expiry)
    if not names and not dated:
        return Advanced()
    orders = gather_orders(desk, None, recheck_all=False, entries_of=names)
    tickets = weigh_tickets(desk, None, recheck_all=False, names=names)
    groups = _groups(desk, names, orders, tickets)
    reasons = _decide(desk, groups)
    ready = {name for name in groups if name not in reasons}
    moves, settled = book_orders(desk, orders, again=ready | set(dated), today=today)
    judge_voids(desk, tickets)
    booked = book(desk, tickets, told_by_caller={move.order_id for move in moves})
    moves = finished(desk, moves)
    for move in moves:
        tell(desk, move)
    picked_up = [c for c in booked.booked if c.ticket["kind"] == "pickup"]
    return Advanced(
        moves=tuple(moves),
        pickups=len(picked_up),
        money=sum(int(c.ticket["total"]) for c in picked_up),
        snapshots=len(settled.booked),
        quarantined=sum(not why.waits for why in reasons.values()),
        waiting=tuple(why.message for _, why in sorted(reasons.items()) if why.waits),
    )


def _groups(desk: Desk, names: Collection[str], orders: Gathered, tickets: Gathered) -> dict[str, _Group]:
    """The orders with what waits of them. A pick-up of an order that is not among them goes on waiting."""
    groups = {name: _Group(name) for name in names}
    for candidate in orders.candidates:
        if candidate.objection is not None and candidate.objection.waits and candidate.document in groups:
            groups[candidate.document].snapshots.append(candidate)
    kinds: dict[str, str] = {}
    for row in fetch_for(desk.connection, documents, "document", names):
        kinds[row["document"]] = row["kind"]
        groups[row["document"]].discarded = row["state"] == "discarded"
    items: dict[int, dict[str, int]] = {}
    if tickets.frames:
        lines = tickets.frames["ticket_lines"]
        columns = ("candidate", "product", "sku", "quantity")
        for at, product, sku, quantity in zip(*(lines[name].tolist() for name in columns), strict=True):
            if quantity > 0:
                of = items.setdefault(at, {})
                of[product or sku] = of.get(product or sku, 0) + quantity
    for candidate in pickups(tickets):
        name = recalled_order(desk, candidate)
        if name in groups:
            groups[name].tickets.append((candidate, items.get(candidate.candidate, {})))
            if PICKED_UP_BEFORE in tickets.standing(candidate.key).waived:
                groups[name].rung_again.add(candidate.key)
        else:
            candidate.objection = pickup_waits(candidate.ticket, name, kinds.get(name))
    for name, number in _held_pickups(desk):
        if name in groups:
            groups[name].held.add(number)
    return groups


def _held_pickups(desk: Desk) -> list[tuple[str, int]]:
    """(order, number) of pick-ups that stand in quarantine for a reason of their own.

    What its contract refused has no kind yet; as far as it can be read, its codes say what it is.
    """
    q = quarantine.c
    query = select(q.epoch, q.rows).where(
        q.store == desk.store,
        q.stream == STREAM_ORDERS,
        q.state == "open",
        q.kind.in_(("pickup", UNKNOWN_KIND)),
        q.rule.not_in(WAITING_RULES),
    )
    found = []
    for epoch, rows in desk.connection.execute(query):
        for header in json.loads(rows).get("tickets", ()):
            with suppress(ValueError):
                recall_type, order, number = (int(header[name]) for name in RECALL)
                if recall_type == desk.rules.codes.recall_order:
                    found.append((desk.recalled_order(epoch, order), number))
    return found


RECALL = ("recall_type", "recall_id", "number")


def _fixes(desk: Desk) -> dict[str, str]:
    """What to do about orders whose newer snapshot does not come by itself: it is refused or discarded."""
    q, d = quarantine.c, documents.c
    newer = or_(q.sequence > d.sequence, and_(q.sequence == d.sequence, q.batch_id > d.batch_id))
    query = (
        select(q.document, q.state)
        .join(documents, d.document == q.document)
        .where(
            q.store == desk.store,
            d.source == ORDER,
            or_(
                and_(q.state == "open", q.rule.not_in(WAITING_RULES)),
                and_(q.state == "discarded", d.state == "accepted", newer),
            ),
        )
        .order_by(q.state)  # what stands open is newer than what was discarded
    )
    said = {
        "open": "see to the order: `tillbridge quarantine` says what is wrong with it",
        "discarded": "its newer snapshot was discarded: `tillbridge quarantine release {name}` takes it "
        "back, else discard the pick-ups too",
    }
    return {name: said[state].format(name=name) for name, state in desk.connection.execute(query).tuples()}


def _decide(desk: Desk, groups: Mapping[str, _Group]) -> dict[str, Objection]:
    """Clear the objections of what may be applied; order -> reason, of the orders that may not."""
    snapshots = load_snapshots(desk, groups)
    standing = load_standing(desk, groups)
    fixes = _fixes(desk)
    reasons: dict[str, Objection] = {}
    for name, group in sorted(groups.items()):
        newest = max(group.snapshots, key=lambda c: _newness(snapshots[name], c), default=None)
        why = _objection(desk, group, newest, snapshots.get(name, []), standing.get(name))
        if why is None:
            if newest is not None:
                newest.objection = None
            continue  # its pick-ups have none
        if why.rule == WAITING_FOR_ORDER and name in fixes:
            why = why._replace(fix=fixes[name])
        reasons[name] = why = why._replace(waits_for=name)
        if newest is not None:
            newest.objection = why
        for candidate, _ in group.tickets:
            candidate.objection = _ticket_waits(candidate, why)
    return reasons


def _newness(snapshots: Sequence[tuple[Snapshot, dict[str, Any]]], candidate: Candidate) -> tuple[int, str]:
    return max(
        (s.newness for s, _ in snapshots if s.revision == candidate.revision), default=candidate.newness
    )


def _objection(
    desk: Desk,
    group: _Group,
    newest: Candidate | None,
    snapshots: Sequence[tuple[Snapshot, dict[str, Any]]],
    standing: Standing | None,
) -> Objection | None:
    if newest is not None:
        now, header = as_applied(snapshots, newest.revision)
    elif standing is not None:
        now, header = standing.snapshot, standing.header
    else:
        number = group.name.rsplit("/", 1)[1]
        if group.discarded:
            return Objection(
                WAITING_FOR_ORDER,
                f"Order {number} was discarded and will not be applied by itself.",
                f"discard its pick-ups too, or release it: `tillbridge quarantine release {group.name}`",
            )
        return Objection(
            WAITING_FOR_ORDER,
            f"Order {number} stands in quarantine, and its pick-ups wait for it.",
            "see to the order: `tillbridge quarantine` says what is wrong with it",
        )
    _look_for_lost(desk, group, standing, now)
    return objection(
        header["number"],
        now,
        standing.snapshot if standing is not None else None,
        State(standing.life["state"]) if standing is not None else None,
        _known_pickups(desk, group, standing),
        unknown_tickets=_unknown(desk, now.tickets),
        held_tickets=group.held,
    )


def _look_for_lost(desk: Desk, group: _Group, standing: Standing | None, now: Snapshot) -> None:
    """Hold back those of the waiting pick-ups that may only repeat one that RMS lost."""
    booked = {pickup.document for pickup in standing.pickups} if standing is not None else set()
    for candidate, items in sorted(group.tickets, key=lambda pair: pair[0].ticket["number"]):
        if candidate.key in group.rung_again:
            continue
        # Each one that is held back brings the others nearer to what RMS counts.
        known = _known_pickups(desk, group, standing)
        why = rung_again(_waiting_pickup(desk, candidate, items), known, now)
        if why is not None and candidate.document not in booked:
            candidate.objection = why._replace(waits_for=group.name)
            group.held.add(candidate.ticket["number"])
            group.tickets = [pair for pair in group.tickets if pair[0] is not candidate]


def _known_pickups(desk: Desk, group: _Group, standing: Standing | None) -> list[PickUp]:
    """The good pick-ups of an order, booked or waiting; a waiting revision stands for the booked one."""
    newest = {c.document: (c, items) for c, items in sorted(group.tickets, key=lambda pair: pair[0].newness)}
    known = [_waiting_pickup(desk, candidate, items) for candidate, items in newest.values()]
    if standing is None:
        return known
    for pickup in standing.pickups:
        if pickup.document not in newest:
            items = _items(pickup)
            undone = items if pickup.voided else standing.returned.get(pickup.document, {})
            epoch = int(pickup.document.split("/")[1])
            lost = _is_lost(desk, epoch, pickup.number)
            known.append(
                PickUp(pickup.number, pickup.sequence, items, undone, epoch=epoch, lost=lost, booked=True)
            )
    return known


def _waiting_pickup(desk: Desk, candidate: Candidate, items: Mapping[str, int]) -> PickUp:
    epoch, number = candidate.ticket["epoch"], candidate.ticket["number"]
    return PickUp(number, candidate.newness[0], items, {}, epoch=epoch, lost=_is_lost(desk, epoch, number))


def _is_lost(desk: Desk, epoch: int, number: int) -> bool:
    """Whether a ticket lies above all that a later epoch has in common with its own."""
    return any(start.epoch > epoch and number > start.after_number for start in desk.epochs)


def _items(pickup: PickedUp) -> dict[str, int]:
    items: dict[str, int] = {}
    for row in pickup.lines:
        if row["quantity"] > 0:
            items[row["product"]] = items.get(row["product"], 0) + row["quantity"]
    return items


def _unknown(desk: Desk, numbers: Collection[int]) -> set[int]:
    """Those of the ticket numbers that the hub has not taken in, and that are no history."""
    newest = max(start.epoch for start in desk.epochs)
    named = {desk.recalled(newest, number): number for number in numbers if not desk.is_history(number)}
    rows = fetch_for(desk.connection, documents, "document", named)
    taken_in = {row["document"] for row in rows if row["state"] != "quarantined"}
    return {number for name, number in named.items() if name not in taken_in}


def _ticket_waits(candidate: Candidate, why: Objection) -> Objection:
    """What a pick-up waits for while its order cannot be applied."""
    name = f"Ticket {candidate.ticket['number']}"
    return Objection(
        WAITING_FOR_ORDER,
        f"{name} picks up order {candidate.ticket['recall_id']}, which waits: {why.message}",
        why.fix,
        why.waits_for,
    )
