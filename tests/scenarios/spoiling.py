"""A shop with a hub behind an exchange folder, and all the ways in which a batch between them is spoiled."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from data_contracts.manifest import Acknowledgement, Outstanding
from tasks.hub.database import open_hub
from tasks.hub.registry import configure
from tasks.settings import Settings
from tasks.use_cases.arrivals import ImportSummary
from tasks.use_cases.catalog import import_catalog
from tasks.use_cases.importing import import_waiting
from tasks.use_cases.resending import ResendReport, resend
from tests.use_cases.store_fixtures import Shop, open_shop

OPENING = 10
"""Units of each of SKU-1 to SKU-5 at the baseline."""


@dataclass
class Bridge:
    """The shop, its exchange folder and the hub."""

    shop: Shop
    settings: Settings

    @property
    def stream(self) -> Path:
        """The folder of the orders stream."""
        return self.shop.folder.root / "S1" / "orders"

    def take_in(self) -> list[tuple[int, str]]:
        """Import what waits: (sequence, state) of each batch of tickets."""
        summary = self.import_waiting()
        assert summary.failures == {}
        return [(sequence_of(batch.path), batch.state) for batch in summary.batches]

    def import_waiting(self) -> ImportSummary:
        """All that waits."""
        return import_waiting(self.settings)

    def resend(self, **selection: Any) -> ResendReport:
        """Send again at the shop."""
        return resend(self.shop.settings, "S1", now=self.shop.now, **selection)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the hub's database."""
        engine = create_engine(self.settings.hub_url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(sql))]
        finally:
            engine.dispose()

    def sold(self) -> dict[str, int]:
        """SKU -> units that have left the hub's stock since the baseline."""
        rows = self.ask("SELECT sku, physical FROM reporting_stock ORDER BY sku")
        return {sku: OPENING - round(physical) for sku, physical in rows if round(physical) != OPENING}

    def tickets(self) -> list[int]:
        """Numbers of the orders in the hub."""
        return [int(number) for (number,) in self.ask("SELECT source_order_id FROM orders ORDER BY 1")]

    def acks(self) -> dict[int, str]:
        """Sequence -> what the hub answered."""
        found = sorted((self.stream / "acks").glob("*.ack.json"))
        answers = [Acknowledgement.from_json(file.read_bytes(), file.name) for file in found]
        return {answer.sequence: answer.state for answer in answers}

    def events(self, *types: str) -> list[tuple[str, str]]:
        """(type, payload) of the events of some types, in their order."""
        listed = ", ".join(f"'{kind}'" for kind in types)
        return [
            (kind, payload)
            for kind, payload in self.ask(
                f"SELECT type, payload FROM events WHERE type IN ({listed}) ORDER BY number"
            )
        ]

    def waiting(self) -> list[str]:
        """Names of all files that are neither archived nor answers, but the head."""
        return sorted(
            file.name for file in self.stream.iterdir() if file.is_file() and file.name != "head.json"
        )

    def outstanding(self) -> list[tuple[str, str]]:
        """(rule, what to do) of what the hub told the shop that it lacks."""
        file = self.stream / "acks" / "outstanding.json"
        if not file.exists():
            return []
        told = Outstanding.from_json(file.read_bytes(), file.name)
        return [(entry.rule, entry.fix) for entry in told.entries]

    def file(self, sequence: int, role: str) -> Path:
        """A file of a batch that waits; `manifest` is a role, too."""
        ending = ".manifest.json" if role == "manifest" else f".{role}.csv"
        (found,) = self.stream.glob(f"{sequence:06d}-*{ending}")
        return found


def sequence_of(path: str) -> int:
    """412 of `S1/orders/000412-9f2c51d07ab3`."""
    return int(path.rsplit("/", 1)[1].split("-")[0])


def build(folder: Path, migrated_file: Path) -> Bridge:
    """A shop that is live in the hub, and two batches that wait: tickets 1 and 2, then ticket 3."""
    shop = open_shop(f"sqlite:///{folder / 'rms.db'}", folder)
    shop.till.create()
    shutil.copy(migrated_file, folder / "hub.db")
    bridge = open_bridge(folder)
    catalog = folder / "catalog.csv"
    lines = [f"SKU-{n},Item {n},,9.99,0,true" for n in range(1, 6)]
    catalog.write_text("\n".join(["sku,name,upc,price,item_type,active", *lines, ""]), encoding="utf-8")
    with open_hub(bridge.settings.hub_url) as hub:
        configure(hub, bridge.settings)
    import_catalog(bridge.settings, catalog)
    bridge.shop.baseline(stock_from_rms=True)
    assert bridge.import_waiting().failures == {}
    bridge.shop.till.ring(1)
    bridge.shop.till.ring(2, item_id=2, quantity=2.0)
    bridge.shop.export()
    bridge.shop.till.ring(3)
    bridge.shop.export()
    return bridge


def open_bridge(folder: Path) -> Bridge:
    """The bridge in a folder, perhaps one that was copied."""
    shop = open_shop(f"sqlite:///{folder / 'rms.db'}", folder)
    hub = Settings.model_validate(
        {
            "folder": folder,
            "hub": {"url": f"sqlite:///{folder / 'hub.db'}"},
            "stores": {"S1": {"time_zone": "Europe/London"}},
            "exchange": {"url": "exchange"},
        }
    )
    return Bridge(shop, hub)


Spoil = Callable[[Bridge], None]


def cut(role: str, at: float) -> Spoil:
    """Truncate a file of batch 1: at a share of its length, or so many bytes before its end."""

    def spoil(bridge: Bridge) -> None:
        file = bridge.file(1, role)
        data = file.read_bytes()
        file.write_bytes(data[: int(at) if at < 0 else int(len(data) * at)])

    return spoil


def altered(role: str) -> Spoil:
    """Change one byte of a file of batch 1."""

    def spoil(bridge: Bridge) -> None:
        file = bridge.file(1, role)
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        file.write_bytes(bytes(data))

    return spoil


def swapped(bridge: Bridge) -> None:
    """Two files of batch 1 have each other's names."""
    one, other = bridge.file(1, "tickets"), bridge.file(1, "tenders")
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def manifest_of_another(bridge: Bridge) -> None:
    """The manifest of batch 2 stands under the name of batch 1 as well."""
    bridge.file(1, "manifest").write_bytes(bridge.file(2, "manifest").read_bytes())


def lost(role: str) -> Spoil:
    """A file of batch 1 is not there."""
    return lambda bridge: bridge.file(1, role).unlink()
