"""Decides what of a product is to be written into RMS, by what the till has. Reads and writes nothing itself.

The same decision is made twice: over everything a batch names, and again for one product inside the
transaction that writes it, over what is locked there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from data_contracts.documents import sku_key
from data_contracts.till_items import (
    MONEY,
    REORDER_LENGTH,
    Entry,
    Policy,
    Product,
    check_sku,
    fit,
    is_cut_name,
    keep_whole_name,
    length,
    one_line,
    refusal,
    show_value,
)
from tasks.rms.item_filing import Reference, find_department_and_category, find_supplier, find_tax
from tasks.rms.items import Directory, Filing, Holder, TillItem


@dataclass(frozen=True)
class ItemPlan:
    """What is to be written of one product; nothing if it is unchanged."""

    state: Literal["created", "updated", "unchanged"]
    item_id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """Columns of Item, without the references."""
    department: Reference = None
    category: Reference = None
    supplier: Reference = None
    tax_id: int | None = None
    aliases: tuple[str, ...] = ()
    supplier_row: dict[str, Any] | None = None
    """A row of SupplierList to be added for `supplier`, without its keys."""
    reorder: tuple[int, str] | None = None
    """ID of a row of SupplierList and its new ReorderNumber."""
    notes: tuple[str, ...] = ()

    @property
    def needs_codes(self) -> bool:
        """Whether a code is taken into use, so that nobody else may take it meanwhile."""
        return self.state == "created" or bool(self.aliases)

    @property
    def needs_filing(self) -> bool:
        """Whether a department, category or supplier is made, likewise."""
        return any(isinstance(named, Entry) for named in (self.department, self.category, self.supplier))


@dataclass(frozen=True)
class Known:
    """By what a plan is made."""

    directory: Directory
    """Knows the SKU and the codes of the product."""
    filing: Filing
    products: frozenset[str] = frozenset()
    """Keys of the products that come along."""


def plan_item(product: Product, policy: Policy, known: Known) -> ItemPlan:
    """What is to be done about a product; raises `ProductRefused` with rule and fix."""
    check_sku(product)
    holder = _find(product, known.directory)
    if holder is None:
        return _create(product, policy, known.directory, known.filing)
    if holder.is_alias and sku_key(holder.label) in known.products:
        raise refusal(
            "sku_is_alias",
            f"`{product.sku}` is an alias of item `{holder.label}` at the till, which is another product of "
            "the hub: one item cannot be two products.",
            f"take the code `{product.sku}` from `{holder.label}` in the hub, delete the alias in RMS, then "
            "send the product again",
        )
    return _update(product, policy, known.directory, known.filing, holder)


def _find(product: Product, directory: Directory) -> Holder | None:
    """The item that goes by the SKU: by its own code before an alias; never by a barcode."""
    holders = directory.holders.get(product.key, ())
    own = [holder for holder in holders if not holder.is_alias]
    found = {holder.item_id: holder for holder in (own or holders)}
    if len(found) > 1:
        raise refusal(
            "sku_ambiguous",
            f"{len(found)} items of the till go by the code `{product.sku}`, so nothing says which is meant.",
            "give all but one of them another code in RMS and send the product again",
        )
    return next(iter(found.values()), None)


# -- a new item ---------------------------------------------------------------------------------------
def _create(product: Product, policy: Policy, directory: Directory, filing: Filing) -> ItemPlan:
    if not product.row["active"]:
        return ItemPlan("unchanged", notes=("Inactive and not at the till: it was not created.",))
    fitted = fit(product, policy, creating=True)
    notes = list(fitted.notes)
    for code in fitted.codes:
        if others := directory.holders.get(sku_key(code)):
            raise refusal(
                "code_taken",
                f"The till has no item `{product.sku}`, but its code `{code}` is the code of "
                f"{_named(others)}.",
                f"if they are the same goods, give that item the alias `{product.sku}` in RMS; if not, "
                "correct the code in the hub; then send the product again",
            )
    tax_id = find_tax(product, policy, filing, notes, creating=True)
    department, category = find_department_and_category(product, policy, filing, notes, None)
    supplier = find_supplier(product, policy, filing, notes, creating=True)
    return ItemPlan(
        "created",
        values=dict(fitted.values),
        department=department,
        category=category,
        supplier=supplier,
        tax_id=tax_id,
        aliases=fitted.codes,
        supplier_row=_supplier_row(product, policy, notes) if supplier else None,
        notes=tuple(notes),
    )


# -- an item that the till has --------------------------------------------------------------------------
def _update(
    product: Product, policy: Policy, directory: Directory, filing: Filing, holder: Holder
) -> ItemPlan:
    item = directory.items.get(holder.item_id)
    if item is None:
        raise refusal(
            "alias_astray",
            f"`{product.sku}` is the code of item number {holder.item_id}, which RMS no longer has.",
            "delete the alias in RMS and send the product again",
        )
    fitted = fit(product, policy, creating=False)
    notes = list(fitted.notes)
    if holder.is_alias:
        notes.append(f"`{product.sku}` is an alias of item `{holder.label}` at the till: that is the item.")
    values = dict(fitted.values)
    shown, text = item.values["Description"], item.values["ExtendedDescription"]
    renamed = values.get("Description", shown) != shown and is_cut_name(shown, text)
    if policy.writes("ExtendedDescription", creating=False) and (renamed or not text):
        values.setdefault("ExtendedDescription", "")
        keep_whole_name(product, values, notes)
    differing = {name: value for name, value in values.items() if item.values[name] != value}
    notes += [
        f"{name} was {show_value(item.values[name])} at the till, is {show_value(value)} now."
        for name, value in differing.items()
        if name in MONEY or isinstance(value, bool)
    ]
    if policy.writes("Price", creating=False) and not product.row["price"] and item.values["Price"]:
        notes.append(f"The hub has no price: the till keeps {show_value(item.values['Price'])}.")
    tax_id = find_tax(product, policy, filing, notes, creating=False)
    department, category = find_department_and_category(product, policy, filing, notes, item)
    supplier = find_supplier(product, policy, filing, notes, creating=False)
    row, reorder = _supplier_of(product, policy, supplier, item, notes)
    plan = ItemPlan(
        "updated",
        item_id=item.id,
        values=differing,
        # A category that is made needs to know its department.
        department=department
        if isinstance(category, Entry)
        else _unless(department, item.values["DepartmentID"]),
        category=_unless(category, item.values["CategoryID"]),
        supplier=_unless(supplier, item.values["SupplierID"]) if row is None else supplier,
        tax_id=None if tax_id == item.values["TaxID"] else tax_id,
        aliases=_new_aliases(fitted.codes, item.id, directory, notes),
        supplier_row=row,
        reorder=reorder,
        notes=tuple(notes),
    )
    what = (plan.department, plan.category, plan.supplier, plan.tax_id, plan.supplier_row, plan.reorder)
    if plan.values or plan.aliases or any(part is not None for part in what):
        return plan
    return ItemPlan("unchanged", item_id=item.id, notes=plan.notes)


def _unless(reference: Reference, present: int) -> Reference:
    return None if reference == present else reference


def _new_aliases(
    codes: Sequence[str], item_id: int, directory: Directory, notes: list[str]
) -> tuple[str, ...]:
    """Codes that nobody goes by yet; those of another item are left out."""
    new = []
    for code in codes:
        holders = directory.holders.get(sku_key(code), ())
        if not holders:
            new.append(code)
        elif others := [holder for holder in holders if holder.item_id != item_id]:
            notes.append(f"Code `{code}` was left out: it is the code of {_named(others)}.")
    return tuple(new)


def _named(holders: Sequence[Holder]) -> str:
    holder = holders[0]
    if not holder.label:
        return f"item number {holder.item_id}, which RMS no longer has"
    return f"item `{holder.label}`" + (" (as an alias)" if holder.is_alias else "")


# -- its supplier ----------------------------------------------------------------------------------------
def _supplier_row(product: Product, policy: Policy, notes: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"MasterPackQuantity": 1, "ReorderNumber": _reorder_number(product, notes)}
    if policy.writes("Cost", creating=True):
        row["Cost"] = product.row["cost"]
    return row


def _supplier_of(
    product: Product, policy: Policy, supplier: Reference, item: TillItem, notes: list[str]
) -> tuple[dict[str, Any] | None, tuple[int, str] | None]:
    """The row of SupplierList to be added, or the reorder number to be corrected."""
    if not supplier:
        return None, None
    present = next((row for row in item.suppliers if row.supplier_id == supplier), None)
    if present is None:
        return _supplier_row(product, policy, notes), None
    number = _reorder_number(product, notes)
    return None, ((present.id, number) if number and number != present.reorder_number else None)


def _reorder_number(product: Product, notes: list[str]) -> str:
    number = one_line(str(product.row["reorder_number"]))
    if length(number) <= REORDER_LENGTH:
        return number
    notes.append(f"The reorder number was left out: RMS holds {REORDER_LENGTH} characters.")
    return ""
