"""Applies what waits of layaways and backorders: newer snapshots, pick-ups, stock that can be given out.

Imports only store it as pending, so that these moves can be run, seen and held back on their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from data_contracts.amounts import show_money, show_units
from data_contracts.codes import BACKORDER, LAYAWAY
from data_contracts.errors import TillbridgeError
from data_contracts.life_cycle import State
from tasks.hub.allocating import allocate_backorders
from tasks.hub.database import open_hub
from tasks.hub.registry import configure
from tasks.hub.to_advance import something_to_advance
from tasks.logs import about
from tasks.settings import Settings
from tasks.use_cases.each_store import each_store


@dataclass(frozen=True)
class StoreAdvance:
    """What was applied in one store. Units and money in ten-thousandths."""

    store: str
    applied: int = 0
    """Snapshots and pick-up tickets that were applied."""
    picked_up: int = 0
    """Orders that became Charged and FullyShipped."""
    partly: int = 0
    """Orders that were picked up in part, more of them than before."""
    cancelled: int = 0
    """Orders that were cancelled, or of which the rest was."""
    changed: int = 0
    """Orders that changed in another way: lines, deposits, date, reopened."""
    expired: int = 0
    """Orders whose date has passed since the last run."""
    quarantined: int = 0
    """Snapshots that ask for an illegal move."""
    waiting: int = 0
    """Snapshots and pick-ups that still wait for each other."""
    reasons: tuple[str, ...] = ()
    """What they wait for, a sentence for each order."""
    reserved: int = 0
    """Units reserved less units freed."""
    money: int = 0
    """Totals of the pick-ups applied."""

    @property
    def figures(self) -> tuple[int | str, ...]:
        """All that a table says of it, in the order in which reports name it; units and money for people."""
        return (
            self.applied,
            self.picked_up,
            self.partly,
            self.cancelled,
            self.changed,
            self.expired,
            self.waiting,
            self.quarantined,
            show_units(self.reserved),
            show_money(self.money),
        )


@dataclass(frozen=True)
class AllocatedOrder:
    """A backorder that was given stock."""

    order_id: str
    number: int
    units: int
    filled: bool
    """Whether it has all its stock now."""


@dataclass(frozen=True)
class AdvanceReport:
    """What one run applied."""

    kind: str
    stores: tuple[StoreAdvance, ...] = ()
    allocated: tuple[AllocatedOrder, ...] = ()
    """Backorders only, oldest first."""
    dry_run: bool = False
    failures: dict[str, str] = field(default_factory=dict)
    """Store -> the error that stopped it; the other stores went on."""

    @property
    def moved(self) -> tuple[StoreAdvance, ...]:
        """The stores of which something was applied or waits."""
        return tuple(store for store in self.stores if store != StoreAdvance(store.store))

    @property
    def sentence(self) -> str:
        """The run in one line."""
        parts = [
            f"{sum(getattr(store, name) for store in self.stores)} {word}"
            for name, word in (
                ("picked_up", "picked up"),
                ("partly", "picked up in part"),
                ("cancelled", "cancelled"),
                ("changed", "changed"),
                ("expired", "expired"),
                ("quarantined", "illegal"),
                ("waiting", "waiting"),
            )
        ]
        given = f", {len(self.allocated)} given stock" if self.kind == BACKORDER else ""
        dry = " (dry run: nothing was written)" if self.dry_run else ""
        return f"{self.kind}s: {', '.join(parts)}{given}{dry}"


def together(looks: Sequence[StoreAdvance]) -> StoreAdvance:
    """Several looks at one store in one run, as one: what moved adds up, what waits is as it was at last."""
    summed = ("applied", "picked_up", "partly", "cancelled", "changed", "expired", "reserved", "money")
    return replace(looks[-1], **{name: sum(getattr(look, name) for look in looks) for name in summed})


def advance_layaways(
    settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False
) -> AdvanceReport:
    """Apply pending snapshots and pick-ups of layaways, and note which have expired.

    A store that fails is named in the report; the others go on. A dry run works everything out and writes
    nothing. Raises `ConfigurationError` for a store that is not configured.
    """
    return _advance_all(settings, LAYAWAY, stores, dry_run)


def advance_backorders(
    settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False
) -> AdvanceReport:
    """The same for backorders; then give out free stock, oldest first, in every warehouse of the stores."""
    report = _advance_all(settings, BACKORDER, stores, dry_run)
    try:
        return replace(report, allocated=give_out_stock(settings, stores, dry_run=dry_run))
    except TillbridgeError as error:
        return replace(report, failures=report.failures | {"stock": str(error)})


def _advance_all(settings: Settings, kind: str, stores: Sequence[str], dry_run: bool) -> AdvanceReport:
    done, failures = each_store(
        settings.chosen_stores(stores), lambda store: advance_store(settings, store, kind, dry_run=dry_run)
    )
    return AdvanceReport(kind, done, dry_run=dry_run, failures=failures)


def advance_store(settings: Settings, store: str, kind: str, *, dry_run: bool = False) -> StoreAdvance:
    """Apply what waits of one store's layaways or backorders (`kind`), in one transaction.

    Raises `HubUnavailable` (another run holds the store), `SchemaMismatch`, `ConfigurationError`.
    """
    with open_hub(settings.hub_url) as hub, about(store=store):
        configure(hub, settings)
        if not something_to_advance(hub, settings, store, kind):
            return StoreAdvance(store)
        from tasks.hub.advancing import advance

        done = advance(hub, settings, store, kind, dry_run=dry_run)
    states = Counter(move.after for move in done.moves if move.after != move.before)
    partly = {
        move.order_id
        for move in done.moves
        if move.after is State.PARTLY_PICKED_UP and move.shown_before != move.shown_after
    }
    cancelled = states[State.CANCELLED] + states[State.REST_CANCELLED]
    expired = sum(move.expired for move in done.moves)
    return StoreAdvance(
        store,
        applied=done.snapshots + done.pickups,
        picked_up=states[State.PICKED_UP],
        partly=len(partly),
        cancelled=cancelled,
        changed=max(0, len(done.moves) - states[State.PICKED_UP] - len(partly) - cancelled - expired),
        expired=expired,
        quarantined=done.quarantined,
        waiting=len(done.waiting),
        reasons=done.waiting,
        reserved=sum(move.reserved for move in done.moves),
        money=done.money,
    )


def give_out_stock(
    settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False
) -> tuple[AllocatedOrder, ...]:
    """Give free stock to the backorders that wait in the warehouses of these stores, oldest first."""
    with open_hub(settings.hub_url) as hub:
        given = allocate_backorders(hub, settings, stores, dry_run=dry_run)
    return tuple(AllocatedOrder(a.order_id, a.number, a.units, a.filled) for a in given)
