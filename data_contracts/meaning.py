"""What a ticket or an order means, derived from the raw RMS codes that travelled.

The codes are configuration: RMS's own documentation of them is thin (confidence medium or low), so a
shop whose till answers otherwise corrects the table, and history is read again, never re-identified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


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


def ticket_kinds(
    tickets: pd.DataFrame, lines: pd.DataFrame, codes: RmsCodes, *, key: str = "number"
) -> pd.Series[str]:
    """Kind of each ticket, indexed like `tickets`: sale, return, exchange, void, pickup, or `` if unknown.

    Signs decide between sale, return and exchange: a negative quantity came back, wherever the ticket
    was recalled from. A pick-up of a work order or quote is a sale, since such orders do not travel.
    """
    import pandas as pd

    back = set(lines.loc[lines["quantity"] < 0, key].tolist())
    out = set(lines.loc[lines["quantity"] > 0, key].tolist())

    def kind(group: object, recall_type: int, order_type: int, total: int) -> str:
        if recall_type == codes.recall_void:
            return "void"
        if recall_type == codes.recall_order and order_type not in codes.home_order_types:
            return "pickup"
        if recall_type not in (codes.recall_fresh, codes.recall_return, codes.recall_order):
            return ""
        if group in back:
            return "exchange" if group in out else "return"
        return "return" if group not in out and total < 0 else "sale"

    kinds = [
        kind(*row)
        for row in zip(
            tickets[key].tolist(),
            tickets["recall_type"].tolist(),
            tickets["recalled_order_type"].tolist(),
            tickets["total"].tolist(),
            strict=True,
        )
    ]
    return pd.Series(kinds, index=tickets.index, dtype="str", name="kind")
