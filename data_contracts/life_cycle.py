"""The life of a layaway or backorder: its states, the legal moves between them, the statuses they show.

The one place that says what may follow what. A move goes from the state that was applied last to the
newest snapshot; what lay between may be skipped. RMS states a snapshot's facts (closed, on order, taken);
the state follows from them and from what was ordered before it was closed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from data_contracts.statuses import OrderStatus, PaymentStatus, ShippingStatus


class State(StrEnum):
    """Where a layaway or backorder stands. Amounts are sums over its lines."""

    WAITING = "waiting"
    """Backorder: open, nothing taken, some of it has no stock yet."""
    OPEN = "open"
    """Open, nothing taken, all of it reserved."""
    PARTLY_PICKED_UP = "partly picked up"
    """Open, some of it taken."""
    PICKED_UP = "picked up"
    """Closed, all that was ordered was taken."""
    REST_CANCELLED = "rest cancelled"
    """Closed, some of it taken, the rest given up."""
    CANCELLED = "cancelled"
    """Closed, nothing taken."""


OPEN_STATES = frozenset({State.WAITING, State.OPEN, State.PARTLY_PICKED_UP})

_STILL_OPEN = frozenset({State.WAITING, State.OPEN})
_DONE = frozenset({State.PICKED_UP, State.REST_CANCELLED})
_ANY = frozenset(State)

MOVES: dict[State, frozenset[State]] = {
    State.WAITING: _ANY,
    State.OPEN: _ANY,
    State.PARTLY_PICKED_UP: frozenset({State.PARTLY_PICKED_UP}) | _DONE,
    # Which of the two it is may only show when an older snapshot arrives late.
    State.PICKED_UP: _DONE,
    State.REST_CANCELLED: _DONE,
    State.CANCELLED: frozenset({State.CANCELLED}),
}
"""State -> the states that may follow it. Staying is a change of lines, deposits or date."""

UNDOING: dict[State, frozenset[State]] = {
    State.WAITING: frozenset(),
    State.OPEN: frozenset(),
    State.PARTLY_PICKED_UP: _STILL_OPEN | {State.CANCELLED},
    State.PICKED_UP: _STILL_OPEN | {State.PARTLY_PICKED_UP, State.CANCELLED},
    State.REST_CANCELLED: _STILL_OPEN | {State.PARTLY_PICKED_UP, State.CANCELLED},
    State.CANCELLED: frozenset(),
}
"""What may follow besides, if a pick-up of the order was voided or what it took came back."""


def may_follow(before: State, after: State, *, undone: bool) -> bool:
    """Whether a move is legal; `undone` says that a pick-up was voided or something of it returned."""
    return after in MOVES[before] or (undone and after in UNDOING[before])


def state_of(*, closed: bool, ordered: int, taken: int, waiting: int) -> State:
    """The state of a snapshot: sums of units in ten-thousandths.

    `ordered` is what was ordered when it was last seen open, `waiting` what has no stock yet.
    """
    if closed:
        if taken <= 0:
            return State.CANCELLED
        return State.PICKED_UP if taken >= ordered else State.REST_CANCELLED
    if taken > 0:
        return State.PARTLY_PICKED_UP
    return State.WAITING if waiting > 0 else State.OPEN


class Statuses(NamedTuple):
    """What the hub shows of an order."""

    order: OrderStatus
    payment: PaymentStatus
    shipping: ShippingStatus


def statuses(*, closed: bool, ordered: int, shipped: int, charged: int, refunded: int) -> Statuses:
    """The three statuses of a layaway or backorder.

    `shipped` are units on pick-ups that stand, `charged` their money, `refunded` what of it was given back
    by returns; `ordered` as in `state_of`. All in ten-thousandths.
    """
    if shipped <= 0:
        shipping = ShippingStatus.Unshipped
    else:
        whole = closed and shipped >= ordered
        shipping = ShippingStatus.FullyShipped if whole else ShippingStatus.PartiallyShipped
    if shipped <= 0:
        payment = PaymentStatus.NoPayment
    elif not closed:
        payment = PaymentStatus.PartialPayment
    elif refunded <= 0:
        payment = PaymentStatus.Charged
    else:
        payment = PaymentStatus.FullRefund if refunded >= charged else PaymentStatus.PartiallyRefund
    if not closed:
        order = OrderStatus.InProcess
    else:
        order = OrderStatus.Completed if shipped > 0 else OrderStatus.Canceled
    return Statuses(order, payment, shipping)
