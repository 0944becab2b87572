"""Takes stock into the hub's warehouses from a file, once, and gives backorders what they wait for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.settings import Settings
from tasks.use_cases.advancing import AllocatedOrder


@dataclass(frozen=True)
class ReceiptReport:
    """What a receipt brought. Units in ten-thousandths."""

    receipt: str
    """Its name: the reference given, else made of the file's content."""
    lines: int
    units: int
    warehouses: tuple[str, ...]
    allocated: tuple[AllocatedOrder, ...] = ()
    already: bool = False
    """It was received before; nothing was changed."""
    dry_run: bool = False


def receive_stock(
    settings: Settings, file: Path, *, reference: str | None = None, dry_run: bool = False
) -> ReceiptReport:
    """Book the lines of a CSV (`warehouse,sku,quantity`) as stock received, all or nothing.

    The same file, or another with a reference that was used before, is received once. Raises
    `ContractBroken` that names every faulty line, `ConfigurationError`, `HubUnavailable`.
    """
    raise NotImplementedError(str(file))
