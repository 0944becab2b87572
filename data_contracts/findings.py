"""What is found in a batch while it is checked, document by document, and the batch as it came."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from data_contracts.manifest import Reason


@dataclass(frozen=True)
class BatchRows:
    """The files of one batch as they were read."""

    stream: str
    name: str
    """How people name the batch: `S1/orders/000412-9f2c51d07ab3`."""
    store: str
    epochs: frozenset[int]
    """Those that the store's numbers belong to; every document is of one of them."""
    rows: dict[str, pd.DataFrame]
    """Role of the file -> its rows of text (`frames.read_rows`)."""
    created_utc: str = ""
    """When the store published it, by its own clock; empty where that is not known."""


@dataclass
class Finding:
    """One rule that failed in one document."""

    rule: str
    fix: str
    unless: frozenset[str] = frozenset()
    sentences: dict[str, None] = field(default_factory=dict)
    """One for each failing row, in their order, none twice."""

    def reason(self, document: str | None) -> Reason:
        """The first sentence, and how many more there are like it."""
        first, more = next(iter(self.sentences)), len(self.sentences) - 1
        message = f"{first} And {more:,} more like this." if more else first
        return Reason(document=document, rule=self.rule, message=message, fix=self.fix)


@dataclass
class Findings:
    """What was found in one batch."""

    documents: dict[str, None] = field(default_factory=dict)
    """Documents in the order in which they appear."""
    batch: list[Reason] = field(default_factory=list)
    """Reasons to reject the batch."""
    critical: dict[str | None, dict[str, Finding]] = field(default_factory=dict)
    """Document (None in streams without documents) -> rule -> what was found."""
    warnings: dict[str | None, dict[str, Finding]] = field(default_factory=dict)


def note(
    found: dict[str | None, dict[str, Finding]], document: str | None, sentence: str, blank: Finding
) -> None:
    """Add a sentence about a document to its finding of the rule of `blank`, which begins it if need be."""
    found.setdefault(document, {}).setdefault(blank.rule, blank).sentences[sentence] = None
