"""A store with its RMS database and an empty exchange folder, and what its exchange says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.documents import FILES
from data_contracts.frames import read_rows, typed
from data_contracts.manifest import Head, Manifest
from tasks.exchange import batches
from tasks.exchange.local import LocalFolder
from tasks.settings import Settings, StoreSettings
from tasks.use_cases.baselining import baseline_store
from tasks.use_cases.exporting import ExportReport, export_orders
from tests.rms_database import RMS_VARIABLE, Till, rms_url


@dataclass
class Shop:
    """A store under test; its clock moves only when told."""

    till: Till
    folder: LocalFolder
    settings: Settings
    clock: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 13, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.clock

    def wait(self, minutes: int) -> None:
        self.clock += timedelta(minutes=minutes)

    def configure(self, **store: Any) -> None:
        changed = self.settings.stores["S1"].model_copy(update=store)
        self.settings = self.settings.model_copy(update={"stores": {"S1": changed}})

    def baseline(self, **options: Any) -> None:
        baseline_store(self.settings, "S1", now=self.now, **options)

    def export(self, **options: Any) -> ExportReport:
        return export_orders(self.settings, "S1", now=self.now, **options)

    def head(self) -> Head:
        head = batches.newest_position(self.folder, "S1", "orders")
        assert head is not None
        return head

    def manifests(self, stream: str = "orders") -> list[Manifest]:
        waiting = batches.waiting_batches(self.folder, "S1", stream)
        return [batches.fetch_manifest(self.folder, "S1", stream, *names) for names in waiting]

    def read(self, manifest: Manifest, *roles: str) -> dict[str, pd.DataFrame]:
        """The typed files of a batch, by role; all of them unless some are named."""
        files = batches.fetch_files(self.folder, manifest)
        frames = {}
        for role, columns in FILES[manifest.stream].items():
            if roles and role not in roles:
                continue
            frames[role], faults = typed(read_rows(files[role], columns, role), columns)
            assert faults.empty
        return frames

    def published(self) -> dict[int, list[str]]:
        """number -> its revisions in the order of their batches."""
        found: dict[int, list[str]] = {}
        for manifest in self.manifests():
            tickets = self.read(manifest, "tickets")["tickets"]
            for number, revision in zip(tickets["number"], tickets["revision"], strict=True):
                found.setdefault(number, []).append(revision)
        return found

    def snapshots(self) -> dict[int, list[dict[str, Any]]]:
        """number -> the headers of its order snapshots in the order of their batches."""
        found: dict[int, list[dict[str, Any]]] = {}
        for manifest in self.manifests():
            for row in self.read(manifest, "orders")["orders"].to_dict("records"):
                found.setdefault(row["number"], []).append({str(name): value for name, value in row.items()})
        return found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A store that holds no ticket and has no baseline."""
    yield from make_shop(request.param, tmp_path)


@pytest.fixture
def small_shop(tmp_path: Path) -> Iterator[Shop]:
    """The same on SQLite only, where the kind of database does not matter."""
    yield from make_shop("sqlite", tmp_path)


def make_shop(kind: str, tmp_path: Path) -> Iterator[Shop]:
    with rms_url(kind, tmp_path) as url:
        if url is None:
            pytest.skip(f"{RMS_VARIABLE} names no server")
        opened = open_shop(url, tmp_path)
        opened.till.create()
        yield opened


def open_shop(url: str, folder: Path) -> Shop:
    """The shop of an RMS database, with its exchange in a folder."""
    store = StoreSettings.model_validate({"rms_url": url, "time_zone": "Europe/London"})
    settings = Settings.model_validate(
        {"folder": folder, "stores": {"S1": store}, "exchange": {"url": "exchange"}}
    )
    return Shop(Till(url), LocalFolder(folder / "exchange"), settings)


def copy_shop(template: Path, folder: Path) -> Shop:
    """A copy of a shop on SQLite that stands in a folder."""
    shutil.copytree(template, folder)
    return open_shop(f"sqlite:///{folder / 'rms.db'}", folder)
