"""What a ticket means, derived from the raw RMS codes that travelled.

The codes are configuration: RMS's own documentation of them is thin (confidence medium or low), so a
shop whose till answers otherwise corrects the table, and history is read again, never re-identified.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class TicketCodes:
    """RMS code tables with the defaults that public sources agree on."""

    recall_fresh: int = 0
    recall_return: int = 1
    recall_void: int = 3
    recall_order: int = 4
    home_order_types: tuple[int, ...] = (2, 3)
    """Work orders and quotes: they stay in the store, their pick-ups are plain sales."""
    without_stock_item_types: tuple[int, ...] = (7, 9)
    """Non-inventory and voucher items: money without a stock movement."""


def ticket_kinds(
    tickets: pd.DataFrame, lines: pd.DataFrame, codes: TicketCodes, *, key: str = "number"
) -> pd.Series[str]:
    """Kind of each ticket, indexed like `tickets`: sale, return, exchange, void, pickup, or `` if unknown.

    Signs decide between sale, return and exchange: a negative quantity came back, wherever the ticket
    was recalled from. A pick-up of a work order or quote is a sale, since such orders do not travel.
    """
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
