"""Compares the hub with the stores' statements and says in sentences what is explained and what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from data_contracts.amounts import SCALE, counted, show_money, show_units
from data_contracts.codes import RmsCodes
from data_contracts.errors import NotYetArrived
from data_contracts.reconciling import (
    Day,
    DepositDay,
    EditedDocument,
    NumberRange,
    OrderDifference,
    ReconcileReport,
)
from tasks.hub import outstanding
from tasks.hub import reconcile as hub_reconcile
from tasks.hub.database import open_hub
from tasks.settings import Settings


@dataclass(frozen=True)
class Reconciliation:
    """The comparison of several stores."""

    stores: tuple[ReconcileReport, ...]
    without_statement: tuple[str, ...] = ()
    """Stores that have sent no statement: nothing is proven of them, so each counts as unexplained."""
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Store -> its batches that were rejected or never came, that nothing has replaced, and what to do."""

    @property
    def unexplained(self) -> int:
        """How many tickets, days, orders and proofs nobody can account for."""
        return sum(store.unexplained for store in self.stores) + len(self.without_statement)

    @property
    def tickets(self) -> int:
        """Tickets that the stores have stated."""
        return sum(day.store.tickets for store in self.stores for day in store.days)

    @property
    def open_orders(self) -> int:
        """Layaways and backorders that are open, as the stores have stated."""
        return sum(store.open_orders for store in self.stores)

    @property
    def reserved(self) -> int:
        """Units that the hub holds for them."""
        return sum(store.reserved for store in self.stores)

    @property
    def deposits_held(self) -> int:
        """What the hub holds of their deposits."""
        return sum(store.deposits_held for store in self.stores)

    @property
    def sentence(self) -> str:
        """The result in one line, `0 unexplained` at best."""
        open_ones = sum(len(store.open) for store in self.stores)
        units = sum(day.store.units for store in self.stores for day in store.days)
        money = sum(day.store.total for store in self.stores for day in store.days)
        return (
            f"{self.unexplained} unexplained: {counted(self.tickets, 'ticket')}, {_units(units)} and "
            f"{show_money(money)}, {counted(self.open_orders, 'open order')} with {_units(self.reserved)} "
            f"reserved and {show_money(self.deposits_held)} deposits held, stated by "
            f"{counted(len(self.stores), 'store')}; {open_ones} in quarantine or pending"
        )

    @property
    def findings(self) -> tuple[str, ...]:
        """Every unexplained difference by name."""
        named = [text for store in self.stores for text in _findings(store)]
        return (
            *named,
            *(f"{code}: has sent no statement, so nothing is proven." for code in self.without_statement),
        )

    def findings_of(self, store: str) -> tuple[str, ...]:
        """The unexplained differences of one store."""
        return tuple(text for text in self.findings if text.startswith(f"{store}: "))

    @property
    def explained(self) -> tuple[str, ...]:
        """What differs for a known reason."""
        lacking = chain.from_iterable(self.lacking.values())
        return (*(text for store in self.stores for text in _explained(store)), *lacking)


def reconcile_store(settings: Settings, store: str) -> ReconcileReport:
    """One store against its newest statement; `NotYetArrived` if it has sent none."""
    codes = settings.store(store).codes
    with open_hub(settings.hub_url) as hub:
        return hub_reconcile.reconcile(hub, store, codes=RmsCodes(**codes.model_dump()))


def reconcile_stores(settings: Settings, stores: Sequence[str] = ()) -> Reconciliation:
    """All given stores (default: all configured ones)."""
    reports: list[ReconcileReport] = []
    silent: list[str] = []
    codes = stores or sorted(settings.stores)
    for code in codes:
        try:
            reports.append(reconcile_store(settings, code))
        except NotYetArrived:
            silent.append(code)
    with open_hub(settings.hub_url) as hub:
        reasons = {code: outstanding.of_store(hub, code).reasons for code in codes}
    lacking = {
        code: tuple(f"{reason.message} What to do: {reason.fix}." for reason in of_store)
        for code, of_store in reasons.items()
        if of_store
    }
    return Reconciliation(tuple(reports), tuple(silent), lacking)


def _findings(report: ReconcileReport) -> Iterator[str]:
    for numbers in report.missing:
        named, it = _named(numbers)
        again = f"`tillbridge resend {report.store} --numbers {numbers.first}-{numbers.last}`"
        yield (
            f"{report.store}: {named} missing: the store has {it}, the hub does not. "
            f"If no batch waits to be imported, run {again} at the store."
        )
    for numbers in report.extra:
        named, it = _named(numbers)
        yield f"{report.store}: {named} in the hub, but the store does not have {it}."
    for day in report.unexplained_days:
        yield f"{report.store}: {day.business_date}, Z batch {day.z_batch}: {_difference(day)}."
    for order in report.orders:
        yield f"{report.store}: {_order_difference(report.store, order)}"
    for deposits in report.unexplained_deposits:
        yield f"{report.store}: {_deposit_difference(report.store, deposits)}"
    for proof in report.broken_proofs:
        yield f"{report.store}: {proof}"


def _order_difference(store: str, order: OrderDifference) -> str:
    again = f"`tillbridge resend {store} --orders {order.number}`"
    if order.what == "extra":
        return (
            f"order {order.number} is open in the hub, but not at the store. If no batch waits to be "
            f"imported, run `tillbridge export {store} --sweep` at the store, or {again} if RMS still has it."
        )
    what = "missing" if order.what == "missing" else "differs"
    does = "does not" if order.what == "missing" else "does not have it as it is"
    return (
        f"order {order.number} {what}: the store has it open, the hub {does}. "
        f"If no batch waits to be imported, run {again} at the store."
    )


def _deposit_difference(store: str, day: DepositDay) -> str:
    apart = day.difference
    parts = [
        counted(apart.entries, "change") if apart.entries else "",
        f"{show_money(apart.amount)} in all" if apart.amount else "",
        f"{show_money(apart.tendered)} tendered" if apart.tendered else "",
    ]
    return (
        f"deposits of {day.business_date}, Z batch {day.z_batch}: store less hub is "
        f"{', '.join(part for part in parts if part)}. If no batch waits to be imported, run "
        f"`tillbridge export {store} --sweep` at the store; a closed order needs `tillbridge resend {store} "
        "--orders N`."
    )


def _difference(day: Day) -> str:
    apart = day.difference
    parts = [
        counted(apart.tickets, "ticket") if apart.tickets else "",
        counted(apart.lines, "line") if apart.lines else "",
        _units(apart.units) if apart.units else "",
        f"{show_money(apart.tax)} tax" if apart.tax else "",
        f"{show_money(apart.total)} in total" if apart.total else "",
        *(f"{show_money(t.store - t.hub)} in tender {t.tender_code}" for t in day.tenders),
    ]
    return "store less hub is " + ", ".join(part for part in parts if part)


def _edited(document: EditedDocument) -> str:
    """`the hub has -1 units, -9.99 in total beyond the store (double scan)`."""
    apart = document.apart
    parts = [
        f"{apart.lines:+} lines" if apart.lines else "",
        f"{_units(apart.units)}" if apart.units else "",
        f"{show_money(apart.tax)} tax" if apart.tax else "",
        f"{show_money(apart.total)} in total" if apart.total else "",
        *(f"{show_money(amount)} in tender {code}" for code, amount in document.tenders),
    ]
    moved = f"it counts for {document.day[0]}, Z batch {document.day[1]}, at the store for "
    moved += f"{document.stated_day[0]}, Z batch {document.stated_day[1]}"
    said = [moved] if document.day != document.stated_day else []
    if shown := ", ".join(part for part in parts if part):
        said.append(f"the hub has {shown} beyond the store")
    return f"{'; '.join(said)} ({document.why})"


def _explained(report: ReconcileReport) -> Iterator[str]:
    for entry in report.open:
        yield (
            f"{entry.document} ({entry.state}, {_units(entry.units)}, {show_money(entry.total)}): "
            f"{entry.message}" + (f" It was {entry.decision}." if entry.decision else "")
        )
    discarded = [entry for entry in report.open if entry.state == "discarded"]
    if len(discarded) > 1:
        yield (
            f"{report.store}: {len(discarded)} documents are discarded, "
            f"{_units(sum(entry.units for entry in discarded))} and "
            f"{show_money(sum(entry.total for entry in discarded))} in all."
        )
    for edited in report.edited:
        yield f"{edited.document} was edited by {edited.by} on {edited.at_utc[:10]}: {_edited(edited)}."
    for numbers in report.waiting:
        yield f"{report.store}: RMS is still writing ticket {numbers}."
    for numbers in report.waiting_orders:
        yield f"{report.store}: RMS is still writing order {numbers}."
    for numbers in report.lost:
        named, it = _named(numbers)
        yield (
            f"{report.store}: RMS lost {named} of epoch {numbers.epoch} when its database was "
            f"restored; the hub has {it}."
        )
    if report.newer:
        are = "is" if report.newer == 1 else "are"
        yield (
            f"{report.store}: {counted(report.newer, 'ticket')} {are} newer than the statement and left out."
        )


def _named(numbers: NumberRange) -> tuple[str, str]:
    """`ticket 7` and `it`, or `3 tickets 7 to 9` and `them`."""
    if numbers.count == 1:
        return f"ticket {numbers}", "it"
    return f"{counted(numbers.count, 'ticket')} {numbers}", "them"


def _units(amount: int) -> str:
    return f"{show_units(amount)} {'unit' if amount == SCALE else 'units'}"
