"""The RMS code tables, and what kind an order is by them; loads no frames.

The codes are configuration: RMS's own documentation of them is thin (confidence medium or low), so a shop
whose till answers otherwise corrects the table, and history is read again, never re-identified.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RmsCodes:
    """RMS code tables with the defaults that public sources agree on."""

    recall_fresh: int = 0
    recall_return: int = 1
    recall_void: int = 3
    recall_order: int = 4
    home_order_types: tuple[int, ...] = (2, 3)
    """Work orders and quotes: they stay in the store, their pick-ups are plain sales."""
    backorder_types: tuple[int, ...] = (4,)
    layaway_types: tuple[int, ...] = (5,)
    """[Order].Type of backorders and layaways; confidence low."""
    on_order_is_outstanding: bool = True
    """Whether QuantityOnOrder is what is still to be handed over; else it is all that was ordered."""
    deposit_sign: int = 1
    """1 if a deposit that is taken has a positive DeltaDeposit, -1 if a negative one."""
    without_stock_item_types: tuple[int, ...] = (7, 9)
    """Non-inventory and voucher items: money without a stock movement."""


LAYAWAY = "layaway"
BACKORDER = "backorder"
ORDER_KINDS = (LAYAWAY, BACKORDER)


def order_kind(order_type: int, codes: RmsCodes) -> str:
    """`layaway`, `backorder`, or `` for a type that no code table explains; a home type is none of them."""
    if order_type in codes.layaway_types:
        return LAYAWAY
    return BACKORDER if order_type in codes.backorder_types else ""
