"""Writes items, one product a transaction, row by row, because a shop's triggers may expect a single row.

Never a quantity, never a delete, nothing but `WRITABLE`. No OUTPUT, which triggers forbid (error 334): a new
ID comes from SCOPE_IDENTITY(). LastUpdated is the database server's own time, as RMS has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Table, Update, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from data_contracts.errors import ProductRefused
from data_contracts.manifest import ProductAnswer
from data_contracts.till_items import Entry, Policy, Product, refusal
from tasks import faults
from tasks.rms import tables as rms
from tasks.rms.connection import open_rms, row_refusal
from tasks.rms.item_filing import Reference
from tasks.rms.item_plan import ItemPlan, Known, plan_item
from tasks.rms.items import (
    REQUIRED,
    Directory,
    Filing,
    headquarters,
    look_up,
    read_filing,
    read_items,
    take_lock,
)
from tasks.rms.schema_guard import check_schema

faults.declare("rms.item.write", "rms.item.written", "rms.item.committed")

WRITABLE: dict[str, tuple[str, ...]] = {
    "Item": (
        *("ItemLookupCode", "Description", "ExtendedDescription", "SubDescription1", "SubDescription2"),
        *("SubDescription3", "Price", "PriceA", "PriceB", "PriceC", "MSRP", "Inactive", "Cost", "ItemType"),
        *("UnitOfMeasure", "DepartmentID", "CategoryID", "SupplierID", "TaxID", "Taxable"),
        *("DateCreated", "LastUpdated"),
    ),
    "Alias": ("ItemID", "Alias"),
    "Department": ("Name", "code"),
    "Category": ("DepartmentID", "Name", "Code"),
    "Supplier": ("SupplierName", "Code", "LastUpdated"),
    "SupplierList": ("ItemID", "SupplierID", "MasterPackQuantity", "Cost", "ReorderNumber"),
}
"""table -> the columns that tillbridge may write in a real RMS; every other one keeps RMS's own default."""

Stamp = datetime | ColumnElement[Any]


@contextmanager
def open_items(url: str, store: str) -> Iterator[Connection]:
    """A store's RMS, open for writing items and checked for what that needs; one run at a time.

    Errors as in `open_rms` and `check_schema`; `StoreUnavailable` if another run is at work.
    """
    with open_rms(url, store, writing=True) as connection:
        with connection.begin():
            check_schema(connection, store, REQUIRED)
        with connection.begin():
            take_lock(connection, store)
        yield connection


class ItemWriter:
    """A store's RMS while products are applied to it; with a dry run nothing is written."""

    def __init__(
        self, connection: Connection, policy: Policy, local: datetime, *, dry_run: bool = False
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._local = local
        self.dry_run = dry_run
        self._filing: Filing | None = None
        with connection.begin():
            self._headquarters = headquarters(connection)

    def apply(self, products: Sequence[Product]) -> list[ProductAnswer]:
        """An answer for each product, in their order."""
        if not products:
            return []
        if self._headquarters:
            return [self._refuse(product, self._under_headquarters(product)) for product in products]
        with self._connection.begin():
            codes = {code for product in products for code in (product.sku, *product.codes)}
            directory = look_up(self._connection, codes, {product.sku for product in products})
        keys = frozenset(product.key for product in products)
        return [self._apply_one(product, directory, keys) for product in products]

    def _apply_one(self, product: Product, directory: Directory, keys: frozenset[str]) -> ProductAnswer:
        try:
            if self._filing is None:
                with self._connection.begin():
                    self._filing = read_filing(self._connection)
            known = Known(directory, self._filing, keys)
            plan = plan_item(product, self._policy, known)
            if plan.state != "unchanged" and not self.dry_run:
                if plan.needs_filing:
                    self._filing = None  # read anew: there will be something new in it
                plan = write_product(self._connection, product, self._policy, plan, known, self._local)
            return answer(product, plan.state, plan.notes)
        except ProductRefused as error:
            return self._refuse(product, error)

    def _refuse(self, product: Product, error: ProductRefused) -> ProductAnswer:
        return answer(product, "refused", rule=error.rule, message=error.message, fix=error.next_step)

    def _under_headquarters(self, product: Product) -> ProductRefused:
        return refusal(
            "headquarters",
            f"Product `{product.sku}` was not written: this store is under Headquarters "
            f"({self._headquarters}), which owns its items; one made here would break its transfers.",
            "bring the product in at Headquarters by a worksheet, or stop sending products to this store",
        )


def answer(product: Product, state: str, notes: tuple[str, ...] = (), **why: str) -> ProductAnswer:
    """What became of a product."""
    return ProductAnswer.model_validate(
        {"sku": product.row["sku"], "revision": product.revision, "state": state, "notes": notes, **why}
    )


def now_in_rms(connection: Connection, local: datetime) -> Stamp:
    """What LastUpdated is set to: the server's clock on SQL Server, the store's local time elsewhere."""
    return func.getdate() if connection.dialect.name == "mssql" else local


def write_product(
    connection: Connection,
    product: Product,
    policy: Policy,
    plan: ItemPlan,
    known: Known,
    local: datetime,
) -> ItemPlan:
    """Carry out a plan in a transaction of its own and return what was really done.

    Decides anew over what is locked there: somebody may have been quicker. Raises `ProductRefused`, also
    when the database refuses the row (then nothing of the product was written), and SQLAlchemy's errors
    about the connection, which `open_rms` translates.
    """
    try:
        with connection.begin():
            faults.point("rms.item.write")
            directory, filing = known.directory, known.filing
            if plan.needs_codes:
                codes = (product.sku, *product.codes)
                directory = look_up(connection, codes, (product.sku,), locked=True)
            elif plan.item_id is not None:
                fresh = read_items(connection, (plan.item_id,), locked=True)
                directory = Directory(directory.holders, fresh)
            if plan.needs_filing:
                filing = read_filing(connection, locked=True)
            decided = plan_item(product, policy, replace(known, directory=directory, filing=filing))
            if decided.state != "unchanged":
                _write(connection, decided, now_in_rms(connection, local))
            faults.point("rms.item.written")
    except SQLAlchemyError as error:
        reason = row_refusal(error)
        if reason is None:
            raise
        raise refusal(
            "refused_by_rms",
            f"The RMS database refused product `{product.sku}` ({reason}): a trigger or constraint of the "
            "shop stands in the way. Nothing of it was written; the other products went on.",
            "have whoever looks after the shop's database see what refuses rows of Item or Alias, then send "
            "the product again",
        ) from error
    faults.point("rms.item.committed")
    return decided


def _write(connection: Connection, plan: ItemPlan, stamp: Stamp) -> None:
    values = dict(plan.values)
    department = _reference(connection, rms.department, plan.department, stamp)
    if department is not None:
        values["DepartmentID"] = department
    category = _reference(connection, rms.category, plan.category, stamp, DepartmentID=department)
    if category is not None:
        values["CategoryID"] = category
    supplier = _reference(connection, rms.supplier, plan.supplier, stamp)
    if supplier is not None:
        values["SupplierID"] = supplier
    if plan.tax_id is not None:
        values["TaxID"] = plan.tax_id
    item_id = plan.item_id
    if item_id is None:
        item_id = _new_id(
            connection, insert_row("Item", {**values, "DateCreated": stamp, "LastUpdated": stamp})
        )
    else:
        connection.execute(update_row("Item", item_id, {**values, "LastUpdated": stamp}))
    for code in plan.aliases:
        connection.execute(insert_row("Alias", {"ItemID": item_id, "Alias": code}))
    if plan.supplier_row is not None:
        row = {"ItemID": item_id, "SupplierID": supplier, **plan.supplier_row}
        connection.execute(insert_row("SupplierList", row))
    if plan.reorder is not None:
        row_id, number = plan.reorder
        connection.execute(update_row("SupplierList", row_id, {"ReorderNumber": number}))


def _reference(
    connection: Connection, table: Table, named: Reference, stamp: Stamp, **values: Any
) -> int | None:
    """The ID of a department, category or supplier, made first if it is not there yet."""
    if not isinstance(named, Entry):
        return named
    code, label = named.code, named.name or named.code
    columns = {
        "Department": {"code": code, "Name": label},
        "Category": {"Code": code, "Name": label, **values},
        "Supplier": {"Code": code, "SupplierName": label, "LastUpdated": stamp},
    }
    return _new_id(connection, insert_row(table.name, columns[table.name]))


def _new_id(connection: Connection, statement: Insert) -> int:
    key = connection.execute(statement).inserted_primary_key
    return int((key or (0,))[0])


def insert_row(table: str, values: dict[str, Any]) -> Insert:
    """One row of one of `WRITABLE`; KeyError for a column that is none of ours."""
    return insert(rms.metadata.tables[table]).values(_allowed(table, values))


def update_row(table: str, row_id: int, values: dict[str, Any]) -> Update:
    """Some columns of one row, by its primary key."""
    target = rms.metadata.tables[table]
    return update(target).filter_by(ID=row_id).values(_allowed(table, values))


def _allowed(table: str, values: dict[str, Any]) -> dict[str, Any]:
    if strangers := set(values) - set(WRITABLE[table]):
        raise KeyError(f"{table}.{sorted(strangers)[0]} is never written")
    return values


def try_rights(connection: Connection) -> None:
    """Try every statement's rights on no row at all, in a transaction that is rolled back.

    Raises what the database says if the login may not write there.
    """
    with connection.begin() as transaction:
        for name, columns in WRITABLE.items():
            table = rms.metadata.tables[name]
            chosen = [table.c[column] for column in columns]
            nowhere: ColumnElement[bool] = table.c["ID"] == -1
            connection.execute(insert(table).from_select(columns, select(*chosen).where(nowhere)))
            connection.execute(update(table).where(nowhere).values({column: column for column in chosen}))
        transaction.rollback()
