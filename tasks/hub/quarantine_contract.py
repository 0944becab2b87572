"""Asks the contract about documents in quarantine, with their edits; neither reads nor writes the hub.

great-expectations costs a part of a second whatever the size, so all are asked at once and outside any
transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from data_contracts.documents import FILES, STREAM_ORDERS
from data_contracts.findings import BatchRows
from data_contracts.frames import no_rows
from data_contracts.manifest import Reason
from data_contracts.overlay import with_edits
from data_contracts.quarantine import validate
from tasks.hub.papers import Paper
from tasks.settings import Settings


def ask_contract(settings: Settings, papers: Sequence[Paper]) -> dict[str, tuple[Reason, ...]]:
    """Document -> why its contract refuses it; nothing if it passes."""
    asked = [paper for paper in papers if paper.entry is not None]
    if not asked:
        return {}
    batches = [_as_batch(paper) for paper in asked]
    verdicts = validate(STREAM_ORDERS, batches, tolerance_per_line=settings.hub.tolerance)
    return {paper.document: verdict.reasons for paper, verdict in zip(asked, verdicts, strict=True)}


def _as_batch(paper: Paper) -> BatchRows:
    """A batch that brings this document alone."""
    laid = with_edits(paper.rows(), paper.standing.edits)
    store, epoch, _, _ = paper.document.split("/")
    rows = {role: no_rows(columns) for role, columns in FILES[STREAM_ORDERS].items()}
    for role, of_role in laid.items():
        rows[role] = pd.DataFrame(of_role, columns=rows[role].columns, dtype="str")
    return BatchRows(STREAM_ORDERS, paper.document, store, frozenset({int(epoch)}), rows)
