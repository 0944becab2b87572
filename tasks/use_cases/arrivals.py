"""What waits in the exchange folder for the hub, and what an import says of it.

Loads nothing of the hub's database: a run that finds nothing waiting ends with this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_contracts.documents import STREAMS
from data_contracts.manifest import Reason
from tasks.exchange import batches
from tasks.exchange.folder import open_folder
from tasks.settings import Settings
from tasks.use_cases.inbox import BatchRef

ROUND_BATCHES = 20
"""Batches of one store taken in one round, so that a long backlog shows progress."""


@dataclass(frozen=True)
class ImportedBatch:
    """What became of one batch."""

    path: str
    state: str
    """accepted, rejected or known (was in the hub already, acknowledged again)."""
    documents: int = 0
    accepted: int = 0
    quarantined: int = 0
    pending: int = 0
    seen_before: int = 0
    units: int = 0
    money: int = 0
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    """What is odd about documents that are booked all the same."""
    booked: tuple[str, ...] = ()
    """Numbers of the accepted documents, for people: `tickets 562 to 571`."""

    @property
    def store(self) -> str:
        """The store it came from."""
        return self.path.partition("/")[0]


@dataclass(frozen=True)
class ImportSummary:
    """What one run took in."""

    batches: tuple[ImportedBatch, ...] = ()
    checked: tuple[ImportedBatch, ...] = ()
    """With a dry run: what validation said; nothing was imported."""
    failures: dict[str, str] = field(default_factory=dict)
    """Store -> the error that stopped it; the other stores went on."""

    @property
    def accepted(self) -> int:
        """Documents booked."""
        return sum(b.accepted for b in self.batches)

    @property
    def quarantined(self) -> int:
        """Documents in quarantine."""
        return sum(b.quarantined for b in self.batches)

    @property
    def pending(self) -> int:
        """Documents that wait for another one."""
        return sum(b.pending for b in self.batches)


def find_waiting(settings: Settings, stores: Sequence[str] = ()) -> dict[str, list[BatchRef]]:
    """Batches in the exchange folder that are not archived yet, per store in the order of import."""
    codes = settings.chosen_stores(stores)
    waiting: dict[str, list[BatchRef]] = {}
    with open_folder(settings) as folder:
        for code in codes:
            refs = [
                BatchRef(code, stream, sequence, batch_id)
                for stream in STREAMS
                for sequence, batch_id in batches.waiting_batches(folder, code, stream)
            ]
            if refs:
                waiting[code] = refs[:ROUND_BATCHES]
    return waiting


def still_waiting(waiting: dict[str, list[BatchRef]], failures: dict[str, str]) -> dict[str, list[BatchRef]]:
    """What waits of the stores that have not failed in this run."""
    return {store: refs for store, refs in waiting.items() if store not in failures}
