"""Compares the hub with the stores' statements and says in sentences what is explained and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_contracts.amounts import show_money, show_units
from data_contracts.errors import NotYetArrived
from data_contracts.reconciling import Day, ReconcileReport
from tasks.hub import reconcile as hub_reconcile
from tasks.hub.database import open_hub
from tasks.settings import Settings


@dataclass(frozen=True)
class Reconciliation:
    """The comparison of several stores."""

    stores: tuple[ReconcileReport, ...]
    without_statement: tuple[str, ...] = ()
    """Stores that have sent no statement: nothing is proven of them, so each counts as unexplained."""

    @property
    def unexplained(self) -> int:
        """How many tickets, days and proofs nobody can account for."""
        return sum(store.unexplained for store in self.stores) + len(self.without_statement)

    @property
    def tickets(self) -> int:
        """Tickets that the stores have stated."""
        return sum(day.store.tickets for store in self.stores for day in store.days)

    @property
    def sentence(self) -> str:
        """The result in one line, `0 unexplained` at best."""
        open_ones = sum(len(store.open) for store in self.stores)
        units = sum(day.store.units for store in self.stores for day in store.days)
        money = sum(day.store.total for store in self.stores for day in store.days)
        return (
            f"{self.unexplained} unexplained: {self.tickets:,} tickets, {show_units(units)} units and "
            f"{show_money(money)} stated by {len(self.stores)} stores; {open_ones} in quarantine or pending"
        )

    @property
    def findings(self) -> tuple[str, ...]:
        """Every unexplained difference by name."""
        named = [text for store in self.stores for text in _findings(store)]
        return (
            *named,
            *(f"{code}: has sent no statement, so nothing is proven." for code in self.without_statement),
        )

    @property
    def explained(self) -> tuple[str, ...]:
        """What differs for a known reason."""
        return tuple(text for store in self.stores for text in _explained(store))


def reconcile_store(settings: Settings, store: str) -> ReconcileReport:
    """One store against its newest statement; `NotYetArrived` if it has sent none."""
    settings.store(store)
    with open_hub(settings.hub_url) as hub:
        return hub_reconcile.reconcile(hub, store)


def reconcile_stores(settings: Settings, stores: Sequence[str] = ()) -> Reconciliation:
    """All given stores (default: all configured ones)."""
    reports: list[ReconcileReport] = []
    silent: list[str] = []
    for code in stores or sorted(settings.stores):
        try:
            reports.append(reconcile_store(settings, code))
        except NotYetArrived:
            silent.append(code)
    return Reconciliation(tuple(reports), tuple(silent))


def _findings(report: ReconcileReport) -> Iterator[str]:
    for numbers in report.missing:
        word = "ticket" if numbers.count == 1 else f"{numbers.count} tickets"
        again = f"`tillbridge resend {report.store} --numbers {numbers.first}-{numbers.last}`"
        yield (
            f"{report.store}: {word} {numbers} missing: the store has it, the hub does not. "
            f"If no batch waits to be imported, run {again} at the store."
        )
    for numbers in report.extra:
        word = "ticket" if numbers.count == 1 else f"{numbers.count} tickets"
        yield f"{report.store}: {word} {numbers} in the hub, but the store does not have it."
    for day in report.unexplained_days:
        yield f"{report.store}: {day.business_date}, Z batch {day.z_batch}: {_difference(day)}."
    for proof in report.broken_proofs:
        yield f"{report.store}: {proof}"


def _difference(day: Day) -> str:
    apart = day.difference
    parts = [
        f"{apart.tickets} tickets" if apart.tickets else "",
        f"{apart.lines} lines" if apart.lines else "",
        f"{show_units(apart.units)} units" if apart.units else "",
        f"{show_money(apart.tax)} tax" if apart.tax else "",
        f"{show_money(apart.total)} in total" if apart.total else "",
        *(f"{show_money(t.store - t.hub)} in tender {t.tender_code}" for t in day.tenders),
    ]
    return "store less hub is " + ", ".join(part for part in parts if part)


def _explained(report: ReconcileReport) -> Iterator[str]:
    for entry in report.open:
        yield (
            f"{entry.document} ({entry.state}, {show_units(entry.units)} units, {show_money(entry.total)}): "
            f"{entry.message}"
        )
    for numbers in report.waiting:
        yield f"{report.store}: RMS is still writing ticket {numbers}."
    if report.newer:
        yield f"{report.store}: {report.newer} tickets are newer than the statement and left out."
