"""What follows for an order from the others linked to it: voids, refunds, returned quantities, statuses.

Always computed anew from all of them, never counted up, so that any order of arrival ends the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Table, bindparam, case, exists, func, select, update

from data_contracts.amounts import format_amount
from data_contracts.codes import ORDER_KINDS
from data_contracts.posting import spread_returns
from data_contracts.statuses import OrderStatus, PaymentStatus, ShippingStatus
from tasks import faults
from tasks.hub.bulk import stage_keys
from tasks.hub.desk import Desk
from tasks.hub.order_standing import restate
from tasks.hub.schema import order_lines, orders

faults.declare("hub.orders.derived")

SHOWN = ("order_status", "payment_status", "shipping_status", "total", "paid", "refunded")
"""What an event tells of an order."""


def snapshot(desk: Desk, order_ids: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """What events tell of these orders, as it stands now; orders not here are left out."""
    staged = stage_keys(desk.connection, "staged_snapshot", order_ids)
    columns = [orders.c[name] for name in SHOWN]
    query = select(orders.c.order_id, *columns).join(staged, staged.c.key == orders.c.order_id)
    return {row[0]: tuple(row[1:]) for row in desk.connection.execute(query)}


def describe(shown: tuple[Any, ...]) -> dict[str, str]:
    """An event's payload of a snapshot."""
    order, payment, shipping, *amounts = shown
    texts = [OrderStatus(order).name, PaymentStatus(payment).name, ShippingStatus(shipping).name]
    return dict(zip(SHOWN, [*texts, *map(format_amount, amounts)], strict=True))


def recompute(desk: Desk, order_ids: Collection[str]) -> None:
    """Bring these orders in line with what is linked to them."""
    faults.point("hub.orders.derived")
    staged = stage_keys(desk.connection, "staged_derived", order_ids)
    mine = orders.c.order_id.in_(select(staged.c.key)) & orders.c.kind.not_in(ORDER_KINDS)
    other = orders.alias("other")
    linked = other.c.linked_order == orders.c.order_id
    # A void names a ticket; the ticket of a sale bears the name of its order.
    voids = (other.c.linked_document == orders.c.order_id) & (other.c.kind == "void")
    voided_by = select(func.min(other.c.order_id)).where(voids).scalar_subquery()
    desk.connection.execute(update(orders).where(mine).values(voided_by=voided_by))
    given_back = (
        select(func.sum(other.c.refunds))
        .where(linked, other.c.kind.in_(("return", "exchange")), other.c.voided_by.is_(None))
        .scalar_subquery()
    )
    voided = orders.c.voided_by.is_not(None)
    # Whatever names a return or a void as its sale: nothing was sold there that could be given back.
    sold = orders.c.kind.not_in(("return", "void"))
    refunded = case((voided, orders.c.total), (sold, func.coalesce(given_back, 0)), else_=0)
    desk.connection.execute(update(orders).where(mine).values(refunded=refunded))
    void = voided | (orders.c.kind == "void")
    payment = case(
        (voided, int(PaymentStatus.FullRefund)),
        (orders.c.refunded <= 0, int(PaymentStatus.Charged)),
        (orders.c.refunded >= orders.c.refundable, int(PaymentStatus.FullRefund)),
        else_=int(PaymentStatus.PartiallyRefund),
    )
    desk.connection.execute(
        update(orders)
        .where(mine)
        .values(
            order_status=case((void, int(OrderStatus.Void)), else_=int(OrderStatus.Completed)),
            payment_status=payment,
            shipping_status=case(
                (void, int(ShippingStatus.Unshipped)), else_=int(ShippingStatus.FullyShipped)
            ),
        )
    )
    _ship(desk, staged)
    _return(desk, staged)
    restate(desk, order_ids)


def _ship(desk: Desk, staged: Table) -> None:
    lines = order_lines.c
    mine = (
        select(orders.c.order_id)
        .join(staged, staged.c.key == orders.c.order_id)
        .where(orders.c.kind.not_in(ORDER_KINDS))
    )
    void = orders.c.voided_by.is_not(None) | (orders.c.kind == "void")
    desk.connection.execute(
        update(order_lines)
        .where(lines.order_id.in_(mine.where(void)), lines.shipped_quantity != 0)
        .values(shipped_quantity=0)
    )
    desk.connection.execute(
        update(order_lines)
        .where(lines.order_id.in_(mine.where(~void)), lines.shipped_quantity != lines.quantity)
        .values(shipped_quantity=lines.quantity)
    )


def _return(desk: Desk, staged: Table) -> None:
    """Spread what came back over the lines it was sold on."""
    lines, other = order_lines.c, orders.alias("other")
    counts = other.c.kind.in_(("return", "exchange")) & other.c.voided_by.is_(None)
    came_back = (
        select(other.c.linked_order, lines.sku, func.sum(lines.quantity))
        .join(order_lines, lines.order_id == other.c.order_id)
        .join(staged, staged.c.key == other.c.linked_order)
        .where(counts, lines.quantity < 0)
        .group_by(other.c.linked_order, lines.sku)
    )
    returned = {(order, sku): -units for order, sku, units in desk.connection.execute(came_back)}
    concerned = (
        select(lines.order_id, lines.line, lines.sku, lines.quantity, lines.returned_quantity)
        .join(staged, staged.c.key == lines.order_id)
        .where(
            exists(select(other.c.order_id).where(other.c.linked_order == lines.order_id, counts))
            | (lines.returned_quantity != 0)
        )
        .order_by(lines.order_id, lines.line)
    )
    rows = desk.connection.execute(concerned).all()
    now = {(row.order_id, row.line): row.returned_quantity for row in rows}
    new = spread_returns(((r.order_id, r.line, r.sku, r.quantity) for r in rows), returned)
    changed = [
        {"of": order, "at": line, "units": units}
        for (order, line), units in new.items()
        if now[order, line] != units
    ]
    if changed:
        desk.connection.execute(
            update(order_lines)
            .where(lines.order_id == bindparam("of"), lines.line == bindparam("at"))
            .values(returned_quantity=bindparam("units")),
            changed,
        )
