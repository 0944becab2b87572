"""Books snapshots of layaways and backorders: orders, lines, reservations, deposits.

A snapshot is the whole present state, so everything is brought in line with it and only the difference
reaches the ledger. Money and goods come with the pick-up tickets (`tasks.hub.booking`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from sqlalchemy import update

from data_contracts.life_cycle import State
from data_contracts.order_progress import Held, Snapshot, hold
from data_contracts.posting import DELTAS, MOVEMENT
from data_contracts.statuses import OrderStatus, PaymentStatus, ShippingStatus
from tasks import faults
from tasks.hub.bulk import delete_for, fetch_for, load, upsert
from tasks.hub.candidates import Arrivals, Candidate, Gathered
from tasks.hub.derived import describe, recompute, snapshot
from tasks.hub.desk import Desk
from tasks.hub.ledger import post_movements, posted_movements
from tasks.hub.order_candidates import gather_orders, keep_snapshots, load_snapshots
from tasks.hub.order_standing import as_applied, restate
from tasks.hub.recording import PLACES, record_documents
from tasks.hub.schema import (
    columns_of,
    deposits,
    document_revisions,
    documents,
    life_cycles,
    order_lines,
    orders,
)
from tasks.hub.setting_aside import set_aside
from tasks.hub.settling import Settled, settle

faults.declare("hub.orders.snapshots", "hub.orders.reservations", "hub.orders.deposits")


@dataclass(frozen=True)
class Move:
    """What applying a snapshot did to an order."""

    order_id: str
    number: int
    kind: str
    before: State | None
    after: State
    expired: bool
    """Whether it has expired since it was looked at last."""
    reserved: int
    """Units reserved less units freed."""
    applied: bool
    """Whether it is another snapshot than before."""
    shown_before: tuple[Any, ...] | None
    shown_after: tuple[Any, ...]

    @property
    def event(self) -> str:
        """The type of the event it leaves."""
        if self.before is None and self.after in (State.OPEN, State.WAITING):
            return "order_created"
        if self.before == self.after and self.after is not State.PARTLY_PICKED_UP:
            return "order_expired" if self.expired else "order_changed"
        return {
            State.PICKED_UP: "order_picked_up",
            State.PARTLY_PICKED_UP: "order_partly_picked_up",
            State.REST_CANCELLED: "order_rest_cancelled",
            State.CANCELLED: "order_cancelled",
        }.get(self.after, "order_changed" if self.before in (State.OPEN, State.WAITING) else "order_reopened")


def import_orders(
    desk: Desk, arrivals: Arrivals | None, *, recheck_all: bool, entries_of: Collection[str] = ()
) -> Gathered:
    """Open the orders that a batch brings, keep their later snapshots as pending, record all deposits.

    With `recheck_all` everything that waits in quarantine is judged again, else what waits of `entries_of`.
    """
    found = gather_orders(desk, arrivals, recheck_all=recheck_all, entries_of=entries_of)
    moves, _ = book_orders(desk, found)
    for move in moves:
        tell(desk, move)
    return found


def book_orders(
    desk: Desk, found: Gathered, *, again: Collection[str] = (), today: str | None = None
) -> tuple[list[Move], Settled]:
    """Settle and write what was gathered, and bring the orders of `again` in line once more.

    With `today` (a date in the store's zone) orders past their date are noted as expired. The caller tells
    of the moves, after it has booked their tickets.
    """
    settled = settle(found)
    booked = {c.document: c for c in settled.booked}
    posting = _postings(desk, found, booked)
    told_anew = record_documents(desk, found, settled, posting)
    set_aside(desk, found, settled)
    keep_snapshots(desk, found)
    _record_deposits(desk, found)
    # A snapshot that came late may say more of what was ordered before the order was closed.
    concerned = {c.document for c in (*found.superseded, *told_anew)} | set(again)
    return _apply(desk, booked, concerned - booked.keys(), posting, today), settled


def finished(desk: Desk, moves: Sequence[Move]) -> list[Move]:
    """The moves as they are shown once the tickets of their orders are booked as well."""
    names = {move.order_id for move in moves}
    shown, states = snapshot(desk, names), _states(desk, names)
    return [replace(move, shown_after=shown[move.order_id], after=states[move.order_id]) for move in moves]


def _states(desk: Desk, names: Collection[str]) -> dict[str, State]:
    rows = fetch_for(desk.connection, life_cycles, "order_id", names)
    return {row["order_id"]: State(row["state"]) for row in rows}


def tell(desk: Desk, move: Move) -> None:
    """Leave the event of a move, if it changed anything."""
    same = move.before == move.after and move.shown_before == move.shown_after
    if same and not (move.applied or move.expired or move.reserved):
        return
    desk.log.add(
        move.event,
        document=move.order_id,
        order_id=move.order_id,
        **describe(move.shown_after),
        state=move.after.value,
        before=move.before.value if move.before else "",
    )


def _postings(desk: Desk, found: Gathered, booked: Mapping[str, Candidate]) -> dict[str, dict[str, Any]]:
    """What booking fixes for each booked order: number of the posting and places, fixed at the first one."""
    place = desk.placement
    own = dict(zip(PLACES, (place.warehouse, place.rule, place.returns_to, place.returns_rule), strict=True))
    posting: dict[str, dict[str, Any]] = {}
    for name, candidate in booked.items():
        current = found.current.get(name)
        times = current["postings"] if current is not None else 0
        fixed = {key: current[key] for key in PLACES} if current is not None and times else own
        posting[name] = {
            **fixed,
            "posting": times + 1,
            "kind": candidate.ticket["kind"],
            "occurred_at": candidate.ticket["ordered_at"] if not times else desk.now,
            "order_id": name,
        }
    return posting


def _apply(
    desk: Desk,
    booked: Mapping[str, Candidate],
    again: Collection[str],
    posting: dict[str, dict[str, Any]],
    today: str | None,
) -> list[Move]:
    names = {*booked, *again}
    if not names:
        return []
    faults.point("hub.orders.snapshots")
    lives = {row["order_id"]: row for row in fetch_for(desk.connection, life_cycles, "order_id", names)}
    names = {name for name in names if name in booked or name in lives}
    if not names:
        return []
    for row in fetch_for(desk.connection, documents, "document", names - booked.keys()):
        posting[row["document"]] = {key: row[key] for key in PLACES} | {
            "posting": row["postings"] + 1,
            "kind": lives[row["document"]]["kind"],
            "occurred_at": desk.now,
            "order_id": row["document"],
        }
    snapshots = load_snapshots(desk, names)
    old_lines: dict[str, dict[int, dict[str, Any]]] = {}
    for row in fetch_for(desk.connection, order_lines, "order_id", names):
        old_lines.setdefault(row["order_id"], {})[row["line"]] = row
    shown_before = snapshot(desk, names)
    applied: dict[str, _Applied] = {}
    for name in sorted(names):
        life = lives.get(name)
        candidate = booked.get(name)
        revision = candidate.revision if candidate is not None else str(lives[name]["revision"])
        now, header = as_applied(snapshots[name], revision)
        before = as_applied(snapshots[name], life["revision"])[0] if life is not None else None
        # A type that stays in the store, or an order that is gone, is still of the kind it was.
        known = candidate.ticket["kind"] if candidate is not None else lives[name]["kind"]
        expired = _expired(now, header, life, today)
        released = expired and desk.release_on_expiry
        kind = now.kind or known
        applied[name] = _Applied(
            name,
            header,
            now,
            kind,
            expired=expired,
            released=released,
            life=life,
            held=_held(now, kind, before, old_lines.get(name, {}), released),
        )
    _write(desk, applied, posting)
    reserved = _reserve(desk, applied, posting)
    recompute(desk, names)
    shown_after, states = snapshot(desk, names), _states(desk, names)
    return [
        Move(
            order_id=name,
            number=int(of.header["number"]),
            kind=of.kind,
            before=State(of.life["state"]) if of.life is not None else None,
            after=states[name],
            expired=of.expired and not (of.life is not None and of.life["expired"]),
            reserved=reserved.get(name, 0),
            applied=name in booked,
            shown_before=shown_before.get(name),
            shown_after=shown_after[name],
        )
        for name, of in applied.items()
    ]


@dataclass(frozen=True)
class _Applied:
    """A snapshot as it is to be written."""

    name: str
    header: dict[str, Any]
    now: Snapshot
    kind: str
    expired: bool
    released: bool
    life: dict[str, Any] | None
    held: dict[int, Held]


def _expired(
    now: Snapshot, header: Mapping[str, Any], life: Mapping[str, Any] | None, today: str | None
) -> bool:
    if now.closed:
        return False
    if today is None:  # an import looks at no date: what was noted stays while the date stays
        return life is not None and bool(life["expired"]) and life["expires_on"] == header["expires_on"]
    # A date before the order itself is none: RMS writes 1900 where nobody set one.
    return str(header["business_date"]) <= str(header["expires_on"]) < today


def _held(
    now: Snapshot,
    kind: str,
    before: Snapshot | None,
    old_lines: Mapping[int, Mapping[str, Any]],
    released: bool,
) -> dict[int, Held]:
    taken = {line.entry_id: line.taken for line in before.lines} if before is not None else {}
    held: dict[int, Held] = {}
    for line in now.lines:
        old = old_lines.get(line.entry_id)
        had = Held(0, 0)
        if old is not None and old["sku"] == line.product:  # another product has to be allocated anew
            had = Held(old["reserved_quantity"], old["backorder_quantity"])
        held[line.entry_id] = hold(line, kind, had, taken.get(line.entry_id, 0), released=released)
    return held


LIFE_COLUMNS = columns_of(life_cycles)
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
    "flags",
)
RESTATED = ("kind", "ordered_at_utc", "business_date", "flags")
"""What a later snapshot may change directly; the rest follows in `order_standing.restate`."""
LINE_COLUMNS = columns_of(order_lines)


def _write(desk: Desk, applied: Mapping[str, _Applied], posting: Mapping[str, Mapping[str, Any]]) -> None:
    rows: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    lives: list[tuple[Any, ...]] = []
    for name, of in applied.items():
        header, warehouse = of.header, posting[name]["warehouse"]
        rows.append(
            (
                *(name, desk.store, header["epoch"], of.kind, str(header["number"])),
                *(desk.company, desk.channel, "wholesale"),
                *(int(OrderStatus.InProcess), int(PaymentStatus.NoPayment), int(ShippingStatus.Unshipped)),
                *(header["ordered_at"], header["business_date"]),
                *(desk.customer, desk.customer_name, warehouse),
                *(header["tax"], header["total"], 0, 0, 0, 0, 0, header["flags"]),
            )
        )
        for line in of.now.lines:
            held = of.held[line.entry_id]
            lines.append(
                (
                    *(name, line.entry_id, line.product, line.sku, line.item_type, line.ordered),
                    *(held.reserved, held.backordered, 0, 0, line.unit_price, 0, warehouse),
                )
            )
        cells: dict[str, Any] = {
            "order_id": name,
            "store": desk.store,
            "number": header["number"],
            "kind": of.kind,
            "state": State.OPEN.value,
            "revision": of.now.revision,
            "expires_on": header["expires_on"],
            "expired": of.expired,
            "released": of.released,
            "deposit": 0,
        }
        lives.append(tuple(cells[column] for column in LIFE_COLUMNS))
    upsert(desk.connection, orders, ORDER_COLUMNS, rows, update=RESTATED)
    delete_for(desk.connection, order_lines, "order_id", applied)
    load(desk.connection, order_lines, LINE_COLUMNS, lines)
    upsert(
        desk.connection,
        life_cycles,
        LIFE_COLUMNS,
        lives,
        update=("kind", "revision", "expires_on", "expired", "released"),
    )


def _reserve(
    desk: Desk, applied: Mapping[str, _Applied], posting: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """Bring the ledger in line with what is held; order id -> units reserved less units freed."""
    faults.point("hub.orders.reservations")
    desired = pd.DataFrame(
        [
            (
                *(name, line.entry_id, posting[name]["warehouse"], line.product, 0),
                *(of.held[line.entry_id].reserved, posting[name]["warehouse_rule"]),
            )
            for name, of in applied.items()
            for line in of.now.lines
            if line.holds_stock
        ],
        columns=[*MOVEMENT, *DELTAS, "rule"],
    )
    posted = posted_movements(desk, applied)
    had = posted.groupby("document")["reserved"].sum().to_dict()
    wanted = desired.groupby("document")["reserved"].sum().to_dict()
    post_movements(desk, desired, posted, posting)
    for name in sorted(applied):
        desk.connection.execute(
            update(documents)
            .where(documents.c.document == name)
            .values(postings=posting[name]["posting"], order_id=name)
        )
    return {name: int(wanted.get(name, 0)) - int(had.get(name, 0)) for name in applied}


def _record_deposits(desk: Desk, found: Gathered) -> None:
    """Keep the deposits of each order as its newest snapshot has them, whatever becomes of the snapshot."""
    arrived = [c for c in (*found.candidates, *found.superseded, *found.seen_again) if c.from_batch]
    if not arrived:
        return
    faults.point("hub.orders.deposits")
    names = {c.document for c in arrived}
    newest: dict[str, tuple[int, str]] = {}
    for row in fetch_for(desk.connection, document_revisions, "document", names):
        here = (row["sequence"], row["batch_id"])
        newest[row["document"]] = max(newest.get(row["document"], here), here)
    rows: list[tuple[Any, ...]] = []
    written = set()
    of_history, of_tenders = (_by_candidate(found, role) for role in ("order_history", "deposit_tenders"))
    for candidate in arrived:
        if candidate.newness < newest.get(candidate.document, candidate.newness):
            continue
        if "deleted" in str(candidate.ticket.get("flags")).split(";"):
            continue  # RMS no longer has the order, but what was paid in was paid in
        written.add(candidate.document)
        history, tenders = of_history.get(candidate.candidate, []), of_tenders.get(candidate.candidate, [])
        if candidate.by_contract:
            parts = candidate.ticket["parts"]
            history, tenders = parts["order_history"], parts["deposit_tenders"]
        tendered: dict[int, int] = {}
        for tender in tenders:
            tendered[tender["history_id"]] = tendered.get(tender["history_id"], 0) + tender["amount"]
        for entry in {entry["entry_id"]: entry for entry in history}.values():
            amount = desk.rules.codes.deposit_sign * entry["delta_deposit"]
            cells: dict[str, Any] = {
                "document": candidate.document,
                "entry": entry["entry_id"],
                "store": desk.store,
                "order_id": candidate.document,
                "at_utc": entry["occurred_at"],
                "business_date": entry["business_date"],
                "z_batch": entry["z_batch"],
                "transaction_number": entry["transaction_number"],
                "kind": deposit_kind(amount, entry["transaction_number"]),
                "amount": amount,
                "raw": entry["delta_deposit"],
                "tendered": tendered.get(entry["entry_id"], 0),
            }
            rows.append(tuple(cells[column.name] for column in deposits.columns))
    delete_for(desk.connection, deposits, "document", written)
    load(desk.connection, deposits, columns_of(deposits), rows)
    restate(desk, written)


def deposit_kind(amount: int, ticket: int) -> str:
    """taken, used (by a ticket) or refunded, by the sign of what is held and the ticket it belongs to."""
    if amount >= 0:
        return "taken"
    return "used" if ticket else "refunded"


def _by_candidate(found: Gathered, role: str) -> dict[int, list[dict[str, Any]]]:
    """Candidate -> its rows in a file."""
    rows: dict[int, list[dict[str, Any]]] = {}
    if role in found.frames:
        for row in found.frames[role].to_dict("records"):
            rows.setdefault(row["candidate"], []).append({str(name): cell for name, cell in row.items()})
    return rows
