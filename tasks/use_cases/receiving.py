"""Takes stock into the hub's warehouses from a file, once, and gives backorders what they wait for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.hub.database import open_hub
from tasks.hub.registry import configure
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
    from tasks.hub import receiving

    with open_hub(settings.hub_url) as hub:
        if not dry_run:  # a warehouse that is new in the settings counts from this receipt on
            configure(hub, settings)
        received = receiving.receive_stock(hub, settings, file, reference=reference, dry_run=dry_run)
    return ReceiptReport(
        receipt=received.receipt,
        lines=received.lines,
        units=received.units,
        warehouses=received.warehouses,
        allocated=tuple(
            AllocatedOrder(order.order_id, order.number, order.units, order.filled)
            for order in received.allocated
        ),
        already=received.already,
        dry_run=dry_run,
    )
