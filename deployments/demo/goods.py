"""New goods and new prices: from the hub to the till, and sold there the same day."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data_contracts.amounts import format_amount, show_money
from deployments.demo.stage import (
    HOME,
    Tally,
    heading,
    open_shop,
    run_catalog,
    run_export,
    run_import,
    run_products,
    run_receive,
)
from deployments.demo.trading import choose_goods
from deployments.output import say, show_table
from tasks.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.sample_store.store import ItemAtTill

NEW = "MUG-TILLBRIDGE"
UNKNOWN = "TILL-NEW-1"
RISE = 5_000
"""What a price rises by, in ten-thousandths."""


def new_goods(settings: Settings, tally: Tally) -> None:
    """A catalogue with a new product, a new price, and the product that a ticket waits for."""
    heading("9", "The hub changes a price, brings in a new product, and learns the unknown one")
    sku, _, _ = choose_goods(settings)
    before = _at_tills(settings, (sku, NEW))
    price = before["LONDON", sku]
    assert price is not None  # noqa: S101 - goods of London are items of London
    file = HOME / "changes.csv"
    _write_changes(file, sku, price.price + RISE)
    outcome = run_catalog(file, tally)
    applied = run_products(settings, tally)
    say(
        f"The flow import-catalog finds {outcome.created} new products and {outcome.changed} changed one in "
        f"{file.name}, a file with Sellercloud's column names. {outcome.cleared} ticket leaves the "
        f"quarantine by itself: {UNKNOWN} is a product now. apply-products writes into the items of both "
        "shops:"
    )
    click.echo()
    after = _at_tills(settings, (sku, NEW))
    show_table(
        ("shop", "item", "before", "now"),
        [(code, item, _price(before[code, item]), _price(now)) for (code, item), now in after.items()],
    )
    (cut,) = [answer.notes[0] for answer in applied["LONDON"].noted if answer.sku == NEW]
    say(f"What RMS cannot hold is cut and said, and the hub is told. Of {NEW}: {cut}")
    with open_shop(settings, "LONDON") as shop:
        shop.receive(NEW, 12)
        rung = shop.ring_sale([(NEW, 2), (sku, 1)])
    run_receive(settings, "LONDON", "new-goods", tally)
    run_export("LONDON", tally)
    imported = run_import(tally)
    say(
        f"12 of {NEW} arrive in London, and on ticket {rung.number} a customer buys two of them and one "
        f"{sku} at its new price: {imported.accepted} ticket booked in the hub."
    )
    click.echo()


def _write_changes(file: Path, sku: str, price: int) -> None:
    """What has changed, as the hub exports it: only the columns that matter."""
    columns = ("ProductID", "ProductName", "StorePrice", "ProductTypeName", "RMSItemType", "Status")
    rows: Sequence[Sequence[object]] = (
        (sku, "", format_amount(price), "", "", "1"),
        (NEW, "Mug with two shops and a bridge between them", "7.5000", "Kitchen", "0", "1"),
        (UNKNOWN, "New at the till 1", "9.9900", "Gifts", "0", "1"),
    )
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _at_tills(settings: Settings, skus: Sequence[str]) -> dict[tuple[str, str], ItemAtTill | None]:
    found: dict[tuple[str, str], ItemAtTill | None] = {}
    for code in sorted(settings.stores):
        with open_shop(settings, code) as shop:
            found |= {(code, sku): shop.read_item(sku) for sku in skus}
    return found


def _price(item: ItemAtTill | None) -> str:
    return "not there" if item is None else show_money(item.price)
