"""Decides what of a product is to be written into RMS, by what the till has. Reads and writes nothing itself.

The same decision is made twice: over everything a batch names, and again for one product inside the
transaction that writes it, over what is locked there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    entry_of,
    fit,
    length,
    one_line,
    refusal,
    show_value,
)
from tasks.rms.items import Directory, Filed, Filing, Holder, TillItem

Reference = int | Entry | None
"""The ID of a row, an entry that is to be made first, or None: not to be written."""


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
    tax_id = _tax(product, policy, filing, notes, creating=True)
    department, category = _department_and_category(product, policy, filing, notes, None)
    supplier = _supplier(product, policy, filing, notes, creating=True)
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
    differing = {name: value for name, value in fitted.values.items() if item.values[name] != value}
    notes += [
        f"{name} was {show_value(item.values[name])} at the till, is {show_value(value)} now."
        for name, value in differing.items()
        if name in MONEY or isinstance(value, bool)
    ]
    tax_id = _tax(product, policy, filing, notes, creating=False)
    department, category = _department_and_category(product, policy, filing, notes, item)
    supplier = _supplier(product, policy, filing, notes, creating=False)
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


# -- how it is filed ------------------------------------------------------------------------------------
def _tax(product: Product, policy: Policy, filing: Filing, notes: list[str], *, creating: bool) -> int | None:
    """ItemTax.ID; None if it is not written. 0 only where the shop's own items have none."""
    named = entry_of(product, "TaxID", policy, creating=creating)
    if named is None and not creating:
        return None
    code = (named.code if named else "") or policy.tax_code
    if not code and not creating:
        return None
    known = ", ".join(f"`{tax.code}`" for tax in filing.taxes[:20]) or "none"
    if code:
        if (found := _match(filing.taxes, code)) is not None:
            return found.id
        raise refusal(
            "tax_code",
            f"The till has no item tax `{code}` for product `{product.sku}`; it has {known}.",
            "name one of them in the hub or as tax_code in "
            f"[stores.{policy.store}.products], or add it in RMS",
        )
    if product.row["taxable"] in filing.untaxed:
        notes.append("Filed without an item tax, as other items of this shop are.")
        return 0
    raise refusal(
        "tax_code",
        f"Product `{product.sku}` names no item tax, and the shop's own items all have one; it has {known}.",
        f"set tax_code in [stores.{policy.store}.products], or name one in the hub",
    )


def _department_and_category(
    product: Product, policy: Policy, filing: Filing, notes: list[str], item: TillItem | None
) -> tuple[Reference, Reference]:
    """Both together: a category belongs to a department. `item` is None for a new one."""
    creating = item is None
    named = entry_of(product, "DepartmentID", policy, creating=creating)
    if item is not None and not named:
        return None, None
    department = _department(product, policy, filing, notes, named or Entry("", ""))
    wanted = entry_of(product, "CategoryID", policy, creating=creating)
    stays = item is not None and department == item.values["DepartmentID"]
    if not wanted:
        return department, (None if stays else 0)
    if department == 0:
        notes.append(f"Category {wanted} was left out: the item has no department.")
        return department, 0
    if isinstance(department, int):
        of_department = [row for row in filing.categories if row.department_id == department]
        if (found := _match(of_department, wanted.code, wanted.name)) is not None:
            return department, found.id
    if policy.create_categories:
        notes.append(f"Category {wanted} was created.")
        return department, wanted
    notes.append(f"Category {wanted} was left out: the till's department has none of that code or name.")
    return department, (None if stays else 0)


def _department(
    product: Product, policy: Policy, filing: Filing, notes: list[str], named: Entry
) -> Reference:
    if named:
        if (found := _match(filing.departments, named.code, named.name)) is not None:
            return found.id
        if policy.create_departments:
            notes.append(f"Department {named} was created.")
            return named
    if policy.default_department:
        found = _match(filing.departments, policy.default_department, policy.default_department)
        if found is not None:
            if named:
                notes.append(f"Department {named} is not known at the till: filed under `{found.code}`.")
            return found.id
        raise refusal(
            "department",
            f"The till has no department `{policy.default_department}`, the default of this store.",
            f"correct default_department in [stores.{policy.store}.products], or add it in RMS",
        )
    if named:
        raise refusal(
            "department",
            f"The till has no department {named} for product `{product.sku}`, and none may be created.",
            "add it in RMS, or set default_department or create_departments in "
            f"[stores.{policy.store}.products]",
        )
    notes.append("Filed without a department: the hub names none and the store has no default.")
    return 0


def _supplier(
    product: Product, policy: Policy, filing: Filing, notes: list[str], *, creating: bool
) -> Reference:
    named = entry_of(product, "SupplierID", policy, creating=creating)
    if not named:
        return 0 if creating else None
    if (found := _match(filing.suppliers, named.code, named.name)) is not None:
        return found.id
    if policy.create_suppliers:
        notes.append(f"Supplier {named} was created.")
        return named
    notes.append(f"Supplier {named} was left out: the till does not know it. Add it in RMS.")
    return 0 if creating else None


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


def _match(rows: Iterable[Filed], code: str, name: str = "") -> Filed | None:
    """The first row of that code, else of that name, without regard to case."""
    found = list(rows)
    for wanted, attribute in ((code, "code"), (name, "name")):
        if wanted:
            for row in found:
                if sku_key(getattr(row, attribute)) == sku_key(wanted):
                    return row
    return None
