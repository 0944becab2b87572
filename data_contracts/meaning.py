"""What a ticket means, derived from the raw RMS codes that travelled (`data_contracts.codes`)."""

from __future__ import annotations

import pandas as pd

from data_contracts.codes import RmsCodes


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
