"""What follows for a layaway or backorder from its applied snapshot, its pick-ups and what undid them.

Always computed anew from all of them: shipped quantities, statuses, numbers, money, deposits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, select, update

from data_contracts.documents import sku_key
from data_contracts.life_cycle import State, state_of, statuses
from data_contracts.order_progress import Filled, Snapshot, TicketLine, fill_lines, present
from tasks.hub.bulk import delete_for, fetch_for, load, stage_keys
from tasks.hub.desk import Desk
from tasks.hub.order_candidates import load_snapshots
from tasks.hub.schema import (
    columns_of,
    deposits,
    document_revisions,
    documents,
    life_cycles,
    order_aliases,
    order_lines,
    orders,
    payments,
    pickup_lines,
)
from tasks.hub.ticket_candidates import voids_of

TRANSACTION = "transaction"
"""Kind of a number that a pick-up gave the order."""

KEPT = 0
"""Entry of what a deposit did not come to nothing by when the order was closed."""


@dataclass(frozen=True)
class PickedUp:
    """A booked pick-up ticket."""

    document: str
    number: int
    sequence: int
    occurred_at: str
    tax: int
    total: int
    voided: bool
    lines: tuple[dict[str, Any], ...]
    """Its rows of `pickup_lines`, parts joined, with `product`: what its SKU is by today's catalogue."""


@dataclass
class Standing:
    """An order as it stands: the snapshot that was applied last, and what happened to it."""

    life: dict[str, Any]
    snapshot: Snapshot
    header: dict[str, Any]
    pickups: list[PickedUp] = field(default_factory=list)
    """By time and number."""
    returned: dict[str, dict[str, int]] = field(default_factory=dict)
    """Pick-up -> product -> units that came back."""
    refunds: int = 0
    """Money that returns gave back."""

    @property
    def good(self) -> list[PickedUp]:
        """The pick-ups that stand."""
        return [pickup for pickup in self.pickups if not pickup.voided]


def load_standing(desk: Desk, names: Collection[str]) -> dict[str, Standing]:
    """Order id -> how it stands, of these orders that have a snapshot applied."""
    lives = {row["order_id"]: row for row in fetch_for(desk.connection, life_cycles, "order_id", names)}
    if not lives:
        return {}
    snapshots = load_snapshots(desk, lives)
    found: dict[str, Standing] = {}
    for name, life in lives.items():
        snapshot, header = as_applied(snapshots[name], life["revision"])
        found[name] = Standing(life, snapshot, header)
    _load_pickups(desk, found)
    _load_returns(desk, found)
    return found


def as_applied(
    snapshots: Sequence[tuple[Snapshot, dict[str, Any]]], revision: str
) -> tuple[Snapshot, dict[str, Any]]:
    """The snapshot of that revision, seen with those before it, and its header."""
    chosen, header = max(
        (pair for pair in snapshots if pair[0].revision == revision), key=lambda pair: pair[0].newness
    )
    return present(s for s, _ in snapshots if s.newness <= chosen.newness), header


def restate(desk: Desk, names: Collection[str]) -> None:
    """Bring these orders in line with their pick-ups, voids and returns; other orders are left alone."""
    found = load_standing(desk, names)
    if not found:
        return
    _fill(desk, found)
    paid = _paid(desk, found)
    held = _settle_deposits(desk, found)
    waiting = _waiting(desk, found)
    rows: list[dict[str, Any]] = []
    cycles: list[dict[str, Any]] = []
    aliases: list[tuple[Any, ...]] = []
    for name, standing in sorted(found.items()):
        now, header, good = standing.snapshot, standing.header, standing.good
        shipped = sum(row["quantity"] for pickup in good for row in pickup.lines if row["quantity"] > 0)
        state = now.state(waiting.get(name, 0))
        if now.deleted:  # what was taken since the last look at it, its tickets alone can tell
            state = state_of(closed=True, ordered=now.ordered, taken=max(now.taken, shipped), waiting=0)
        charged = sum(pickup.total for pickup in good)
        shown = statuses(
            closed=now.closed,
            ordered=now.ordered,
            shipped=shipped,
            charged=charged,
            refunded=standing.refunds,
        )
        final = now.closed and good
        last = good[-1] if good else None
        closing = last if state is State.PICKED_UP else None
        rows.append(
            {
                "of": name,
                "to_source_order_id": str(closing.number if closing else standing.life["number"]),
                "to_order_status": int(shown.order),
                "to_payment_status": int(shown.payment),
                "to_shipping_status": int(shown.shipping),
                "to_shipped_at_utc": last.occurred_at if last and final else None,
                "to_tax": sum(pickup.tax for pickup in good) if final else header["tax"],
                "to_total": charged if final else header["total"],
                "to_paid": paid.get(name, 0),
                "to_refunded": standing.refunds
                + sum(pickup.total for pickup in standing.pickups if pickup.voided),
                "to_refundable": charged,
            }
        )
        cycles.append({"of": name, "to_state": state.value, "to_deposit": held.get(name, 0)})
        aliases += _aliases(standing, closing)
    o, c = orders.c, life_cycles.c
    columns = [key.removeprefix("to_") for key in rows[0] if key != "of"]
    desk.connection.execute(
        update(orders)
        .where(o.order_id == bindparam("of"))
        .values({column: bindparam(f"to_{column}") for column in columns}),
        rows,
    )
    desk.connection.execute(
        update(life_cycles)
        .where(c.order_id == bindparam("of"))
        .values(state=bindparam("to_state"), deposit=bindparam("to_deposit")),
        cycles,
    )
    delete_for(desk.connection, order_aliases, "order_id", found)
    load(desk.connection, order_aliases, columns_of(order_aliases), aliases)


def _load_pickups(desk: Desk, found: dict[str, Standing]) -> None:
    d, r = documents.c, document_revisions.c
    staged = stage_keys(desk.connection, "staged_standing", found)
    query = (
        select(d.order_id, d.document, d.number, r.sequence, r.occurred_at, r.tax, r.total)
        .join(staged, staged.c.key == d.order_id)
        .join(document_revisions, (r.document == d.document) & (r.revision == d.revision))
        .where(d.kind == "pickup", d.state == "accepted")
        .order_by(r.occurred_at, d.epoch, d.number, d.document)
    )
    tickets = desk.connection.execute(query).all()
    voided = voids_of(desk, {row.document for row in tickets})
    lines: dict[str, dict[int, dict[str, Any]]] = {}
    rows = fetch_for(desk.connection, pickup_lines, "order_id", found)
    products = desk.products(row["source_sku"] for row in rows) if rows else {}
    for row in sorted(rows, key=lambda row: (row["document"], row["line"], row["part"])):
        of = lines.setdefault(row["document"], {})
        if row["line"] in of:
            of[row["line"]]["quantity"] += row["quantity"]
        else:
            of[row["line"]] = row | {"product": _product(desk, products, row["source_sku"], row["sku"])}
    for ticket in tickets:
        found[ticket.order_id].pickups.append(
            PickedUp(
                document=ticket.document,
                number=ticket.number,
                sequence=ticket.sequence,
                occurred_at=ticket.occurred_at,
                tax=ticket.tax,
                total=ticket.total,
                voided=ticket.document in voided,
                lines=tuple(lines.get(ticket.document, {}).values()),
            )
        )


def _load_returns(desk: Desk, found: dict[str, Standing]) -> None:
    o, lines = orders.c, order_lines.c
    staged = stage_keys(desk.connection, "staged_standing", found)
    counts = o.kind.in_(("return", "exchange")) & o.voided_by.is_(None)
    given_back = (
        select(o.linked_order, func.sum(o.refunds))
        .join(staged, staged.c.key == o.linked_order)
        .where(counts)
        .group_by(o.linked_order)
    )
    for name, money in desk.connection.execute(given_back):
        found[name].refunds = money
    came_back = (
        select(o.linked_order, o.linked_document, lines.sku, lines.source_sku, func.sum(lines.quantity))
        .join(staged, staged.c.key == o.linked_order)
        .join(order_lines, lines.order_id == o.order_id)
        .where(counts, lines.quantity < 0)
        .group_by(o.linked_order, o.linked_document, lines.sku, lines.source_sku)
    )
    rows = desk.connection.execute(came_back).all()
    products = desk.products(row.source_sku for row in rows) if rows else {}
    for name, ticket, sku, source_sku, units in rows:
        of = found[name].returned.setdefault(ticket, {})
        product = _product(desk, products, source_sku, sku)
        of[product] = of.get(product, 0) - units


def _product(desk: Desk, products: Mapping[str, str], source_sku: str, booked: str) -> str:
    """The hub's SKU by today's catalogue, as snapshots are read by it; else the one it was booked with."""
    return products.get(sku_key(source_sku, ignore_case=desk.rules.ignore_case), booked)


def _fill(desk: Desk, found: Mapping[str, Standing]) -> None:
    """Write which lines of the orders the pick-ups fill, and what of each line is shipped by that."""
    rows: list[tuple[Any, ...]] = []
    shipped: list[dict[str, Any]] = []
    for name, standing in sorted(found.items()):
        counting = [
            TicketLine(pickup.document, row["line"], row["product"], row["unit_price"], row["quantity"])
            for pickup in standing.good
            for row in pickup.lines
            if row["quantity"] > 0
        ]
        filled = fill_lines(standing.snapshot.lines, counting)
        counted = {(line.document, line.line) for line in counting}
        of = {(pickup.document, row["line"]): row for pickup in standing.pickups for row in pickup.lines}
        filled += [Filled(*key, 1, None, row["quantity"]) for key, row in of.items() if key not in counted]
        sums: dict[int, int] = {}
        for part in filled:
            row = of[part.document, part.line]
            cells = {**row, "part": part.part, "order_line": part.order_line, "quantity": part.quantity}
            rows.append(tuple(cells[column.name] for column in pickup_lines.columns))
            if part.order_line is not None:
                sums[part.order_line] = sums.get(part.order_line, 0) + part.quantity
        shipped += [
            {"of": name, "at": line.entry_id, "units": sums.get(line.entry_id, 0)}
            for line in standing.snapshot.lines
        ]
    delete_for(desk.connection, pickup_lines, "order_id", found)
    load(desk.connection, pickup_lines, columns_of(pickup_lines), rows)
    if shipped:
        lines = order_lines.c
        desk.connection.execute(
            update(order_lines)
            .where(lines.order_id == bindparam("of"), lines.line == bindparam("at"))
            .values(shipped_quantity=bindparam("units")),
            shipped,
        )


def _paid(desk: Desk, found: Collection[str]) -> dict[str, int]:
    staged = stage_keys(desk.connection, "staged_standing", found)
    query = (
        select(payments.c.order_id, func.sum(payments.c.amount))
        .join(staged, staged.c.key == payments.c.order_id)
        .group_by(payments.c.order_id)
    )
    return {row[0]: row[1] for row in desk.connection.execute(query)}


def _waiting(desk: Desk, found: Collection[str]) -> dict[str, int]:
    staged = stage_keys(desk.connection, "staged_standing", found)
    lines = order_lines.c
    query = (
        select(lines.order_id, func.sum(lines.backorder_quantity))
        .join(staged, staged.c.key == lines.order_id)
        .group_by(lines.order_id)
    )
    return {row[0]: row[1] for row in desk.connection.execute(query)}


def _settle_deposits(desk: Desk, found: Mapping[str, Standing]) -> dict[str, int]:
    """Order id -> deposit held; what is left when an order closes was kept, and says so.

    So does what was given back beyond all that was taken.
    """
    entries: dict[str, list[dict[str, Any]]] = {}
    for row in fetch_for(desk.connection, deposits, "order_id", found):
        entries.setdefault(row["order_id"], []).append(row)
    held: dict[str, int] = {}
    kept: list[tuple[Any, ...]] = []
    for name, standing in sorted(found.items()):
        written = sorted((e for e in entries.get(name, ()) if e["entry"] != KEPT), key=lambda e: e["entry"])
        held[name] = sum(entry["amount"] for entry in written)
        if standing.snapshot.closed and held[name]:
            last = written[-1]
            kind = "kept" if held[name] > 0 else "overdrawn"
            cells = {**last, "entry": KEPT, "kind": kind, "amount": -held[name]}
            cells |= {"transaction_number": 0, "raw": 0, "tendered": 0}
            kept.append(tuple(cells[column.name] for column in deposits.columns))
            held[name] = 0
    staged = stage_keys(desk.connection, "staged_standing", found)
    desk.connection.execute(
        deposits.delete().where(deposits.c.order_id.in_(select(staged.c.key)), deposits.c.entry == KEPT)
    )
    load(desk.connection, deposits, columns_of(deposits), kept)
    return held


def _aliases(standing: Standing, closing: PickedUp | None) -> list[tuple[Any, ...]]:
    """Every number by which the order is found: its own, then those of its pick-ups, voided ones too."""
    life, header = standing.life, standing.header
    moved = closing.occurred_at if closing else None
    rows = [
        (life["order_id"], 1, str(life["number"]), life["kind"], header["ordered_at"], moved),
    ]
    for position, pickup in enumerate(standing.pickups, start=2):
        # One that does not close the order finds it, but never was its number.
        until = None if pickup is closing else pickup.occurred_at
        rows.append((life["order_id"], position, str(pickup.number), TRANSACTION, pickup.occurred_at, until))
    return rows
