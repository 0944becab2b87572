"""Gives waiting backorders the stock that is free in their warehouse: the oldest first, never taken back.

The caller's transaction holds the stores whose backorders wait; the levels are held here, so that a sale
of another store in the same warehouse comes before or after, never in between. A run that finds nothing to
give takes no lock and writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from data_contracts.allocation import GivenLine, WaitingLine, give_out
from data_contracts.amounts import format_amount
from data_contracts.codes import BACKORDER
from data_contracts.life_cycle import OPEN_STATES, State, state_of
from tasks import faults
from tasks.hub.bulk import load, stage_keys
from tasks.hub.database import Hub, lock_store
from tasks.hub.events import EventLog
from tasks.hub.inbox import utc_now
from tasks.hub.levels import Place, add_to_levels, read_levels
from tasks.hub.schema import documents, life_cycles, order_lines, orders, stock_movements
from tasks.settings import Settings

log = logging.getLogger(__name__)

faults.declare(
    "hub.allocate.locked",
    "hub.allocate.lines",
    "hub.allocate.movements",
    "hub.allocate.before_commit",
    "hub.allocate.after_commit",
)


class Allocated(NamedTuple):
    """A backorder that was given stock, in ten-thousandths."""

    order_id: str
    store: str
    number: int
    units: int
    filled: bool
    """Whether it has all its stock now."""


def allocate_backorders(
    hub: Hub,
    settings: Settings,
    stores: Sequence[str] = (),
    *,
    dry_run: bool = False,
    now: str | None = None,
) -> list[Allocated]:
    """Give out what is free in the warehouses in which backorders of these stores wait; default all stores.

    Backorders of other stores in those warehouses take their turn as well. Returns who was given stock,
    oldest first; a dry run reads and returns the same. Raises `HubUnavailable` if another run holds one of
    the stores, `ConfigurationError` for a store that is not configured.
    """
    for code in stores:
        settings.store(code)
    with hub.reading() as connection:
        places = _places(connection, stores)
        planned = plan(connection, places)
        if dry_run or not planned:
            return allocated_orders(connection, planned)
    with hub.writing("hub.allocate.before_commit", "hub.allocate.after_commit") as connection:
        held = lock_waiting_stores(connection)
        faults.point("hub.allocate.locked")
        allocated = allocate(connection, held, now=now or utc_now(), only=_places(connection, stores))
    log.info("gave stock to %d backorders, %d are filled", len(allocated), sum(a.filled for a in allocated))
    return allocated


def stores_waiting(connection: Connection) -> list[str]:
    """Stores with open backorders that wait for stock, in the order of their codes."""
    return sorted({line.store for line in _waiting(connection)})


def lock_stores(connection: Connection, stores: Iterable[str]) -> None:
    """Hold these stores until the transaction ends, in the order of their codes. Raises as `lock_store`."""
    for code in sorted(set(stores)):
        lock_store(connection, code)


def lock_waiting_stores(connection: Connection, *besides: str) -> list[str]:
    """Hold all stores with waiting backorders, and `besides`; returns them. Raises `HubUnavailable`.

    A store that opens its first backorder meanwhile is held too.
    """
    held: set[str] = set()
    missing = {*stores_waiting(connection), *besides}
    while missing:
        lock_stores(connection, missing)
        held |= missing
        missing = set(stores_waiting(connection)) - held
    return sorted(held)


def plan(
    connection: Connection,
    only: Collection[Place] | None = None,
    *,
    stores: Collection[str] | None = None,
    arriving: dict[Place, int] | None = None,
    hold: bool = False,
) -> list[GivenLine]:
    """Who would be given what now, oldest first.

    `only` limits the (warehouse, SKU), `stores` whose backorders; `arriving` are units to count as there
    already; with `hold` no other transaction changes these levels until this one ends.
    """
    waiting = [
        line
        for line in _waiting(connection)
        if (only is None or (line.warehouse, line.sku) in only) and (stores is None or line.store in stores)
    ]
    if not waiting:
        return []
    levels = read_levels(connection, [(line.warehouse, line.sku) for line in waiting], hold=hold)
    free = {place: physical - reserved for place, (physical, reserved) in levels.items()}
    for place, units in (arriving or {}).items():
        free[place] = free.get(place, 0) + units
    return give_out(waiting, free)


def allocate(
    connection: Connection, stores: Collection[str], *, now: str, only: Collection[Place] | None = None
) -> list[Allocated]:
    """Give free stock to waiting backorders of `stores`, whose locks the caller holds; oldest first.

    `only` limits the (warehouse, SKU) that are looked at. A caller that changed levels in this transaction
    names those alone: others would be held out of order.
    """
    given = plan(connection, only, stores=stores, hold=True)
    if not given:
        return []
    allocated = allocated_orders(connection, given)
    _write_lines(connection, given, allocated)
    _write_movements(connection, given, now)
    _tell(connection, given, allocated, now)
    return allocated


def _waiting(connection: Connection) -> list[WaitingLine]:
    """Lines that wait, with the warehouse that was fixed when their order was opened."""
    o, lines, cycle, d = orders.c, order_lines.c, life_cycles.c, documents.c
    query = (
        select(
            *(lines.order_id, lines.line, d.warehouse, lines.sku),
            *(o.ordered_at_utc, o.store, cycle.number, lines.backorder_quantity),
        )
        .join(orders, o.order_id == lines.order_id)
        .join(life_cycles, cycle.order_id == lines.order_id)
        .join(documents, d.document == lines.order_id)
        .where(
            o.kind == BACKORDER,
            cycle.state.in_(sorted(OPEN_STATES)),
            cycle.released.is_(False),
            lines.backorder_quantity > 0,
            d.warehouse.is_not(None),
        )
    )
    return [WaitingLine(*row) for row in connection.execute(query)]


def _places(connection: Connection, stores: Sequence[str]) -> set[Place]:
    """Every (warehouse, SKU) that is waited for in the warehouses in which these stores wait; () is all."""
    waiting = _waiting(connection)
    warehouses = {line.warehouse for line in waiting if not stores or line.store in stores}
    return {(line.warehouse, line.sku) for line in waiting if line.warehouse in warehouses}


def allocated_orders(connection: Connection, given: Sequence[GivenLine]) -> list[Allocated]:
    """The orders of these lines, oldest first, with whether nothing of them waits after it."""
    if not given:
        return []
    staged = stage_keys(connection, "staged_given", (line.order_id for line, _ in given))
    lines = order_lines.c
    query = (
        select(lines.order_id, func.sum(lines.backorder_quantity))
        .join(staged, staged.c.key == lines.order_id)
        .group_by(lines.order_id)
    )
    waits: dict[str, int] = dict(connection.execute(query).tuples().all())
    units: dict[str, int] = {}
    whose: dict[str, WaitingLine] = {}
    for line, part in given:
        whose.setdefault(line.order_id, line)
        units[line.order_id] = units.get(line.order_id, 0) + part
    return [
        Allocated(order, line.store, line.number, units[order], units[order] == waits[order])
        for order, line in whose.items()
    ]


def _write_lines(connection: Connection, given: Sequence[GivenLine], allocated: Sequence[Allocated]) -> None:
    """From waiting to reserved; an order that waits for nothing more is open."""
    faults.point("hub.allocate.lines")
    lines, units = order_lines.c, bindparam("units", type_=order_lines.c.reserved_quantity.type)
    connection.execute(
        update(order_lines)
        .where(lines.order_id == bindparam("of"), lines.line == bindparam("at"))
        .values(
            backorder_quantity=lines.backorder_quantity - units,
            reserved_quantity=lines.reserved_quantity + units,
        ),
        [{"of": line.order_id, "at": line.line, "units": part} for line, part in given],
    )
    filled = stage_keys(connection, "staged_filled", (a.order_id for a in allocated if a.filled))
    cycle = life_cycles.c
    connection.execute(
        update(life_cycles)
        .where(cycle.order_id.in_(select(filled.c.key)), cycle.state == State.WAITING)
        # Whoever is in that state has taken nothing: what was ordered does not matter.
        .values(state=state_of(closed=False, ordered=0, taken=0, waiting=0))
    )


def _write_movements(connection: Connection, given: Sequence[GivenLine], now: str) -> None:
    """A posting of each order's document: reserved up by what its lines were given."""
    # What is given out at all is worth loading frames; looking in vain is not.
    from tasks.hub.ledger import MOVEMENT_COLUMNS

    staged = stage_keys(connection, "staged_given", (line.order_id for line, _ in given))
    d = documents.c
    mine = d.document.in_(select(staged.c.key))
    connection.execute(update(documents).where(mine).values(postings=d.postings + 1))
    rows = connection.execute(select(d.document, d.postings, d.warehouse_rule).where(mine))
    posting = {document: (number, rule) for document, number, rule in rows}
    faults.point("hub.allocate.movements")
    movements = [
        (
            line.order_id,
            posting[line.order_id][0],
            line.line,
            BACKORDER,
            line.warehouse,
            line.sku,
            0,
            units,
            posting[line.order_id][1],
            line.store,
            line.order_id,
            line.order_id,
            None,
            now,
        )
        for line, units in given
    ]
    load(connection, stock_movements, MOVEMENT_COLUMNS, movements)


def _tell(
    connection: Connection, given: Sequence[GivenLine], allocated: Sequence[Allocated], now: str
) -> None:
    """Levels, and the events of each store: what its orders were given, then what that did to levels."""
    from tasks.hub.derived import SHOWN, describe

    staged = stage_keys(connection, "staged_given", (order.order_id for order in allocated))
    columns = (orders.c.order_id, *(orders.c[name] for name in SHOWN))
    rows = connection.execute(select(*columns).join(staged, staged.c.key == orders.c.order_id))
    shown = {row[0]: tuple(row[1:]) for row in rows}
    for store in sorted({order.store for order in allocated}):
        events = EventLog(store, now, None)
        for order in allocated:
            if order.store != store:
                continue
            name = order.order_id
            units = format_amount(order.units)
            events.add("backorder_allocated", document=name, order_id=name, number=order.number, units=units)
            if order.filled:
                events.add("backorder_filled", document=name, order_id=name, number=order.number)
            events.add("order_changed", order_id=name, **describe(shown[name]))
        changes: dict[Place, tuple[int, int]] = {}
        for line, part in given:
            if line.store == store:
                place = (line.warehouse, line.sku)
                changes[place] = (0, changes.get(place, (0, 0))[1] + part)
        add_to_levels(connection, changes, events)
        events.write(connection)
