"""Takes stock that arrived into the hub's warehouses from a file, once, and gives backorders their turn.

A receipt is booked whole or not at all: every faulty line is named before anything touches stock. What the
hub changes by itself counts as a store of its own (`schema.HUB_STORE`), whose events tell of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from data_contracts.amounts import SCALE, format_amount, from_decimal
from data_contracts.codes import RmsCodes
from data_contracts.documents import sku_key
from data_contracts.errors import ConfigurationError, ContractBroken
from tasks import faults
from tasks.hub.allocating import Allocated, allocate, allocated_orders, lock_waiting_stores, plan
from tasks.hub.bulk import insert_one, load, stage_keys
from tasks.hub.database import Hub
from tasks.hub.events import EventLog
from tasks.hub.inbox import utc_now
from tasks.hub.known_products import find_products
from tasks.hub.ledger import MOVEMENT_COLUMNS
from tasks.hub.levels import Place, add_to_levels, read_levels
from tasks.hub.schema import HUB_STORE, products, receipts, stock_movements, warehouses
from tasks.settings import Settings

log = logging.getLogger(__name__)

COLUMNS = ("warehouse", "sku", "quantity")
CAUSE = "received"
RULE = "receipt"
POSTING = 1
"""A receipt is posted once and never revised."""
FAULTS_SHOWN = 20
"""Faulty lines that are explained one by one; of more than these the numbers are told."""
MAX_UNITS = 10**14 * SCALE
"""What no amount of 14 digits reaches, in ten-thousandths."""

_REFERENCE = re.compile(r"[\w .:#+-]{1,80}")
_QUANTITY = re.compile(r"(?P<whole>[0-9]+)(\.(?P<part>[0-9]+))?", re.ASCII)

faults.declare(
    "hub.receive.locked",
    "hub.receive.receipt",
    "hub.receive.movements",
    "hub.receive.allocated",
    "hub.receive.before_commit",
    "hub.receive.after_commit",
)


@dataclass(frozen=True)
class Received:
    """What a receipt brought. Units in ten-thousandths."""

    receipt: str
    lines: int
    units: int
    warehouses: tuple[str, ...]
    allocated: tuple[Allocated, ...] = ()
    """Backorders that were given of it, oldest first."""
    already: bool = False
    """It was received before; nothing was changed."""


class _Line(NamedTuple):
    """A line of the file; `number` counts the file's lines from 1."""

    number: int
    warehouse: str
    sku: str
    units: int


class _Fault(NamedTuple):
    line: int
    text: str


class _Receipt(NamedTuple):
    """A file that was read and held against nothing but itself."""

    name: str
    sha256: str
    file: Path
    lines: tuple[_Line, ...]
    faults: tuple[_Fault, ...]


def receive_stock(
    hub: Hub,
    settings: Settings,
    file: Path,
    *,
    reference: str | None = None,
    dry_run: bool = False,
    now: str | None = None,
) -> Received:
    """Book a CSV `warehouse,sku,quantity` as stock that arrived, then allocate what it brought.

    The receipt is named by `reference`, else by the file's content, and counts once. A dry run checks and
    works out the same and writes nothing. Raises `ContractBroken` (faulty lines, a reference that was used
    for another file), `ConfigurationError` (no such file, a reference that cannot be one), `HubUnavailable`.
    """
    receipt = _read(file, reference)
    at = now or utc_now()
    with hub.reading() as connection:
        known = _known(connection, receipt)
        if known is not None:
            return known
        lines = _resolve(connection, settings, receipt)
        received = _received(receipt, lines)
        if dry_run:
            arriving = _by_place(lines)
            planned = plan(connection, set(arriving), arriving=arriving)
            return replace(received, allocated=tuple(allocated_orders(connection, planned)))
    with hub.writing("hub.receive.before_commit", "hub.receive.after_commit") as connection:
        held = lock_waiting_stores(connection, HUB_STORE)
        faults.point("hub.receive.locked")
        known = _known(connection, receipt)  # another run may have come first
        if known is not None:
            return known
        _book(connection, receipt, lines, received, at)
        allocated = allocate(connection, held, now=at, only=set(_by_place(lines)))
        faults.point("hub.receive.allocated")
    log.info(
        "received %s: %d lines into %d warehouses, %d backorders given stock",
        received.receipt,
        received.lines,
        len(received.warehouses),
        len(allocated),
    )
    return replace(received, allocated=tuple(allocated))


def _book(
    connection: Connection, receipt: _Receipt, lines: Sequence[_Line], received: Received, at: str
) -> None:
    """The receipt, its movements, its levels, and the hub's own events."""
    arrived = _by_place(lines)
    faults.point("hub.receive.receipt")
    insert_one(
        connection,
        receipts,
        receipt=receipt.name,
        sha256=receipt.sha256,
        received_utc=at,
        lines=received.lines,
        units=received.units,
    )
    faults.point("hub.receive.movements")
    origin = _origin(receipt.name)
    movements = [
        (
            origin,
            POSTING,
            line.number,
            CAUSE,
            line.warehouse,
            line.sku,
            line.units,
            0,
            RULE,
            HUB_STORE,
            None,
            None,
            None,
            at,
        )
        for line in lines
    ]
    load(connection, stock_movements, MOVEMENT_COLUMNS, movements)
    events = EventLog(HUB_STORE, at, None)
    events.add(
        "stock_received",
        receipt=receipt.name,
        lines=received.lines,
        units=format_amount(received.units),
        warehouses=list(received.warehouses),
    )
    add_to_levels(connection, {place: (units, 0) for place, units in arrived.items()}, events)
    _refuse_overflow(connection, receipt, list(arrived))
    events.write(connection)


def _refuse_overflow(connection: Connection, receipt: _Receipt, places: list[Place]) -> None:
    """`ContractBroken` if a level has more digits now than an amount can have."""
    for (warehouse, sku), (physical, _) in sorted(read_levels(connection, places).items()):
        if physical >= MAX_UNITS:
            raise ContractBroken(
                f"{receipt.file} would bring the stock of `{sku}` in {warehouse} to more than 14 digits. "
                "Nothing was received; retrying cannot clear this.",
                next_step="correct the file",
                file=str(receipt.file),
            )


def _origin(receipt: str) -> str:
    # A reference has no `/`, so no document and no batch has such a name.
    return f"receipt/{receipt}"


def _known(connection: Connection, receipt: _Receipt) -> Received | None:
    """What was received under that name; `ContractBroken` if it was another file."""
    row = connection.execute(select(receipts).where(receipts.c.receipt == receipt.name)).one_or_none()
    if row is None:
        return None
    if row.sha256 != receipt.sha256:
        raise ContractBroken(
            f"Receipt `{receipt.name}` was received before, from a file with other content than "
            f"{receipt.file}. Nothing was received; retrying cannot clear this.",
            next_step="give this receipt another --reference, or name the file that was received",
            file=str(receipt.file),
            receipt=receipt.name,
        )
    m = stock_movements.c
    places = select(m.warehouse).where(m.origin == _origin(receipt.name)).distinct()
    found = tuple(sorted(connection.execute(places).scalars()))
    return Received(receipt.name, row.lines, row.units, found, already=True)


def _received(receipt: _Receipt, lines: Sequence[_Line]) -> Received:
    units = sum(line.units for line in lines)
    return Received(receipt.name, len(lines), units, tuple(sorted({line.warehouse for line in lines})))


def _by_place(lines: Sequence[_Line]) -> dict[Place, int]:
    """Units of each (warehouse, SKU)."""
    units: dict[Place, int] = {}
    for line in lines:
        place = (line.warehouse, line.sku)
        units[place] = units.get(place, 0) + line.units
    return units


def _resolve(connection: Connection, settings: Settings, receipt: _Receipt) -> list[_Line]:
    """The lines with the hub's own SKUs; `ContractBroken` names every line that is faulty."""
    ignore_case = settings.hub.skus_ignore_case
    known = {settings.hub.default_warehouse, *settings.warehouses}
    known |= set(connection.execute(select(warehouses.c.code)).scalars())
    skus = find_products(connection, (line.sku for line in receipt.lines), ignore_case=ignore_case)
    types = _item_types(connection, set(skus.values()))
    without_stock = _without_stock(settings)
    found: list[_Line] = []
    faulty: list[_Fault] = list(receipt.faults)
    for line in receipt.lines:
        sku = skus.get(sku_key(line.sku, ignore_case=ignore_case))
        wrong: list[str] = []
        if line.warehouse not in known:
            wrong.append(
                f"there is no warehouse `{line.warehouse}`; use one of {', '.join(sorted(known))}, or add "
                f"[warehouses.{line.warehouse}] to tillbridge.toml"
            )
        if sku is None:
            wrong.append(
                f"no product has `{line.sku}` as its SKU, alias or only UPC; correct it, or take the product "
                "in with `tillbridge import-catalog`"
            )
        elif types[sku] in without_stock:
            wrong.append(
                f"`{sku}` is of item type {types[sku]}, which has no stock; remove the line, or correct the "
                "product's type"
            )
        faulty += [_Fault(line.number, text) for text in wrong]
        if sku is not None and not wrong:
            found.append(line._replace(sku=sku))
    if faulty:
        raise _refusal(receipt.file, faulty)
    return found


def _item_types(connection: Connection, skus: set[str]) -> dict[str, int]:
    staged = stage_keys(connection, "staged_skus", skus)
    query = select(products.c.sku, products.c.item_type).join(staged, staged.c.key == products.c.sku)
    return dict(connection.execute(query).tuples().all())


def _without_stock(settings: Settings) -> frozenset[int]:
    """Item types that move no stock in any store; a type that moves stock in one of them can be received."""
    codes = [frozenset(store.codes.without_stock_item_types) for store in settings.stores.values()]
    return reduce(frozenset.intersection, codes) if codes else frozenset(RmsCodes().without_stock_item_types)


def _read(file: Path, reference: str | None) -> _Receipt:
    """The file and what of it is faulty in itself. Raises `ConfigurationError`, `ContractBroken`."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The receipt {file} cannot be read: {error.strerror}. Nothing was received.",
            next_step="name another file",
            file=str(file),
        ) from error
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"sha256:{sha256[:16]}" if reference is None else reference.strip()
    if _REFERENCE.fullmatch(name) is None:
        raise ConfigurationError(
            "A receipt cannot be named like that. Nothing was received.",
            next_step="give a --reference of 1 to 80 letters, digits, blanks and . : # + - _",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(
            file,
            [_Fault(data[: error.start].count(b"\n") + 1, "it is not UTF-8; save the file as CSV in UTF-8")],
        ) from error
    lines, faulty = _parse(file, text)
    return _Receipt(name, sha256, file, tuple(lines), tuple(faulty))


def _parse(file: Path, text: str) -> tuple[list[_Line], list[_Fault]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[_Line] = []
    faulty: list[_Fault] = []
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if tuple(header) != COLUMNS:
            said = f"its first line is not the header `{','.join(COLUMNS)}`"
            raise _refusal(file, [_Fault(1, f"{said}; write that line, with commas between the cells")])
        for cells in reader:
            if len(cells) < 2 and not "".join(cells).strip():  # an empty line says nothing
                continue
            read = _line(reader.line_num, cells)
            if isinstance(read, _Line):
                lines.append(read)
            else:
                faulty.append(read)
    except csv.Error as error:
        raise _refusal(
            file,
            [
                *faulty,
                _Fault(max(1, reader.line_num), f"it cannot be read ({error}); mend the quotes of that line"),
            ],
        ) from error
    if not lines and not faulty:
        raise _refusal(file, [_Fault(max(1, reader.line_num), "no line of goods follows; add what arrived")])
    if not text.endswith(("\n", "\r")):
        # Cut inside its last quantity, a file would look whole.
        end = "the file ends within this line and may be cut; if it is whole, end the line with a line break"
        faulty.append(_Fault(reader.line_num, end))
    if sum(line.units for line in lines) >= MAX_UNITS:
        faulty.append(
            _Fault(reader.line_num, "the units of all lines have more than 14 digits; correct them")
        )
    return lines, faulty


def _line(number: int, cells: Sequence[str]) -> _Line | _Fault:
    if len(cells) != len(COLUMNS):
        return _Fault(
            number, f"it has {len(cells)} cells instead of {len(COLUMNS)}; write warehouse, SKU and quantity"
        )
    if any("\0" in cell for cell in cells):
        return _Fault(number, "it holds a NUL character, so the file is damaged; write it anew")
    warehouse, sku, quantity = (cell.strip() for cell in cells)
    for name, cell in zip(COLUMNS, (warehouse, sku, quantity), strict=True):
        if not cell:
            return _Fault(number, f"`{name}` is empty; fill it in or remove the line")
    units = _units(quantity)
    return _Line(number, warehouse, sku, units) if isinstance(units, int) else _Fault(number, units)


def _units(quantity: str) -> int | str:
    """Ten-thousandths, or what is wrong with the quantity."""
    found = _QUANTITY.fullmatch(quantity.removeprefix("-"))
    if found is None:
        return "its quantity is no number; write it as 3 or 2.5"
    whole, part = found["whole"].lstrip("0"), found["part"] or ""
    if len(part) > 4:
        return "its quantity has more than four decimals; round it to four"
    if len(whole) > 14:
        return "its quantity has more than 14 digits; correct it"
    units = from_decimal(f"{whole or '0'}.{part or '0'}")
    if units == 0:
        return "its quantity is 0; remove the line"
    if quantity.startswith("-"):
        return "its quantity is negative, and goods that leave are no receipt; correct it or remove the line"
    return units


def _refusal(file: Path, faulty: Sequence[_Fault]) -> ContractBroken:
    ordered = sorted(faulty)
    said = "; ".join(f"line {line:,}: {text}" for line, text in ordered[:FAULTS_SHOWN])
    rest = sorted({line for line, _ in ordered[FAULTS_SHOWN:]})
    more = f"; faulty as well: lines {', '.join(f'{line:,}' for line in rest)}" if rest else ""
    return ContractBroken(
        f"The receipt {file} was refused: {said}{more}. Nothing was received; retrying cannot clear this.",
        next_step="correct the file and receive it again",
        file=str(file),
        faults=len(ordered),
    )
