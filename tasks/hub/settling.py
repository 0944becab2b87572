"""Picks the revision of each document that counts; writes nothing.

The newest good revision is booked; the newest bad one, if newer than that, stands open in quarantine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from data_contracts.waiting import WAITING_RULES
from tasks.hub.candidates import Candidate, Gathered, Newness

GOOD = ("cleared", "released")
"""States of an entry whose document is good: by itself, or since a person released it."""


@dataclass
class Settled:
    """Which revision of each document counts from now on."""

    booked: list[Candidate] = field(default_factory=list)
    entries: list[tuple[Candidate, str]] = field(default_factory=list)
    """New or re-judged bad revisions with the state of their entry."""
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    """(document, revision) of entries that were there -> their new state."""
    newness: dict[tuple[str, str], tuple[Newness, str]] = field(default_factory=dict)
    """(document, revision) -> newest (newness, batch) in which it came."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of `documents`, without what booking adds."""
    replaced: list[tuple[str, str]] = field(default_factory=list)
    """(document, revision) that was booked and is no longer."""


def settle(found: Gathered) -> Settled:
    """Pick, per document, the revision that is booked and the one that stands open."""
    settled = Settled()
    by_document: dict[str, list[Candidate]] = {}
    for candidate in (*found.candidates, *found.seen_again):
        by_document.setdefault(candidate.document, []).append(candidate)
    judged = {id(candidate) for candidate in found.candidates}
    for name, candidates in by_document.items():
        _settle(settled, found, name, candidates, judged)
    return settled


def _settle(
    settled: Settled, found: Gathered, name: str, candidates: list[Candidate], judged: set[int]
) -> None:
    current, entries = found.current.get(name), found.entries.get(name, [])
    newest: dict[str, tuple[Newness, str]] = {}
    for entry in entries:
        newest[entry["revision"]] = ((entry["sequence"], entry["batch_id"]), entry["batch"])
    accepted = current["revision"] if current is not None and current["state"] == "accepted" else None
    if current is not None and accepted is not None:
        newest[accepted] = ((current["sequence"], current["batch_id"]), current["batch"])
    for candidate in candidates:
        here = (candidate.newness, candidate.batch)
        newest[candidate.revision] = max(newest.get(candidate.revision, here), here)
    fresh: dict[str, Candidate] = {}
    for candidate in candidates:
        known = fresh.get(candidate.revision)
        if id(candidate) in judged and (known is None or known.objection is not None):
            fresh[candidate.revision] = candidate
    good = [c for c in fresh.values() if c.objection is None]
    best = max(good, key=lambda c: newest[c.revision], default=None)
    if best is not None and (accepted is None or newest[best.revision] > newest[accepted]):
        settled.booked.append(best)
        if accepted is not None:
            settled.replaced.append((name, accepted))
        accepted = best.revision
    bad = {e["revision"]: (e["state"], e["rule"], e["kind"]) for e in entries if e["state"] not in GOOD}
    for revision, candidate in fresh.items():
        bad.pop(revision, None)
        if candidate.objection is not None:
            bad[revision] = ("open", candidate.objection.rule, candidate.ticket["kind"])
        else:
            released = found.standing((name, revision)).released
            settled.states[name, revision] = "cleared" if released is None else "released"
    above = [r for r in bad if r != accepted and (accepted is None or newest[r] > newest[accepted])]
    top = max(above, key=lambda revision: newest[revision], default=None)
    for revision, (state, _, _) in bad.items():
        if state in ("open", "superseded"):
            state = "open" if revision == top else "superseded"
        if revision in fresh:
            settled.entries.append((fresh[revision], state))
        else:
            settled.states[name, revision] = state
    for revision, when in newest.items():
        settled.newness[name, revision] = when
    shown = accepted or top
    if shown is None:
        return
    if shown in fresh:
        kind = fresh[shown].ticket["kind"]
    else:
        kind = bad[shown][2] if shown in bad else (current or {})["kind"]
    if accepted is not None:
        state = "accepted"
    elif bad[shown][0] == "discarded":
        state = "discarded"
    else:
        state = "pending" if bad[shown][1] in WAITING_RULES else "quarantined"
    (sequence, batch_id), batch = newest[shown]
    store, epoch, source, number = name.split("/")
    row = {"document": name, "store": store, "epoch": int(epoch), "source": source, "number": int(number)}
    row |= {"kind": kind, "state": state, "revision": shown}
    settled.rows.append(row | {"sequence": sequence, "batch_id": batch_id, "batch": batch})


def booked_numbers(found: Gathered) -> str:
    """`tickets 562 to 571`, `order 17`: the batch's documents that were accepted; empty if none was."""
    numbers = [
        int(candidate.document.rpartition("/")[2])
        for candidate in found.candidates
        if candidate.from_batch and candidate.objection is None
    ]
    if not numbers:
        return ""
    first, last = min(numbers), max(numbers)
    return f"{found.source.name} {first}" if first == last else f"{found.source.name}s {first} to {last}"


def tally(found: Gathered) -> Counter[str]:
    """What became of the batch's documents: accepted, quarantined, pending, seen_before, superseded."""
    counts: Counter[str] = Counter()
    for candidate in found.candidates:
        if candidate.from_batch:
            why = candidate.objection
            counts["accepted" if why is None else "pending" if why.waits else "quarantined"] += 1
    counts["seen_before"] = sum(candidate.from_batch for candidate in found.seen_again)
    counts["superseded"] = len(found.superseded)
    return counts
