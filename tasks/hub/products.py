"""Takes the catalogue into the hub from a file. Exact prices; a product never loses its SKU."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Text, insert, select

from data_contracts.amounts import format_amount, from_decimal, parse_amount
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError
from tasks import faults
from tasks.hub.bulk import stage, upsert
from tasks.hub.database import Hub, lock_table
from tasks.hub.desk import catalog_version
from tasks.hub.inbox import utc_now
from tasks.hub.schema import HUB_STORE, catalogs, products, stores
from tasks.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("sku", "name", "upc", "price", "item_type", "active")
MAX_ITEM_TYPE = 32_767
"""RMS keeps it in two bytes."""
ACTIVE = {"true": True, "1": True, "yes": True, "": True, "false": False, "0": False, "no": False}

faults.declare("hub.catalog.before_commit", "hub.catalog.after_commit")


@dataclass(frozen=True)
class CatalogOutcome:
    """What a catalogue import did."""

    products: int
    cleared: int
    """Documents that left quarantine because of it."""


def import_catalog(
    hub: Hub, settings: Settings, path: str | Path, *, now: str | None = None
) -> CatalogOutcome:
    """Create and update products from a CSV file `sku,name,upc,price,item_type,active`.

    Prices are in money with up to four decimals. Products missing in the file stay as they are. Then the
    quarantine of every store is judged again. Raises `ConfigurationError` that names line and column.
    """
    rows = _read(Path(path), settings.hub.skus_ignore_case)
    with hub.writing("hub.catalog.before_commit", "hub.catalog.after_commit") as connection:
        at = now or utc_now()
        lock_table(connection, catalogs)
        _refuse_other_form(connection, rows)
        version = catalog_version(connection) + 1
        connection.execute(insert(catalogs).values(version=version, imported_utc=at, products=len(rows)))
        # The SKU as first shown stays: stock stands under it.
        upsert(
            connection,
            products,
            ("sku_key", *COLUMNS),
            rows,
            update=("name", "upc", "price", "item_type", "active"),
        )
        codes = select(stores.c.code).where(stores.c.code != HUB_STORE).order_by(stores.c.code)
        known = [code for (code,) in connection.execute(codes)]
    log.info("imported a catalogue of %d products", len(rows))
    from tasks.hub.importer import recheck_quarantine

    cleared = sum(
        recheck_quarantine(hub, settings, code, now=now) for code in known if code in settings.stores
    )
    return CatalogOutcome(len(rows), cleared)


def _refuse_other_form(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """`skus_ignore_case` may not change under a catalogue: stock stands under the SKU's first form."""
    staged = stage(connection, "staged_skus", {"sku_key": Text(), "sku": Text()}, [row[:2] for row in rows])
    clash = connection.execute(
        select(products.c.sku)
        .join(staged, staged.c.sku == products.c.sku)
        .where(staged.c.sku_key != products.c.sku_key)
        .order_by(products.c.sku)
        .limit(1)
    ).scalar_one_or_none()
    if clash is not None:
        raise ConfigurationError(
            f"SKU `{clash}` is in the hub by another way of comparing SKUs. Nothing was imported; retrying "
            "cannot clear this.",
            next_step="set `skus_ignore_case` in [hub] of tillbridge.toml back to what it was",
            sku=clash,
        )


def _read(path: Path, ignore_case: bool) -> list[tuple[Any, ...]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"The catalogue {path} cannot be read: {error.strerror}.", next_step="name another file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"The catalogue {path} is not UTF-8.", next_step="save it as UTF-8"
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [name for name in COLUMNS[:1] if name not in (reader.fieldnames or ())]
    unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
    if missing or unknown:
        raise _wrong(
            path, 1, f"has the header {', '.join(reader.fieldnames or ())}", f"use {','.join(COLUMNS)}"
        )
    found: dict[str, tuple[Any, ...]] = {}
    try:
        for cells in reader:
            row = _product(path, reader.line_num, cells, ignore_case)
            if row[0] in found:
                raise _wrong(path, reader.line_num, f"gives SKU `{row[1]}` a second time", "keep one of them")
            found[row[0]] = row
    except csv.Error as error:
        raise _wrong(path, reader.line_num, f"cannot be read ({error})", "mend that line") from error
    return [found[key] for key in sorted(found)]


def _product(path: Path, line: int, cells: dict[str, Any], ignore_case: bool) -> tuple[Any, ...]:
    if None in cells or None in cells.values():
        raise _wrong(path, line, "has too many or too few cells", "mend that line")
    sku = cells["sku"].strip()
    if not sku:
        raise _wrong(path, line, "has no SKU", "give the product a SKU or remove the line")
    try:
        price = from_decimal(cells.get("price", "").strip() or "0")
        parse_amount(format_amount(price))  # what no column can hold is no amount
    except (ValueError, ArithmeticError) as error:
        raise _wrong(path, line, "has a price that is no exact amount", "write it as 12.50") from error
    kind = cells.get("item_type", "").strip() or "0"
    active = cells.get("active", "").strip().lower()
    if not (kind.isascii() and kind.isdigit() and int(kind) <= MAX_ITEM_TYPE):
        raise _wrong(
            path, line, "has an item_type that is no whole number", "write RMS's number, 0 for standard"
        )
    if active not in ACTIVE:
        raise _wrong(path, line, "says neither true nor false in `active`", "write true or false")
    key = sku_key(sku, ignore_case=ignore_case)
    upc = sku_key(cells.get("upc", "").strip(), ignore_case=ignore_case)
    return (key, sku, cells.get("name", "").strip() or sku, upc, price, int(kind), ACTIVE[active])


def _wrong(path: Path, line: int, what: str, fix: str) -> ConfigurationError:
    return ConfigurationError(
        f"The catalogue {path}, line {line}, {what}. Nothing was imported; retrying cannot clear this.",
        next_step=fix,
        file=str(path),
        line=line,
    )
