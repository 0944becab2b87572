"""The desk at which people work on the quarantine: edit, release, discard. Every decision is kept.

One transaction a store, under its lock; what was decided and what follows from it are written together or not
at all. Doing the same again changes nothing. What a contract says is asked before the transaction begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from data_contracts.contract import waivers_of
from data_contracts.documents import ORDER, STREAM_ORDERS
from data_contracts.errors import DecisionRefused, HubUnavailable
from data_contracts.manifest import Reason
from data_contracts.overlay import Change, exported_cell, parse_change
from data_contracts.posting import EDITED as RULE_EDITED
from data_contracts.posting import WAIVERS, waivers
from data_contracts.waiting import WAITING_RULES
from tasks import faults
from tasks.hub.candidates import BY_CONTRACT
from tasks.hub.database import Hub, lock_store
from tasks.hub.decisions import (
    ACCEPTED,
    DISCARDED,
    EDITED,
    RELEASED,
    UNDONE,
    decide,
    read_standings,
)
from tasks.hub.desk import Desk, open_desk
from tasks.hub.importer import judge_again
from tasks.hub.inbox import utc_now
from tasks.hub.ledger import write_levels
from tasks.hub.order_candidates import forget_snapshot, keep_released
from tasks.hub.papers import OPENING, Paper, check_name, read_papers, source_of
from tasks.hub.quarantine_contract import ask_contract
from tasks.hub.schema import documents, quarantine
from tasks.settings import Settings

log = logging.getLogger(__name__)

faults.declare("hub.desk.locked", "hub.desk.entries", "hub.desk.before_commit", "hub.desk.after_commit")

TRIES = 3
"""How often a release begins anew when the document changes while its contract is asked."""


@dataclass(frozen=True)
class Decided:
    """What became of a document on the desk."""

    document: str
    outcome: str
    """booked, pending, quarantined, discarded or edited."""
    message: str
    fix: str = ""
    changed: bool = True
    """False if it was so before."""


class _DryRun(Exception):
    """Rolls the transaction back; carries what it would have done."""

    def __init__(self, decided: list[Decided]) -> None:
        super().__init__()
        self.decided = decided


class _Moved(Exception):
    """A document has changed since its contract was asked."""


@dataclass(frozen=True)
class _Person:
    by: str
    why: str

    def decision(self, paper: Paper, action: str, **more: Any) -> dict[str, Any]:
        document, revision = paper.key
        return {
            "document": document,
            "revision": revision,
            "action": action,
            "by": self.by,
            "why": self.why,
            **more,
        }


def edit(
    hub: Hub,
    settings: Settings,
    document: str,
    changes: Sequence[str] = (),
    *,
    undo: bool = False,
    why: str,
    by: str,
    dry_run: bool = False,
    now: str | None = None,
) -> list[Decided]:
    """Lay values over cells of a document that waits, or take all such edits back (`undo`).

    Changes are `role/row/column=value`. Nothing is booked by that: an edited document waits until it is
    released. Raises `DecisionRefused` for a change that cannot be made, `HubUnavailable`.
    """
    name, person = check_name(document), _person(by, why)
    if source_of(name) == OPENING:
        raise DecisionRefused(
            f"{name} is opening stock, of which nothing can be edited. Nothing was changed.",
            next_step="add the product, or an alias for it, to the catalogue: `tillbridge import-catalog`",
        )
    parsed = [parse_change(text, source_of(name)) for text in changes]

    def work(desk: Desk) -> list[Decided]:
        paper = read_papers(desk.connection, [name])[name]
        if paper.entry is None:
            raise DecisionRefused(
                f"{name} is booked; nothing of it waits that could be edited. Nothing was changed.",
                next_step="correct it in RMS; the corrected form arrives as a new revision",
            )
        made = [person.decision(paper, UNDONE, **of) for of in _undone(paper)] if undo else []
        made += [] if undo else _edits(paper, parsed, person)
        decide(desk, made)
        if made:
            _await_release(desk, paper, {name})
        return [_after_edit(desk, paper, changed=bool(made))]

    return _at_desk(hub, settings, _store_of(name), work, dry_run, now)


def release(
    hub: Hub,
    settings: Settings,
    names: Sequence[str],
    *,
    accept: Collection[str] = (),
    why: str,
    by: str,
    dry_run: bool = False,
    now: str | None = None,
) -> list[Decided]:
    """Judge documents again with their edits, and book what is good.

    `accept` are rules that the person has looked at and waives; one that leaves a movement unknown cannot
    be. What was discarded comes back. Raises `DecisionRefused` and `HubUnavailable`; stores come one after
    another, and what is done of one stays done.
    """
    person = _person(by, why)
    _check_waivers(accept)
    return _each_store(
        hub,
        names,
        lambda store, of_store: _release(hub, settings, store, of_store, accept, person, dry_run, now),
    )


def discard(
    hub: Hub,
    settings: Settings,
    names: Sequence[str],
    *,
    why: str,
    by: str,
    dry_run: bool = False,
    now: str | None = None,
) -> list[Decided]:
    """Put documents aside for good, with a reason: they count as seen, and are explained as discarded.

    The same revision stays discarded whenever it is sent again; a newer one is judged anew. What waits for
    a discarded document says so. Raises `DecisionRefused`, `HubUnavailable`.
    """
    person = _person(by, why)

    def work(desk: Desk, of_store: Sequence[str]) -> list[Decided]:
        papers = read_papers(desk.connection, of_store)
        for paper in papers.values():
            if paper.entry is None:
                raise DecisionRefused(
                    f"{paper.document} is booked; nothing of it waits that could be discarded. Nothing was "
                    "changed.",
                    next_step="void it at the till, if it should never have been",
                )
        now_discarded = [paper for paper in papers.values() if not paper.is_discarded]
        decide(desk, [person.decision(paper, DISCARDED) for paper in now_discarded])
        for paper in now_discarded:
            _set_entry(desk, paper, state="discarded", closed_utc=desk.now)
            if paper.standing_of_document != "accepted":
                _set_document(desk, paper, "discarded")
            if paper.source == ORDER:
                forget_snapshot(desk, *paper.key)
        if now_discarded:
            judge_again(desk, (), waited_for={paper.document for paper in now_discarded})
        fresh = {paper.document for paper in now_discarded}
        return [_discarded(paper, fresh) for paper in papers.values()]

    return _each_store(
        hub,
        names,
        lambda store, of_store: _at_desk(
            hub, settings, store, lambda desk: work(desk, of_store), dry_run, now
        ),
    )


# -- releasing -----------------------------------------------------------------------------------------
def _release(
    hub: Hub,
    settings: Settings,
    store: str,
    names: Sequence[str],
    accept: Collection[str],
    person: _Person,
    dry_run: bool,
    now: str | None,
) -> list[Decided]:
    for _ in range(TRIES):
        with hub.reading() as connection:
            papers = read_papers(connection, names)
        answers = ask_contract(settings, [paper for paper in papers.values() if _is_asked(paper)])

        def work(
            desk: Desk,
            papers: Mapping[str, Paper] = papers,
            answers: Mapping[str, Sequence[Reason]] = answers,
        ) -> list[Decided]:
            return _release_now(desk, papers, answers, accept, person)

        try:
            return _at_desk(hub, settings, store, work, dry_run, now)
        except _Moved:
            continue
    raise HubUnavailable(
        f"The documents of store {store} kept changing while they were looked at. Nothing was changed; "
        "retrying helps.",
        next_step="release them again",
        store=store,
    )


def _is_asked(paper: Paper) -> bool:
    return paper.source != OPENING and (paper.by_contract or bool(paper.standing.edits))


def _release_now(
    desk: Desk,
    papers: Mapping[str, Paper],
    answers: Mapping[str, Sequence[Reason]],
    accept: Collection[str],
    person: _Person,
) -> list[Decided]:
    """Release what its contract lets pass; the others get its newest sentence."""
    if any(p.stamp != papers[name].stamp for name, p in read_papers(desk.connection, papers).items()):
        raise _Moved
    faults.point("hub.desk.entries")
    passing: dict[str, Paper] = {}
    refused: dict[str, Sequence[Reason]] = {}
    made: list[dict[str, Any]] = []
    for name, paper in papers.items():
        if paper.entry is None:
            continue
        reasons = answers.get(name, ())
        waived = {rule for rule in accept if rule in _at_stake(paper, reasons)} - paper.standing.waived
        let_pass = waivers(waived | paper.standing.waived)
        left = [reason for reason in reasons if reason.rule not in let_pass]
        if left:
            if paper.is_discarded:
                refused[name] = left
            else:
                _set_entry(desk, paper, **_sentence(left), catalog=BY_CONTRACT)
                if paper.standing_of_document == "pending":
                    _set_document(desk, paper, "quarantined")
            continue
        passing[name] = paper
        made += [person.decision(paper, ACCEPTED, rule=rule) for rule in sorted(waived)]
        if waived or paper.is_discarded or paper.by_contract or paper.standing.awaits_release:
            made.append(person.decision(paper, RELEASED))
    decide(desk, made)
    standings = read_standings(desk.connection, passing)
    for paper in passing.values():
        if paper.by_contract or paper.is_discarded:
            _set_entry(desk, paper, state="open", closed_utc=None, catalog=0)
            if paper.standing_of_document == "discarded":
                _set_document(desk, paper, "quarantined")
        if paper.source == ORDER and paper.key in standings and paper.entry is not None:
            keep_released(desk, paper.entry, standings[paper.key])
    judge_again(desk, set(passing))
    after = read_papers(desk.connection, papers)
    return [
        _still_discarded(paper, refused[name]) if name in refused else _after_release(paper, after[name])
        for name, paper in papers.items()
    ]


def _at_stake(paper: Paper, reasons: Sequence[Reason]) -> set[str]:
    """Rules that a document fails, by either of the names they have."""
    assert paper.entry is not None  # noqa: S101 - asked of entries only
    failed = {reason.rule for reason in reasons} | {str(paper.entry["rule"])}
    return set(waivers(failed))


def _sentence(reasons: Sequence[Reason]) -> dict[str, Any]:
    return {
        "rule": reasons[0].rule,
        "message": " ".join(reason.message for reason in reasons),
        "fix": reasons[0].fix,
        "waits_for": None,
    }


def _still_discarded(paper: Paper, reasons: Sequence[Reason]) -> Decided:
    said = _sentence(reasons)
    message = f"It stays discarded: {said['message']}"
    return Decided(paper.document, "discarded", message, said["fix"], changed=False)


def _after_release(before: Paper, after: Paper) -> Decided:
    name = before.document
    if before.entry is None:
        return Decided(name, "booked", "It was booked before; nothing was changed.", changed=False)
    if after.entry is None:
        return Decided(name, "booked", "Booked.")
    changed = before.stamp != after.stamp or before.entry["message"] != after.entry["message"]
    state = "pending" if after.entry["rule"] in WAITING_RULES else "quarantined"
    if after.is_discarded:
        state = "discarded"
    return Decided(name, state, str(after.entry["message"]), str(after.entry["fix"]), changed)


# -- editing -------------------------------------------------------------------------------------------
def _edits(paper: Paper, changes: Sequence[Change], person: _Person) -> list[dict[str, Any]]:
    """The decisions that these changes come to; a value that counts already is none."""
    rows = paper.rows()
    current = {of.cell: of for of in paper.standing.edits}
    made: dict[Any, dict[str, Any]] = {}
    for change in changes:
        exported = exported_cell(rows, change.cell, paper.document)
        known = current.get(change.cell)
        old = known.new if known is not None else exported
        made.pop(change.cell, None)
        if change.value == old:
            continue
        about = {"cell": change.cell, "exported": exported, "old": old, "new": change.value}
        if known is not None and change.value == exported:
            made[change.cell] = person.decision(paper, UNDONE, **about, ends=known.number)
        else:
            made[change.cell] = person.decision(paper, EDITED, **about)
    return list(made.values())


def _undone(paper: Paper) -> list[dict[str, Any]]:
    return [
        {"cell": of.cell, "exported": of.exported, "old": of.new, "new": of.exported, "ends": of.number}
        for of in paper.standing.edits
    ]


def _await_release(desk: Desk, paper: Paper, names: set[str]) -> None:
    """Judge an edited document again; one that was released before has to be released again.

    What let it pass may have been taken back, and only a release asks its contract.
    """
    if paper.is_discarded or paper.by_contract:
        return
    faults.point("hub.desk.entries")
    if paper.standing.released is not None:
        number = paper.document.rsplit("/", 1)[1]
        word = "Order" if paper.source == ORDER else "Ticket"
        _set_entry(
            desk,
            paper,
            rule=RULE_EDITED,
            message=f"{word} {number} was edited after it had been released.",
            fix=f'release it again: `tillbridge quarantine release {paper.document} --why "..."`',
            waits_for=None,
            catalog=BY_CONTRACT,
        )
        if paper.standing_of_document == "pending":
            _set_document(desk, paper, "quarantined")
        if paper.source == ORDER:
            forget_snapshot(desk, *paper.key)
        return
    judge_again(desk, names)


def _after_edit(desk: Desk, before: Paper, *, changed: bool) -> Decided:
    paper = read_papers(desk.connection, [before.document])[before.document]
    if paper.entry is None:
        return Decided(before.document, "booked", "Without the edits nothing was wrong any more: booked.")
    count = len(paper.standing.edits)
    kept = {0: "No edit counts.", 1: "1 edit counts once it is released."}.get(
        count, f"{count} edits count once they are released."
    )
    if paper.is_discarded:
        message = f"{kept} It stays discarded until it is released."
        return Decided(before.document, "discarded", message, changed=changed)
    still = str(paper.entry["message"])
    fix = f'release it: `tillbridge quarantine release {before.document} --why "..."`'
    if paper.by_contract:
        still = f"Before the release it says: {still}"
    elif not count:
        fix = str(paper.entry["fix"])
    return Decided(before.document, "edited" if count else "quarantined", f"{kept} {still}", fix, changed)


# -- what all of them share ----------------------------------------------------------------------------
def _at_desk(
    hub: Hub,
    settings: Settings,
    store: str,
    work: Callable[[Desk], list[Decided]],
    dry_run: bool,
    now: str | None,
) -> list[Decided]:
    """Do the work in one transaction under the store's lock; a dry run rolls it back."""
    try:
        with hub.writing("hub.desk.before_commit", "hub.desk.after_commit") as connection:
            lock_store(connection, store)
            faults.point("hub.desk.locked")
            desk = open_desk(connection, settings, store, now=now or utc_now(), batch=None, baselined=False)
            decided = work(desk)
            write_levels(desk)
            desk.log.write(connection)
            if dry_run:
                raise _DryRun(decided)
    except _DryRun as dry:
        return dry.decided
    for of in decided:
        if of.changed:
            log.info("quarantine of store %s: %s is now %s", store, of.document, of.outcome)
    return decided


def _each_store(
    hub: Hub, names: Sequence[str], work: Callable[[str, Sequence[str]], list[Decided]]
) -> list[Decided]:
    """Do the work store after store, each document once; nothing is done if one of them is unknown."""
    checked = list(dict.fromkeys(check_name(name) for name in names))
    with hub.reading() as connection:
        read_papers(connection, checked)
    by_store: dict[str, list[str]] = {}
    for name in checked:
        by_store.setdefault(_store_of(name), []).append(name)
    done = [of for store, of_store in sorted(by_store.items()) for of in work(store, of_store)]
    return sorted(done, key=lambda of: checked.index(of.document))


def _set_entry(desk: Desk, paper: Paper, **values: Any) -> None:
    document, revision = paper.key
    q = quarantine.c
    desk.connection.execute(
        update(quarantine).where(q.document == document, q.revision == revision).values(**values)
    )


def _set_document(desk: Desk, paper: Paper, state: str) -> None:
    desk.connection.execute(
        update(documents).where(documents.c.document == paper.document).values(state=state)
    )


def _discarded(paper: Paper, fresh: Collection[str]) -> Decided:
    if paper.document in fresh:
        back = f'to take it back: `tillbridge quarantine release {paper.document} --why "..."`'
        return Decided(paper.document, "discarded", "Discarded; it counts as seen.", back)
    return Decided(
        paper.document, "discarded", "It was discarded before; nothing was changed.", changed=False
    )


def _check_waivers(accept: Collection[str]) -> None:
    known = waivers_of(STREAM_ORDERS) | WAIVERS
    for rule in accept:
        if rule not in known:
            raise DecisionRefused(
                f"`{rule[:60]}` is no rule that can be waived: without it a movement would not be known. "
                "Nothing was changed.",
                next_step=f"correct the document, or waive one of {', '.join(sorted(known))}",
            )


def _person(by: str, why: str) -> _Person:
    if not by.strip() or not why.strip():
        missing = "who decides" if not by.strip() else "why"
        raise DecisionRefused(
            f"Nobody said {missing}. Nothing was changed.", next_step="give both a name and a reason"
        )
    return _Person(by.strip(), why.strip())


def _store_of(name: str) -> str:
    return name.split("/", 1)[0]
