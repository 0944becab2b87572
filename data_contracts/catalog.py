"""The hub's products: what a catalogue file may say of one, and what of it becomes a row for a till.

Plain functions over texts and whole ten-thousandths. Which codes two products claim, which price a till
gets and which products a store sells is decided here; nothing here reads or writes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from data_contracts.amounts import from_decimal
from data_contracts.documents import CATALOG, PRODUCTS, sku_key
from data_contracts.products import revision_of

PriceName = Literal["store_price", "price", "price_a", "price_b", "price_c", "msrp"]
"""The hub's prices that can become a till's."""

Profile = Literal["sellercloud", "tillbridge"]
"""Whose names the columns of a catalogue file have."""

COLUMNS = tuple(name for name in CATALOG if name != "line")

AMOUNTS = ("price", "store_price", "price_a", "price_b", "price_c", "msrp", "cost")
FLAGS = {"taxable": True, "is_kit": False, "active": True}
"""Columns that say yes or no, and what an empty cell says."""
KEPT_WHEN_EMPTY = ("name",)
"""An empty cell takes nothing away; a new product is named by its SKU."""
TEXTS = tuple(
    name for name in COLUMNS if name not in (*AMOUNTS, *FLAGS, "sku", "upc", "aliases", "item_type")
)
FIELDS = (*TEXTS, "upc", "item_type", *AMOUNTS, *FLAGS)
"""What the hub keeps of a product besides its SKU and its aliases."""

WORDS = {
    "true": True, "1": True, "yes": True, "y": True, "active": True,
    "false": False, "0": False, "no": False, "n": False, "inactive": False, "disabled": False,
}  # fmt: skip
"""How a file says yes and no, without regard to case."""

ALIAS_SEPARATOR = "|"
MAX_ITEM_TYPE = 32_767
"""RMS keeps it in two bytes."""

_OWN_NAMES = {
    "department_name": ("department_name", "department"),
    "category_name": ("category_name", "category"),
    "supplier_name": ("supplier_name", "supplier"),
}
PROFILES: dict[Profile, dict[str, tuple[str, ...]]] = {
    "tillbridge": {name: _OWN_NAMES.get(name, (name,)) for name in COLUMNS},
    # The names of Sellercloud's catalogue; tenants rename and add columns, hence [catalog.columns].
    "sellercloud": {
        "sku": ("ProductID", "ProductSKU"),
        "name": ("ProductName",),
        "long_description": ("LongDescription",),
        "upc": ("UPC",),
        "aliases": ("Aliases", "EAN", "GTIN"),
        "price": ("SitePrice", "DefaultPrice"),
        "store_price": ("StorePrice",),
        "msrp": ("ListPrice",),
        "cost": ("SiteCost",),
        "department_name": ("ProductTypeName", "ProductType"),
        "category_name": ("CategoryName",),
        "supplier_name": ("DefaultVendor",),
        "reorder_number": ("DefaultVendorSKU",),
        "item_type": ("RMSItemType",),  # no field of Sellercloud's own: a custom column
        "shadow_of": ("ShadowOf",),
        "is_kit": ("IsKit",),
        "active": ("Status",),
    },
}
"""Column of the hub -> the headers it may have, the first one present counts; of aliases all of them."""

_AMOUNT = re.compile(r"-?([0-9]{1,14}(\.[0-9]{0,8})?|\.[0-9]{1,8})")
_DIGITS = re.compile(r"[0-9]+")
BARCODE_LENGTHS = (8, 12, 13, 14)
"""EAN-8, UPC-A, EAN-13, GTIN-14."""


@dataclass(frozen=True)
class CatalogRow:
    """A row of a catalogue file: the columns that the file has, cells without blanks around them."""

    line: int
    cells: Mapping[str, str]

    @property
    def sku(self) -> str:
        """As it stands in the file; empty where there is none."""
        return self.cells.get("sku", "")


def read_amount(text: str) -> int:
    """Ten-thousandths of a cell such as `12.5`, an empty one is 0; ValueError for anything else.

    A comma is refused: nobody can tell `1,234` from `1.234`.
    """
    if text and _AMOUNT.fullmatch(text) is None:
        raise ValueError("not an amount")
    return from_decimal(text or "0")


def read_flag(text: str, default: bool) -> bool:
    """What a cell says; ValueError for a word that is neither yes nor no."""
    if not text:
        return default
    try:
        return WORDS[text.lower()]
    except KeyError as error:
        raise ValueError("neither yes nor no") from error


def read_aliases(text: str) -> tuple[str, ...]:
    """The codes in a cell `a|b|c`, each once, in their order."""
    return tuple(dict.fromkeys(filter(None, (code.strip() for code in text.split(ALIAS_SEPARATOR)))))


def check_digit_fits(code: str) -> bool:
    """Whether the last digit of a UPC or EAN is the check digit of those before it."""
    weighted = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(code[:-1])))
    return (weighted + int(code[-1])) % 10 == 0


def barcode_faults(code: str) -> set[str]:
    """What is odd about a UPC of digits: `zero_lost`, `length` or `check_digit`.

    Codes that a shop prints itself keep to no rule, so none of these is more than a warning.
    """
    if _DIGITS.fullmatch(code) is None:
        return set()
    if len(code) == 11 and check_digit_fits(f"0{code}"):
        return {"zero_lost"}
    if len(code) not in BARCODE_LENGTHS:
        return {"length"}
    return set() if check_digit_fits(code) else {"check_digit"}


def new_product(sku: str) -> dict[str, Any]:
    """A product of which nothing is known but its SKU."""
    return {
        "sku": sku,
        **dict.fromkeys(TEXTS, ""),
        "name": sku,
        "upc": "",
        "item_type": 0,
        **dict.fromkeys(AMOUNTS, 0),
        **FLAGS,
        "aliases": (),
    }


def merge(stored: Mapping[str, Any] | None, row: CatalogRow, *, ignore_case: bool) -> dict[str, Any]:
    """`sku`, `FIELDS` and `aliases` of a product once a row that passed its contract is in.

    Columns that the file does not have stay as they are, and so does the SKU as first shown.
    """
    product = {**(stored or new_product(row.sku))}
    for name, text in row.cells.items():
        if name == "sku" or (not text and name in KEPT_WHEN_EMPTY):
            continue
        if name in AMOUNTS:
            product[name] = read_amount(text)
        elif name in FLAGS:
            product[name] = read_flag(text, FLAGS[name])
        elif name == "item_type":
            product[name] = int(text or "0")
        elif name == "upc":
            product[name] = sku_key(text, ignore_case=ignore_case)
        elif name == "aliases":
            # In the order of their compared form: how a file sorts them is no change.
            by_key = {sku_key(code, ignore_case=ignore_case): code for code in read_aliases(text)}
            product[name] = tuple(by_key[key] for key in sorted(by_key) if key)
        else:
            product[name] = text
    return product


# -- codes ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Codes:
    """The codes by which a product is found, in their compared form."""

    sku: str
    others: frozenset[str]
    """UPC and aliases."""


def codes_of(key: str, product: Mapping[str, Any], *, ignore_case: bool) -> Codes:
    """The codes of a product whose SKU compares as `key`.

    The UPC of a shadow is its parent's: it names the parent alone.
    """
    said = [*product["aliases"], *([] if product["shadow_of"] else [product["upc"]])]
    others = {sku_key(code, ignore_case=ignore_case) for code in said} - {"", key}
    return Codes(key, frozenset(others))


def find_clashes(stored: Mapping[str, Codes], arriving: Mapping[str, Codes]) -> dict[str, tuple[str, str]]:
    """SKU -> (a code it claims, the SKU that has it), of the arriving products that cannot go in.

    What is left out keeps its stored codes, which may bring it into the way of another one: looked at
    until nothing more is found. Between two that arrive, the SKU is stronger than a UPC or an alias, and
    of two UPCs or aliases neither goes in. Stored products never give way.
    """
    clashes: dict[str, tuple[str, str]] = {}
    while True:
        coming = {key: codes for key, codes in arriving.items() if key not in clashes}
        holders: dict[str, list[str]] = {}
        for key, codes in {**stored, **coming}.items():
            for code in (codes.sku, *codes.others):
                holders.setdefault(code, []).append(key)
        found: dict[str, tuple[str, str]] = {}
        for code, keys in holders.items():
            if len(keys) < 2:
                continue
            for key in keys:
                owner = next(other for other in sorted(keys) if other != key)
                strong = key == code and all(other in coming for other in keys)
                if key in coming and not strong:
                    found.setdefault(key, (code, owner))
        if not found:
            return clashes
        clashes |= found


# -- what a till gets -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class TillRules:
    """How the hub's products become a store's."""

    till_price: tuple[PriceName, ...]
    """The first of these prices that is not 0 is the till's."""
    send_kits: bool = False
    departments: tuple[str, ...] = ()
    """Codes or names, without regard to case; empty for all."""


def till_price(product: Mapping[str, Any], prices: Sequence[str]) -> int:
    """The first of these prices that is not 0, else 0; in ten-thousandths."""
    return next((int(product[name]) for name in prices if product[name] != 0), 0)


def sold_at(product: Mapping[str, Any], rules: TillRules) -> bool:
    """Whether a store sells the product: active, no shadow, no kit unless wanted, of its departments.

    A shadow would be a second RMS item on one stock.
    """
    if not product["active"] or product["shadow_of"] or (product["is_kit"] and not rules.send_kits):
        return False
    wanted = {name.casefold() for name in rules.departments}
    named = {product["department_code"].casefold(), product["department_name"].casefold()} - {""}
    return not wanted or bool(wanted & named)


@dataclass(frozen=True)
class TillProduct:
    """A product as it travels to a store: a row of `PRODUCTS` and its codes."""

    row: Mapping[str, Any]
    codes: tuple[str, ...]

    @property
    def revision(self) -> str:
        """`products.revision_of`."""
        return str(self.row["revision"])

    @property
    def active(self) -> bool:
        """Whether the store is to sell it."""
        return bool(self.row["active"])


def till_product(store: str, sku: str, product: Mapping[str, Any], rules: TillRules) -> TillProduct:
    """What a store's till is to show of a product; one that the store does not sell is inactive."""
    same = {name: product[name] for name in PRODUCTS if name in product}
    row = {
        **same,
        "store": store,
        "sku": sku,
        "price": till_price(product, rules.till_price),
        "active": sold_at(product, rules),
    }
    codes = tuple(dict.fromkeys(code for code in (product["upc"], *product["aliases"]) if code))
    row["revision"] = revision_of({**row, "revision": ""}, codes)
    return TillProduct({name: row[name] for name in PRODUCTS}, codes)


def changed_fields(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[str]:
    """Names of what differs, in the order of the columns; nothing for a new product."""
    names: Iterable[str] = (*FIELDS, "aliases")
    return [name for name in names if before is not None and before[name] != after[name]]


def map_headers(
    header: Sequence[str], profile: Profile, columns: Mapping[str, str]
) -> tuple[dict[str, list[int]], list[str]]:
    """(column of the hub -> places in the file's header, headers that were ignored).

    Headers compare without regard to case and blanks around them. A file with a column `sku` has the
    hub's own names, whatever the profile; `columns` names single headers and goes before both.
    KeyError for a header of `columns` that the file does not have, ValueError for one that is there twice.
    """
    seen = [name.strip().casefold() for name in header]
    own = "sku" in seen and columns.get("sku", "sku").strip().casefold() == "sku"
    wanted: dict[str, Collection[str]] = {**PROFILES["tillbridge" if own else profile]}
    for column, name in columns.items():
        if name.strip().casefold() not in seen:
            raise KeyError(name)
        wanted[column] = (name,)
    found: dict[str, list[int]] = {}
    for column, names in wanted.items():
        keys = [name.strip().casefold() for name in names]
        places = [seen.index(key) for key in keys if key in seen]
        if places:
            found[column] = places if column == "aliases" else places[:1]
    used = {place for places in found.values() for place in places}
    for place in used:
        if seen.count(seen[place]) > 1:
            raise ValueError(header[place])
    return found, [name for place, name in enumerate(header) if place not in used and name.strip()]


def known_columns(names: Iterable[str]) -> list[str]:
    """Those of some names that are no column of a catalogue."""
    return [name for name in names if name not in COLUMNS]


PRICE_NAMES: tuple[str, ...] = get_args(PriceName)
