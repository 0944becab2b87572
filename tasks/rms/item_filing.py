"""How a product is filed in a shop: its item tax, department, category and supplier, by code or by name.

What the shop does not have is created, left out or refused by the store's policy.
"""

from __future__ import annotations

from collections.abc import Iterable

from data_contracts.documents import sku_key
from data_contracts.till_items import Entry, Policy, Product, entry_of, refusal
from tasks.rms.items import Filed, Filing, TillItem

Reference = int | Entry | None
"""The ID of a row, an entry that is to be made first, or None: not to be written."""


def find_tax(
    product: Product, policy: Policy, filing: Filing, notes: list[str], *, creating: bool
) -> int | None:
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


def find_department_and_category(
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


def find_supplier(
    product: Product, policy: Policy, filing: Filing, notes: list[str], *, creating: bool
) -> Reference:
    """The supplier that the hub names; 0 for a new item without one, None if nothing is to be written."""
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


def _match(rows: Iterable[Filed], code: str, name: str = "") -> Filed | None:
    """The first row of that code, else of that name, without regard to case."""
    found = list(rows)
    for wanted, attribute in ((code, "code"), (name, "name")):
        if wanted:
            for row in found:
                if sku_key(getattr(row, attribute)) == sku_key(wanted):
                    return row
    return None
