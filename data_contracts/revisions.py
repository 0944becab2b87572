"""The content hash of a document: the same business content gives the same revision, for ever.

It covers RMS keys and amounts only. Texts, lookup codes, times, zones, Z batch and file layout stay out:
renaming an item or upgrading tillbridge must not revise history. The form has a version, which the
revision carries in front (`1-<32 hex digits>`); a new version may only be added beside the old ones.
"""

from __future__ import annotations

import hashlib

import pandas as pd

VERSION = 1


def ticket_revisions(
    tickets: pd.DataFrame, lines: pd.DataFrame, tenders: pd.DataFrame, *, key: str = "number"
) -> pd.Series[str]:
    """Revisions of tickets, indexed like `tickets`.

    The three frames have the columns of `documents.TICKETS`, `TICKET_LINES` and `TENDERS` (amounts in
    ten-thousandths); `key` names the column that tells tickets apart within them. The order of rows
    does not matter: lines and tenders are taken in the order of their RMS id.
    """
    line_texts = _texts(lines, key, "L", ("entry_id", "item_id", "quantity", "unit_price", "tax"))
    tender_texts = _texts(tenders, key, "T", ("entry_id", "tender_id", "amount"))
    hashes = [
        _digest(
            f"{number}|{recall_type}|{recall_id}|{total}|{tax}"
            f"{line_texts.get(group, '')}{tender_texts.get(group, '')}",
            "ticket",
        )
        for group, number, recall_type, recall_id, total, tax in zip(
            tickets[key].tolist(),
            tickets["number"].tolist(),
            tickets["recall_type"].tolist(),
            tickets["recall_id"].tolist(),
            tickets["total"].tolist(),
            tickets["tax"].tolist(),
            strict=True,
        )
    ]
    return pd.Series(hashes, index=tickets.index, dtype="str", name="revision")


def order_revisions(
    orders: pd.DataFrame,
    lines: pd.DataFrame,
    history: pd.DataFrame,
    tenders: pd.DataFrame,
    *,
    key: str = "number",
) -> pd.Series[str]:
    """Revisions of order snapshots, indexed like `orders`; frames as in `documents.ORDERS` and beside it.

    Covers type, closed and the date of expiry as RMS has them: a layaway whose date is moved has changed.
    """
    parts = (
        _texts(lines, key, "L", ("entry_id", "item_id", "on_order", "taken", "unit_price")),
        _texts(history, key, "H", ("entry_id", "transaction_number", "delta_deposit")),
        _texts(tenders, key, "T", ("entry_id", "history_id", "tender_id", "amount")),
    )
    columns = ("number", "order_type", "closed", "expires_on", "deposit", "tax", "total", "flags")
    hashes = []
    for group, number, order_type, closed, expires_on, deposit, tax, total, flags in zip(
        *(orders[name].tolist() for name in (key, *columns)), strict=True
    ):
        gone = "deleted" in flags.split(";")
        said = f"{number}|{order_type}|{int(closed)}|{expires_on}|{deposit}|{tax}|{total}|{int(gone)}"
        hashes.append(_digest(said + "".join(texts.get(group, "") for texts in parts), "order"))
    return pd.Series(hashes, index=orders.index, dtype="str", name="revision")


def _texts(rows: pd.DataFrame, key: str, mark: str, columns: tuple[str, ...]) -> dict[object, str]:
    ordered = rows.sort_values("entry_id", kind="stable") if len(rows) else rows
    texts: dict[object, str] = {}
    for group, *values in zip(
        ordered[key].tolist(), *(ordered[name].tolist() for name in columns), strict=True
    ):
        text = "|" + mark + ":".join(map(str, values))
        texts[group] = texts.get(group, "") + text
    return texts


def _digest(text: str, source: str) -> str:
    return f"{VERSION}-{hashlib.sha256(f'{source}|{text}'.encode()).hexdigest()[:32]}"
