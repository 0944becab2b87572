"""Works on the quarantine: list, show, edit, release, discard, judge again. What runs it says who and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from data_contracts.errors import DecisionRefused
from tasks.hub.database import Hub, open_hub
from tasks.hub.quarantine import QuarantineEntry, ShownDocument, list_entries, show_document
from tasks.hub.registry import configure
from tasks.hub.schema import documents, quarantine
from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.hub.quarantine_desk import Decided


@dataclass(frozen=True)
class DeskReport:
    """What came of a visit to the desk."""

    action: str
    """release, discard, edit or recheck."""
    by: str
    why: str
    decided: tuple[Decided, ...] = ()
    rechecked: tuple[str, ...] = ()
    """Stores whose whole quarantine was judged again."""
    cleared: int = 0
    """Documents that were booked by that."""
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """What came of it in one line."""
        dry = " (dry run: nothing was written)" if self.dry_run else ""
        if self.action == "recheck":
            stores = ", ".join(self.rechecked)
            return f"judged the quarantine of {stores} again: {self.cleared} documents were booked{dry}"
        counts: dict[str, int] = {}
        for of in self.decided:
            counts[of.outcome] = counts.get(of.outcome, 0) + 1
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        return f"{self.action}: {told or 'nothing'}{dry}"


def list_quarantine(
    settings: Settings, stores: Sequence[str] = (), *, closed: bool = False
) -> list[QuarantineEntry]:
    """What waits in these stores (none: in all), oldest first; `closed` adds what was closed of late."""
    for store in stores:
        settings.store(store)
    with open_hub(settings.hub_url) as hub:
        return list_entries(hub, stores, closed=closed)


def show_quarantined(settings: Settings, name: str, *, store: str | None = None) -> ShownDocument:
    """One document with its rows, its edits, what was decided and what waits for it."""
    with open_hub(settings.hub_url) as hub:
        return show_document(hub, _named(hub, settings, [name], store)[0])


def edit_document(
    settings: Settings,
    name: str,
    changes: Sequence[str] = (),
    *,
    undo: bool = False,
    why: str,
    by: str,
    store: str | None = None,
    dry_run: bool = False,
) -> DeskReport:
    """Lay values over cells of a document (`role/row/column=value`), or take all such edits back.

    Raises `DecisionRefused`, `HubUnavailable`.
    """
    from tasks.hub.quarantine_desk import edit

    if undo == bool(changes):
        raise DecisionRefused(
            "An edit is either some changes or the undoing of all; nothing was changed.",
            next_step="give changes such as `ticket_lines/2/sku=ABC`, or undo alone",
        )
    with open_hub(settings.hub_url) as hub:
        (document,) = _named(hub, settings, [name], store)
        done = edit(hub, settings, document, changes, undo=undo, why=why, by=by, dry_run=dry_run)
    return DeskReport("edit", by, why, tuple(done), dry_run=dry_run)


def release_documents(
    settings: Settings,
    names: Sequence[str],
    *,
    accept: Sequence[str] = (),
    why: str,
    by: str,
    store: str | None = None,
    dry_run: bool = False,
) -> DeskReport:
    """Judge documents again with their edits and the rules that are waived; book what is good.

    Raises `DecisionRefused`, `HubUnavailable`.
    """
    from tasks.hub.quarantine_desk import release

    with open_hub(settings.hub_url) as hub:
        found = _named(hub, settings, names, store)
        done = release(hub, settings, found, accept=accept, why=why, by=by, dry_run=dry_run)
    return DeskReport("release", by, why, tuple(done), dry_run=dry_run)


def discard_documents(
    settings: Settings,
    names: Sequence[str],
    *,
    why: str,
    by: str,
    store: str | None = None,
    dry_run: bool = False,
) -> DeskReport:
    """Put documents aside for good, with a reason. Raises `DecisionRefused`, `HubUnavailable`."""
    from tasks.hub.quarantine_desk import discard

    with open_hub(settings.hub_url) as hub:
        found = _named(hub, settings, names, store)
        done = discard(hub, settings, found, why=why, by=by, dry_run=dry_run)
    return DeskReport("discard", by, why, tuple(done), dry_run=dry_run)


def recheck_stores(
    settings: Settings, stores: Sequence[str] = (), *, by: str = "", dry_run: bool = False
) -> DeskReport:
    """Judge all that waits in these stores (none: in all) again, after settings or the catalogue changed.

    Raises `HubUnavailable`, `ConfigurationError`.
    """
    from tasks.hub.importer import recheck_quarantine

    chosen = settings.chosen_stores(stores)
    with open_hub(settings.hub_url) as hub:
        configure(hub, settings)
        cleared = sum(recheck_quarantine(hub, settings, code, dry_run=dry_run) for code in chosen)
    return DeskReport("recheck", by, "", rechecked=tuple(chosen), cleared=cleared, dry_run=dry_run)


def _named(hub: Hub, settings: Settings, names: Sequence[str], store: str | None) -> list[str]:
    """Documents by their names; a plain number is one of `store` that is in quarantine."""
    if store is not None:
        settings.store(store)
    return [name if "/" in name or store is None else _of_number(hub, name.strip(), store) for name in names]


def _of_number(hub: Hub, number: str, store: str) -> str:
    d, q = documents.c, quarantine.c
    found: list[str] = []
    if number.isascii() and number.isdigit() and len(number) <= 18:
        query = (
            select(d.document)
            .join(quarantine, q.document == d.document)
            .where(d.store == store, d.number == int(number), q.state.in_(("open", "discarded")))
            .distinct()
            .order_by(d.document)
        )
        with hub.reading() as connection:
            found = list(connection.execute(query).scalars())
    if len(found) == 1:
        return found[0]
    if not found:
        raise DecisionRefused(
            f"Nothing in the quarantine of store {store} has the number {number[:40]}. Nothing was changed.",
            next_step="see what waits: `tillbridge quarantine list`",
        )
    raise DecisionRefused(
        f"The number {number} of store {store} may be {' or '.join(found)}. Nothing was changed.",
        next_step="name one of them in full",
    )
