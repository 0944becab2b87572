"""The script of a sample shop: real invoices, with what happens around them in any shop mixed in.

Pure and seeded: the same invoices and seed give the same script, entry for entry.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from deployments.sample_store.tickets import Invoice, InvoiceLine

EntryKind = Literal["invoice", "exchange", "void", "recall", "recall_part", "gap", "late"]
"""invoice: as the source has it. exchange: one thing back, another out. void: mirrors an earlier ticket.
recall, recall_part: return of an earlier sale, all or some of it. gap: a number RMS burns.
late: an invoice of an offline register, merged under a number and time of long ago."""

VOIDS = 0.025
RECALLS = 0.03
EXCHANGES = 0.025
LATE = 0.015
BURNED = 0.015
"""How often each comes up, per invoice."""

REACH = 60
"""How many entries back a void or a return may reach."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of the script. `day` is when it is rung; `time` is what the ticket will say."""

    position: int
    day: date
    time: datetime
    register: int
    kind: EntryKind
    of: int | None = None
    """Position of the entry it voids, returns from or (late) whose number it fills."""
    invoice: str = ""
    lines: tuple[InvoiceLine, ...] = ()


def plan_tickets(invoices: Sequence[Invoice], *, seed: int | str, registers: int) -> list[Entry]:
    """The script for one store: every invoice exactly once, in order of time, and the rest between."""
    return _Planner(seed, registers).plan(invoices)


class _Planner:
    def __init__(self, seed: int | str, registers: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a reproducible script is wanted
        self._registers = registers
        self._entries: list[Entry] = []
        self._targets: list[int] = []  # entries that a later void or return may still name
        self._offline: list[tuple[int, Invoice, Entry]] = []  # invoices left to run, what is late, its gap

    def plan(self, invoices: Sequence[Invoice]) -> list[Entry]:
        for invoice in invoices:
            self._merge_offline(invoice.time.date())
            if self._random.random() < LATE:
                gap = self._add("gap", invoice)
                self._offline.append((self._random.randint(5, REACH), invoice, gap))
                continue
            entry = self._add("invoice", invoice, invoice=invoice.number, lines=invoice.lines)
            self._targets.append(entry.position)
            self._around(invoice)
        self._offline = [(0, invoice, gap) for _, invoice, gap in self._offline]
        if invoices:
            self._merge_offline(invoices[-1].time.date())
        return self._entries

    def _around(self, invoice: Invoice) -> None:
        """What else happens at about the time of an invoice."""
        chance = self._random.random
        if chance() < VOIDS and (target := self._take_target()) is not None:
            self._add("void", invoice, of=target.position)
        if chance() < RECALLS and (target := self._take_target(sales_only=True)) is not None:
            kind: EntryKind = "recall_part" if chance() < 0.5 else "recall"
            self._targets.append(self._add(kind, invoice, of=target.position).position)
        if chance() < EXCHANGES and (lines := self._exchange(invoice)):
            self._targets.append(self._add("exchange", invoice, lines=lines).position)
        if chance() < BURNED:
            self._add("gap", invoice)

    def _exchange(self, invoice: Invoice) -> tuple[InvoiceLine, ...]:
        """Something of this invoice comes back, something else of it goes out instead."""
        goods = [line for line in invoice.lines if line.quantity > 0 and line.price > 0]
        if len(goods) < 2:
            return ()
        back, out = self._random.sample(goods, 2)
        unit = 10_000
        return (
            InvoiceLine(back.code, back.description, -unit, back.price),
            InvoiceLine(out.code, out.description, unit * self._random.randint(1, 2), out.price),
        )

    def _take_target(self, *, sales_only: bool = False) -> Entry | None:
        """An earlier ticket that nothing has undone yet; it will not be given again."""
        recent = [self._entries[position] for position in self._targets[-REACH:]]
        if sales_only:
            recent = [
                entry
                for entry in recent
                if entry.kind == "invoice" and all(line.quantity > 0 for line in entry.lines)
            ]
        if not recent:
            return None
        target = self._random.choice(recent)
        self._targets.remove(target.position)
        return target

    def _merge_offline(self, day: date) -> None:
        still: list[tuple[int, Invoice, Entry]] = []
        for left, invoice, gap in self._offline:
            if left > 0:
                still.append((left - 1, invoice, gap))
                continue
            self._entries.append(
                Entry(
                    position=len(self._entries),
                    day=day,
                    time=invoice.time,
                    register=gap.register,
                    kind="late",
                    of=gap.position,
                    invoice=invoice.number,
                    lines=invoice.lines,
                )
            )
        self._offline = still

    def _add(
        self,
        kind: EntryKind,
        around: Invoice,
        *,
        of: int | None = None,
        invoice: str = "",
        lines: tuple[InvoiceLine, ...] = (),
    ) -> Entry:
        register = self._random.randint(1, self._registers)
        entry = Entry(len(self._entries), around.time.date(), around.time, register, kind, of, invoice, lines)
        self._entries.append(entry)
        return entry
