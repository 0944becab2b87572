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
            f"{line_texts.get(group, '')}{tender_texts.get(group, '')}"
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


def _texts(rows: pd.DataFrame, key: str, mark: str, columns: tuple[str, ...]) -> dict[object, str]:
    ordered = rows.sort_values("entry_id", kind="stable") if len(rows) else rows
    texts: dict[object, str] = {}
    for group, *values in zip(
        ordered[key].tolist(), *(ordered[name].tolist() for name in columns), strict=True
    ):
        text = "|" + mark + ":".join(map(str, values))
        texts[group] = texts.get(group, "") + text
    return texts


def _digest(text: str) -> str:
    return f"{VERSION}-{hashlib.sha256(f'ticket|{text}'.encode()).hexdigest()[:32]}"
