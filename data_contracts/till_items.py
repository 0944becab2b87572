"""A product of the hub as an item of a till: what fits, what is cut or left out, what is refused.

Plain functions of the product, the table of ownership and the store's policy; what the till already has is
looked at where RMS is written. A text's length counts as SQL Server counts it: in UTF-16 units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from data_contracts.amounts import show_money
from data_contracts.documents import sku_key
from data_contracts.errors import ProductRefused
from data_contracts.products import FIELDS, Field, Owner, TooLong

CODE_LENGTH = 25
"""Characters of Item.ItemLookupCode and Alias.Alias."""
NAME_LENGTH = 30
"""Characters of the names of departments, categories and suppliers."""
REORDER_LENGTH = 25
"""Characters of SupplierList.ReorderNumber."""

MONEY = ("Price", "PriceA", "PriceB", "PriceC", "MSRP", "Cost")
"""Fields that hold money."""

REFERENCES = ("DepartmentID", "CategoryID", "SupplierID", "TaxID")
"""Fields that hold the ID of another row, found by its code."""

FIXED = ("ItemLookupCode", "ItemType")
"""Fields that make the item what it is: no setting changes who owns them."""

MULTILINE = ("ExtendedDescription",)

BY_NAME = {entry.name: entry for entry in FIELDS}
DESCRIPTION_LENGTH = BY_NAME["Description"].length or 0
TRANSFERABLE = frozenset(entry.name for entry in FIELDS if entry.column and entry.name not in FIXED)
"""Fields whose owner a store's settings may change."""


@dataclass(frozen=True)
class Policy:
    """How a store wants products to arrive; defaults as in the settings."""

    store: str
    owners: Mapping[str, Owner] = field(default_factory=dict)
    """What differs from the table of ownership."""
    tax_code: str = ""
    """ItemTax.Code of products that name none."""
    default_department: str = ""
    """Code or name of the department of products that name none, or one that may not be created."""
    create_departments: bool = True
    create_categories: bool = True
    create_suppliers: bool = False
    item_types: tuple[int, ...] = (0, 7)
    """Item.ItemType that may be created."""

    def owner(self, name: str) -> Owner:
        """Whose word counts for a field."""
        return self.owners.get(name, BY_NAME[name].owner)

    def writes(self, name: str, *, creating: bool) -> bool:
        """Whether the hub's value of a field is written now."""
        owner = self.owner(name)
        return owner is Owner.HUB or (creating and owner is Owner.CREATE_ONLY)


@dataclass(frozen=True)
class Product:
    """A row of `PRODUCTS` (typed cells by column) and the product's codes."""

    row: Mapping[str, Any]
    codes: tuple[str, ...] = ()

    @property
    def sku(self) -> str:
        """The hub's SKU without blanks at the end."""
        return str(self.row["sku"]).rstrip()

    @property
    def key(self) -> str:
        """The form in which SKUs and codes compare."""
        return sku_key(self.sku)

    @property
    def revision(self) -> str:
        """What of the product travels, as a hash."""
        return str(self.row["revision"])


class Entry(NamedTuple):
    """A department, category or supplier as the hub names it; both empty: it names none."""

    code: str
    name: str

    def __bool__(self) -> bool:
        """Whether the hub names one."""
        return bool(self.code or self.name)

    def __str__(self) -> str:
        """For people."""
        return f"`{self.code or self.name}`"


@dataclass(frozen=True)
class Fitted:
    """What of a product is to stand in a till's item."""

    values: Mapping[str, Any]
    """Field of Item -> text, whole ten-thousandths, boolean or item type; without the references."""
    codes: tuple[str, ...]
    """Further codes that a till can hold, none twice, the SKU not among them."""
    notes: tuple[str, ...]
    """What was cut or left out."""


def fit(product: Product, policy: Policy, *, creating: bool) -> Fitted:
    """The product's values of the fields that are written now, cut to what RMS holds.

    Raises `ProductRefused`: a code that is too long, no name, a negative price, an item type that a till
    cannot take in this way.
    """
    check_sku(product)
    values: dict[str, Any] = {}
    notes: list[str] = []
    for entry in FIELDS:
        if not entry.column or entry.name in REFERENCES or not policy.writes(entry.name, creating=creating):
            continue
        value = _value(entry, product, notes)
        if creating or value or not entry.optional:
            values[entry.name] = value
    if creating:
        _check_new(product, policy, notes)
    if values.get("Description") == "":
        raise refusal(
            "name_missing",
            f"Product `{product.sku}` has no name; a till shows and prints it.",
            "give the product a name in the hub",
        )
    keep_whole_name(product, values, notes)
    return Fitted(values, _codes(product, notes), tuple(notes))


def check_sku(product: Product) -> None:
    """`ProductRefused` for an SKU that cannot be the code of an item."""
    sku = product.sku
    if not sku or sku != sku.strip() or not sku.isprintable():
        raise refusal(
            "sku_form",
            "The SKU is blank, begins with a blank or holds a character that cannot be printed.",
            "correct the SKU in the hub",
        )
    _check_length(BY_NAME["ItemLookupCode"], sku, sku)


def entry_of(product: Product, name: str, policy: Policy, *, creating: bool) -> Entry | None:
    """The entry that the hub names for a field such as `DepartmentID`; None if it is not written now.

    Raises `ProductRefused` for a code that is too long.
    """
    if not policy.writes(name, creating=creating):
        return None
    described = BY_NAME[name]
    code = one_line(str(product.row[described.column]))
    _check_length(described, code, product.sku)
    label = one_line(str(product.row.get(described.column.replace("_code", "_name"), "")))
    return Entry(code, cut(label, NAME_LENGTH))


def refusal(rule: str, message: str, fix: str) -> ProductRefused:
    """The error that answers for one product."""
    return ProductRefused(message, next_step=fix, rule=rule)


def one_line(text: str) -> str:
    """A text for a till's display: line breaks and the like become blanks, those around it go."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def length(text: str) -> int:
    """Characters as nvarchar counts them: most letters are one, an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int) -> str:
    """At most so many nvarchar characters, never half of one, without blanks at the end."""
    if length(text) <= most:
        return text
    return text.encode("utf-16-le")[: 2 * most].decode("utf-16-le", "ignore").rstrip()


def show_value(value: Any) -> str:
    """A money value or a boolean for people."""
    return ("yes" if value else "no") if isinstance(value, bool) else show_money(value)


def _value(entry: Field, product: Product, notes: list[str]) -> Any:
    raw = product.row[entry.column]
    if entry.name == "Inactive":
        return not raw
    if entry.name in MONEY:
        if raw < 0:
            raise refusal(
                "price_negative",
                f"{entry.name} of product `{product.sku}` is {show_money(raw)}, below 0.",
                "correct it in the hub",
            )
        return raw
    if not isinstance(raw, str):
        return raw
    text = raw.strip() if entry.name in MULTILINE else one_line(raw)
    if entry.length is None or length(text) <= entry.length:
        return text
    _check_length(entry, text, product.sku)
    shortened = cut(text, entry.length)
    notes.append(f"{entry.name} was cut to {entry.length} characters: `{shortened}`.")
    return shortened


def _check_length(entry: Field, text: str, sku: str) -> None:
    if entry.too_long is TooLong.REFUSE and entry.length is not None and length(text) > entry.length:
        what = entry.column.replace("_", " ").replace("sku", "SKU")
        raise refusal(
            f"{entry.column}_too_long",
            f"The {what} of product `{sku[:60]}` has {length(text)} characters; RMS holds {entry.length}, "
            "and a code that is cut is another code.",
            "give it a shorter code in the hub",
        )


def _check_new(product: Product, policy: Policy, notes: list[str]) -> None:
    kind = product.row["item_type"]
    if kind not in policy.item_types:
        allowed = ", ".join(map(str, policy.item_types)) or "none"
        raise refusal(
            "item_type",
            f"Product `{product.sku}` is of item type {kind}; only {allowed} may be created at the till. "
            "Serialized, matrix, kit and assembly items need RMS's own screens.",
            f"make the item in RMS with the code `{product.sku}` and send the product again, or add the type "
            f"to item_types in [stores.{policy.store}.products]",
        )
    if policy.owner("Price") is Owner.STORE:
        notes.append("Price is the store's: set it at the till before it is sold.")
    elif not product.row["price"]:
        notes.append("The hub has no price: it stands at the till for 0.00.")


def keep_whole_name(product: Product, values: dict[str, Any], notes: list[str]) -> None:
    """A name that was cut goes whole into ExtendedDescription, unless the hub has a text for that."""
    whole = one_line(str(product.row["name"]))
    if values.get("ExtendedDescription") == "" and length(whole) > DESCRIPTION_LENGTH:
        values["ExtendedDescription"] = whole
        notes.append("The whole name stands in ExtendedDescription.")


def is_cut_name(shown: str, text: str) -> bool:
    """Whether a Description is what is left of the name that stands whole in ExtendedDescription."""
    return shown != text and shown == cut(text, DESCRIPTION_LENGTH)


def _codes(product: Product, notes: list[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for raw in product.codes:
        code = raw.strip()
        if not code or sku_key(code) == product.key:
            continue
        if length(code) > CODE_LENGTH or not code.isprintable():
            notes.append(f"Code `{one_line(code)[:60]}` was left out: RMS holds {CODE_LENGTH} characters.")
            continue
        found.setdefault(sku_key(code), code)
    return tuple(found.values())


def products_of(rows: Sequence[Mapping[str, Any]], codes: Sequence[Mapping[str, Any]]) -> list[Product]:
    """The products of a batch in the order of its rows, each with its codes."""
    by_key: dict[str, list[str]] = {}
    for row in codes:
        by_key.setdefault(sku_key(row["sku"]), []).append(row["code"])
    return [Product(row, tuple(by_key.get(sku_key(row["sku"]), ()))) for row in rows]
