"""Reads what a product is compared with: items, the codes they go by, and how a shop files its goods.

Codes compare without regard to case and to blanks at the end, over Item and Alias together. A `locked` read
holds what it found, and the places where nothing was found, until its transaction ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, false, func, or_, select, text

from data_contracts.documents import sku_key
from data_contracts.errors import StoreUnavailable
from tasks.rms import tables as rms
from tasks.rms.dialects import Money, ten_thousandths

HOLD = "WITH (UPDLOCK, HOLDLOCK)"
"""SQL Server: nobody else writes what was read, nor into the gaps, until the transaction ends."""

CODES_IN_STATEMENT = 400
"""Codes asked for at once; each is two of the 2,100 parameters that SQL Server takes."""

LOCK_NAME = "tillbridge-products"
"""Name of the lock that lets one run at a time write items."""

ITEM_FIELDS = (
    *("ItemLookupCode", "Description", "ExtendedDescription", "SubDescription1", "SubDescription2"),
    *("SubDescription3", "Price", "PriceA", "PriceB", "PriceC", "MSRP", "Cost", "ItemType"),
    *("UnitOfMeasure", "DepartmentID", "CategoryID", "SupplierID", "TaxID", "Taxable", "Inactive"),
)
"""Columns of Item that products are compared with."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "Item": ("ID", *ITEM_FIELDS, "HQID", "DateCreated", "LastUpdated", "DBTimeStamp"),
    "Alias": ("ID", "ItemID", "Alias"),
    "Department": ("ID", "Name", "code"),
    "Category": ("ID", "DepartmentID", "Name", "Code"),
    "Supplier": ("ID", "SupplierName", "Code"),
    "SupplierList": ("ID", "ItemID", "SupplierID", "MasterPackQuantity", "Cost", "ReorderNumber"),
    "ItemTax": ("ID", "Code"),
    "Configuration": ("SyncID", "HQCreationDate"),
}
"""Every column that is read or written here; all of them stand in `tables.READABLE`."""


class Holder(NamedTuple):
    """An item that goes by some code."""

    item_id: int
    is_alias: bool
    """Whether by an alias; else by its ItemLookupCode."""
    label: str
    """Its ItemLookupCode; empty for an alias of an item that is gone."""


@dataclass(frozen=True)
class SupplierRow:
    """A row of SupplierList."""

    id: int
    supplier_id: int
    reorder_number: str


@dataclass(frozen=True)
class TillItem:
    """An item as the till has it."""

    id: int
    values: Mapping[str, Any]
    """By `ITEM_FIELDS`: texts without blanks at the end, money in ten-thousandths."""
    suppliers: tuple[SupplierRow, ...] = ()


@dataclass(frozen=True)
class Directory:
    """What the till knows of some codes."""

    holders: Mapping[str, Sequence[Holder]]
    """Key of a code -> who goes by it."""
    items: Mapping[int, TillItem]
    """The items whose own code, or alias, was asked for."""


@dataclass(frozen=True)
class Filed:
    """A department, category or supplier of the shop."""

    id: int
    code: str
    name: str
    department_id: int = 0
    """Of a category: the department it belongs to."""


@dataclass(frozen=True)
class Filing:
    """How the shop files its goods."""

    departments: tuple[Filed, ...] = ()
    categories: tuple[Filed, ...] = ()
    suppliers: tuple[Filed, ...] = ()
    taxes: tuple[Filed, ...] = ()
    """ItemTax: id and code."""
    untaxed: frozenset[bool] = field(default_factory=frozenset)
    """Item.Taxable of the active items that have no tax code (TaxID 0)."""


def take_lock(connection: Connection, store: str) -> None:
    """Be the only run that writes this store's items, until the connection closes.

    `StoreUnavailable` if another one is at work. SQLite knows no such lock; a sample store does without.
    """
    name = connection.dialect.name
    if name == "mssql":
        taken = connection.execute(_APPLICATION_LOCK).scalar_one() >= 0
    elif name == "postgresql":
        taken = connection.execute(_ADVISORY_LOCK).scalar_one()
    else:
        return
    if not taken:
        raise StoreUnavailable(
            f"Another run is applying products to store `{store}`. Nothing was changed; retrying may help.",
            next_step="nothing: that run, or the next one, takes what waits",
            store=store,
        )


_APPLICATION_LOCK = text(
    "SET NOCOUNT ON; DECLARE @taken int; "
    f"EXEC @taken = sp_getapplock @Resource = '{LOCK_NAME}', @LockMode = 'Exclusive', "
    "@LockOwner = 'Session', @LockTimeout = 0; SELECT @taken"
)
_ADVISORY_LOCK = text(f"SELECT pg_try_advisory_lock(hashtextextended('{LOCK_NAME}/' || current_schema(), 0))")


def headquarters(connection: Connection) -> str:
    """What says that Headquarters owns the items, in words; empty for a store that stands alone."""
    c, i = rms.configuration.c, rms.item.c
    for sync_id, created in connection.execute(select(c.SyncID, c.HQCreationDate)):
        if sync_id:
            return f"Configuration.SyncID is {sync_id}"
        if created is not None:
            return "Configuration.HQCreationDate is set"
    if connection.execute(select(i.ID).where(i.HQID != 0).limit(1)).first() is not None:
        return "items carry an HQID"
    return ""


def look_up(
    connection: Connection, codes: Collection[str], own: Collection[str], *, locked: bool = False
) -> Directory:
    """Who goes by some `codes` (SKUs, barcodes), and the items that go by one of `own`, SKUs among them."""
    if locked and connection.dialect.name == "postgresql":
        lock_tables(connection, rms.item, rms.alias)
    holders: dict[str, list[Holder]] = {}
    for chunk in _chunks(sorted(set(codes))):
        for query, is_alias in ((lookup_codes(chunk, locked), False), (aliases(chunk, locked), True)):
            for item_id, code, label in connection.execute(query):
                holder = Holder(item_id, is_alias, (label or "").rstrip())
                holders.setdefault(sku_key(code), []).append(holder)
    wanted = {holder.item_id for code in own for holder in holders.get(sku_key(code), ())}
    return Directory(holders, read_items(connection, wanted, locked=locked))


def lookup_codes(codes: Sequence[str], locked: bool) -> Select[Any]:
    """Items whose ItemLookupCode is one of some codes."""
    i = rms.item.c
    query = select(i.ID, i.ItemLookupCode, i.ItemLookupCode.label("label"))
    query = query.where(_is_one_of(i.ItemLookupCode, codes)).order_by(i.ID)
    return query.with_hint(rms.item, HOLD, "mssql") if locked else query


def aliases(codes: Sequence[str], locked: bool) -> Select[Any]:
    """Aliases that are one of some codes, with the item's own code."""
    a, i = rms.alias.c, rms.item.c
    query = select(a.ItemID, a.Alias, i.ItemLookupCode.label("label"))
    query = query.select_from(rms.alias.outerjoin(rms.item, a.ItemID == i.ID))
    query = query.where(_is_one_of(a.Alias, codes)).order_by(a.ID)
    return query.with_hint(rms.alias, HOLD, "mssql") if locked else query


def _is_one_of(column: ColumnElement[str], codes: Sequence[str]) -> ColumnElement[bool]:
    """Whether a code is one of some, whatever the collation; as it is spelled, an index can serve."""
    keys = sorted({sku_key(code) for code in codes})
    return or_(column.in_(list(codes)), func.upper(func.rtrim(column)).in_(keys))


def read_items(connection: Connection, ids: Collection[int], *, locked: bool = False) -> dict[int, TillItem]:
    """Some items by their ID, with their suppliers."""
    found: dict[int, TillItem] = {}
    for chunk in _chunks(sorted(ids)):
        suppliers: dict[int, list[SupplierRow]] = {}
        for row_id, item_id, supplier_id, number in connection.execute(supplier_rows(chunk)):
            supplier = SupplierRow(row_id, supplier_id, (number or "").rstrip())
            suppliers.setdefault(item_id, []).append(supplier)
        for row in connection.execute(item_rows(chunk, locked)).mappings():
            values = {name: _plain(row[name]) for name in ITEM_FIELDS}
            found[row["ID"]] = TillItem(row["ID"], values, tuple(suppliers.get(row["ID"], ())))
    return found


def item_rows(ids: Sequence[int], locked: bool) -> Select[Any]:
    """Items by primary key."""
    columns = [_exact(rms.item.c[name]).label(name) for name in ITEM_FIELDS]
    query = select(rms.item.c.ID, *columns).where(rms.item.c.ID.in_(ids))
    return query.with_hint(rms.item, HOLD, "mssql").with_for_update() if locked else query


def supplier_rows(ids: Sequence[int]) -> Select[Any]:
    """Rows of SupplierList by item."""
    s = rms.supplier_list.c
    return select(s.ID, s.ItemID, s.SupplierID, s.ReorderNumber).where(s.ItemID.in_(ids)).order_by(s.ID)


def read_filing(connection: Connection, *, locked: bool = False) -> Filing:
    """Departments, categories, suppliers and item taxes; small tables, read whole."""
    if locked and connection.dialect.name == "postgresql":
        lock_tables(connection, rms.department, rms.category, rms.supplier)
    d, c, s, t, i = (
        rms.department.c,
        rms.category.c,
        rms.supplier.c,
        rms.item_tax.c,
        rms.item.c,
    )
    queries = (
        select(d.ID, d.code, d.Name).order_by(d.ID),
        select(c.ID, c.Code, c.Name, c.DepartmentID).order_by(c.ID),
        select(s.ID, s.Code, s.SupplierName).order_by(s.ID),
    )
    if locked:
        of = (rms.department, rms.category, rms.supplier)
        queries = tuple(q.with_hint(table, HOLD, "mssql") for q, table in zip(queries, of, strict=True))  # type: ignore[assignment]
    departments, categories, suppliers = (_filed(connection, query) for query in queries)
    taxes = _filed(connection, select(t.ID, t.Code, t.Code).order_by(t.ID))
    untaxed = connection.scalars(select(i.Taxable).where(i.TaxID == 0, i.Inactive == false()).distinct())
    return Filing(departments, categories, suppliers, taxes, frozenset(bool(value) for value in untaxed))


def lock_tables(connection: Connection, *tables: Table) -> None:
    """PostgreSQL: nobody else writes to these until the transaction ends, as HOLDLOCK has it for a scan."""
    for table in tables:
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")


def _filed(connection: Connection, query: Select[Any]) -> tuple[Filed, ...]:
    return tuple(
        Filed(row[0], (row[1] or "").rstrip(), (row[2] or "").rstrip(), *row[3:])
        for row in connection.execute(query)
    )


def _exact(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return ten_thousandths(column) if isinstance(column.type, Money) else column


def _plain(value: Any) -> Any:
    return value.rstrip() if isinstance(value, str) else ("" if value is None else value)


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), CODES_IN_STATEMENT):
        yield values[start : start + CODES_IN_STATEMENT]
