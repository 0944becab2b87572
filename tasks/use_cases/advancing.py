"""Applies what waits of layaways and backorders: newer snapshots, pick-ups, stock that can be given out.

Imports only store it as pending, so that these moves can be run, seen and held back on their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from data_contracts.meaning import BACKORDER, LAYAWAY
from tasks.settings import Settings


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
    reserved: int = 0
    """Units reserved less units freed."""
    money: int = 0
    """Totals of the pick-ups applied."""


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
    def sentence(self) -> str:
        """The run in one line."""
        raise NotImplementedError


def advance_layaways(
    settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False
) -> AdvanceReport:
    """Apply pending snapshots and pick-ups of layaways, and note which have expired.

    A dry run works everything out and writes nothing. Raises `HubUnavailable`, `SchemaMismatch`,
    `ConfigurationError`.
    """
    raise NotImplementedError(LAYAWAY)


def advance_backorders(
    settings: Settings, stores: Sequence[str] = (), *, dry_run: bool = False
) -> AdvanceReport:
    """The same for backorders; then give out free stock, oldest first, in every warehouse of the stores."""
    raise NotImplementedError(BACKORDER)
