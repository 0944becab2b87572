"""A hub with stores, a catalogue and batches made in one call, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from sqlalchemy import text

from data_contracts.catalog_check import CatalogVerdict
from data_contracts.documents import FILES, HISTORY_RANGES, OPENING_STOCK, STREAM_BASELINE, STREAM_ORDERS
from data_contracts.frames import read_rows, write_csv
from data_contracts.manifest import BatchFile, EpochStart, Manifest, Mark, Position, Reason
from data_contracts.quarantine import Verdict
from tasks.hub.advancing import Advanced, advance
from tasks.hub.database import Hub, migrate, open_hub
from tasks.hub.importer import import_batch
from tasks.hub.inbox import BatchOutcome, store_verdict
from tasks.hub.products import import_catalog
from tasks.hub.proofs import prove
from tasks.hub.registry import configure
from tasks.settings import Settings
from tests.documents import Frames, Ticket, make_batch, to_rows

SKUS = ("SKU-1", "SKU-2", "SKU-3")
NOW = "2026-11-24T06:00:00.000Z"


def make_settings(**sections: Any) -> Settings:
    """Stores S1 and S2, S1 with a warehouse of its own."""
    defaults: dict[str, Any] = {
        "warehouses": {"W1": {"name": "Shop one"}, "BACK": {"sellable": False}},
        "stores": {"S1": {"warehouse": "W1"}, "S2": {}},
    }
    return Settings.model_validate(defaults | sections)


class World:
    """A configured hub; `orders` imports tickets as a batch."""

    def __init__(self, hub: Hub, folder: Path, **sections: Any) -> None:
        self.hub, self.folder = hub, folder
        self.settings = make_settings(**sections)
        configure(hub, self.settings)

    def catalog(self, skus: Iterable[str] = SKUS) -> int:
        """Import a catalogue of these SKUs; returns what left quarantine."""
        file = self.folder / "catalog.csv"
        lines = ["sku,name,upc,price,item_type,active", *(f"{sku},{sku},,9.99,0,true" for sku in skus)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return import_catalog(self.hub, self.settings, file, check=nothing_refused, now=NOW).cleared

    def baseline(
        self,
        stock: dict[str, str] | None = None,
        *,
        store: str = "S1",
        history: tuple[int, int] | None = None,
        sequence: int = 1,
        epochs: tuple[EpochStart, ...] = (EpochStart(epoch=1),),
    ) -> BatchOutcome:
        """Import a baseline with opening stock and the numbers of history."""
        frames = {
            "opening_stock": typed_frame(
                [
                    {"store": store, "sku": sku, "item_type": 0, "quantity": units(quantity)}
                    for sku, quantity in (stock or {}).items()
                ],
                OPENING_STOCK,
            ),
            "history_ranges": typed_frame(
                [{"store": store, "source": "ticket", "first_number": history[0], "last_number": history[1]}]
                if history
                else [],
                HISTORY_RANGES,
            ),
        }
        position = Position(
            start=Mark(rowversion=500, ticket_number=history[1] if history else 0), epochs=epochs
        )
        return self.take(frames, STREAM_BASELINE, sequence, store=store, position=position)

    def ready(self, stock: dict[str, str] | None = None, **options: Any) -> World:
        """Catalogue and baselines of both stores."""
        self.catalog()
        self.baseline(stock, **options)
        self.baseline(store="S2")
        return self

    def orders(
        self, *documents: Ticket, sequence: int = 1, store: str = "S1", **manifest: Any
    ) -> BatchOutcome:
        """Import tickets and orders as one batch."""
        return self.take(make_batch(documents), STREAM_ORDERS, sequence, store=store, **manifest)

    def advance(
        self, kind: str = "layaway", *, store: str = "S1", now: str = NOW, **options: Any
    ) -> Advanced:
        """Apply what waits of a store's layaways or backorders."""
        return advance(self.hub, self.settings, store, kind, now=now, **options)

    def prove(self, store: str = "S1") -> list[str]:
        """What does not add up inside the hub."""
        with self.hub.reading() as connection:
            return prove(connection, store)

    def take(
        self,
        frames: Frames,
        stream: str,
        sequence: int,
        *,
        store: str = "S1",
        refused: dict[str, str] | None = None,
        **fields: Any,
    ) -> BatchOutcome:
        """Import frames as a batch whose contract refused these documents: {document: rule}."""
        rows = to_rows(frames, stream)
        manifest = make_manifest(frames, stream, sequence, store=store, **fields)
        verdict = verdict_of(manifest, refused)
        store_verdict(self.hub, manifest, verdict)
        return import_batch(self.hub, self.settings, manifest, rows, now=NOW)

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of a query, numbers as Decimal with four places where they have any."""
        with self.hub.reading() as connection:
            found = connection.execute(text(query), parameters)
            return [tuple(plain(cell) for cell in row) for row in found]

    def levels(self, sku: str = "SKU-1", warehouse: str = "W1") -> tuple[str, str]:
        """(physical, reserved) units of a SKU in a warehouse."""
        query = "SELECT physical, reserved FROM reporting_stock WHERE sku = :sku AND warehouse = :warehouse"
        ((physical, reserved),) = self.rows(query, sku=sku, warehouse=warehouse)
        return physical, reserved

    def stock(self) -> dict[tuple[str, str], str]:
        """(warehouse, SKU) -> physical units."""
        query = "SELECT warehouse, sku, physical FROM reporting_stock"
        return {(warehouse, sku): physical for warehouse, sku, physical in self.rows(query)}


def make_ready(url: str) -> None:
    """Fill an empty database with a hub that is `World.ready`."""
    migrate(url)
    with TemporaryDirectory() as folder, open_hub(url) as hub:
        World(hub, Path(folder)).ready()


def nothing_refused(*_rows: object, **_known: object) -> CatalogVerdict:
    """The verdict of a contract that every product of a catalogue passes."""
    return CatalogVerdict({}, {})


def verdict_of(manifest: Manifest, refused: dict[str, str] | None = None) -> Verdict:
    """The verdict of a contract that refuses these documents and no other."""
    return Verdict(
        batch=manifest.path,
        contract="test",
        state="checked",
        documents=manifest.documents,
        reasons=tuple(
            Reason(document=document, rule=rule, message=f"{document} breaks {rule}.", fix="mend it")
            for document, rule in (refused or {}).items()
        ),
    )


def plain(cell: Any) -> Any:
    """Amounts of both dialects as the same text: 12.5 and Decimal('12.5000') are `12.50`."""
    if isinstance(cell, float | Decimal):
        return (
            f"{Decimal(str(cell)):.2f}" if Decimal(str(cell)) * 100 % 1 == 0 else f"{Decimal(str(cell)):.4f}"
        )
    return cell


def units(text_of: str) -> int:
    """Ten-thousandths."""
    return int(Decimal(text_of).scaleb(4))


def typed_frame(rows: list[dict[str, Any]], columns: dict[str, Any]) -> pd.DataFrame:
    """A frame with the dtypes of its columns."""
    dtypes = {"integer": "int64", "amount": "int64", "boolean": "bool"}
    return pd.DataFrame(
        {
            name: pd.Series([row[name] for row in rows], dtype=dtypes.get(kind, "str"))
            for name, kind in columns.items()
        }
    )


def make_manifest(
    frames: Frames, stream: str, sequence: int, *, store: str = "S1", **fields: Any
) -> Manifest:
    """A true manifest of these frames."""
    files = []
    for role, columns in FILES[stream].items():
        data = write_csv(frames[role], columns)
        assert len(read_rows(data, columns, role)) == len(frames[role])
        digest = hashlib.sha256(data).hexdigest()
        name = f"{role}.csv"
        files.append(BatchFile(role=role, name=name, rows=len(frames[role]), bytes=len(data), sha256=digest))
    tickets, orders = frames.get("tickets"), frames.get("orders")
    defaults: dict[str, Any] = {
        "program_version": "0.1.0",
        "store": store,
        "epoch": 1,
        "stream": stream,
        "sequence": sequence,
        "batch_id": hashlib.sha256(f"{store}{stream}{sequence}".encode()).hexdigest()[:12],
        "created_utc": "2026-11-23T20:00:00.000Z",
        "files": tuple(files),
        "documents": sum(len(headers) for headers in (tickets, orders) if headers is not None),
        "units": 0 if tickets is None else int(tickets["units"].sum()),
        "money": 0 if tickets is None else int(tickets["total"].sum()),
        "orders": 0 if orders is None else len(orders),
        "deposits": 0 if orders is None else int(orders["deposit_changes"].sum()),
    }
    return Manifest(**(defaults | fields))
