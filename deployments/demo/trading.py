"""The shops trade: days of tickets, and goods set aside for customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import click
from sqlalchemy import Row, bindparam, select, text

from data_contracts.amounts import SCALE, show_money, show_units
from data_contracts.life_cycle import State
from deployments.demo.stage import Tally, heading, open_shop, run_advance, run_export, run_import, run_receive
from deployments.output import say, show_table
from tasks.settings import Settings

if TYPE_CHECKING:
    from deployments.sample_store.store import Rung


DAYS = 5


def trade(settings: Settings, tally: Tally) -> None:
    """Several business days: ring, export, import, advance."""
    from deployments.sample_store.store import SampleStore

    heading("6", f"{DAYS} business days: tills ring, goods arrive, the flows run")
    with SampleStore.open(settings.rms_url("LONDON")) as shop:
        days = shop.days()[:DAYS]
    rows = []
    for day in days:
        rung = ring(settings, day)
        published = [run_export(code, tally) for code in sorted(settings.stores)]
        imported = run_import(tally)
        for code in sorted(settings.stores):
            run_receive(settings, code, f"{day}", tally)
        run_advance(tally)
        kinds = Counter(ticket.kind for tickets in rung.values() for ticket in tickets)
        rows.append(
            (
                f"{day:%a %d}",
                *(sum(ticket.is_ticket for ticket in rung[code]) for code in sorted(rung)),
                kinds["return"] + kinds["exchange"] + kinds["void"],
                show_money(sum(report.money for report in published)),
                sum(report.orders for report in published),
                kinds["pickup"],
                imported.quarantined,
            )
        )
    show_table(("day", *sorted(settings.stores), "undone", "money", "orders", "picked up", "held"), rows)
    say("Orders are layaways and backorders that were opened or changed. Where they stand now in the hub:")
    click.echo()
    show_fates(settings)


def ring(settings: Settings, day: date) -> dict[str, list[Rung]]:
    """Ring one business day in every shop."""
    rung: dict[str, list[Rung]] = {}
    for code in sorted(settings.stores):
        with open_shop(settings, code) as shop:
            rung[code] = shop.ring_day(day)
    return rung


def show_fates(settings: Settings) -> None:
    """How many layaways and backorders stand where, in the hub."""
    counted = Counter((row.kind, row.state) for row in read_layaways(settings))
    show_table(
        ("state", "layaways", "backorders"),
        [(state.value, counted["layaway", state], counted["backorder", state]) for state in State],
    )


def read_layaways(settings: Settings, numbers: Sequence[int] | None = None) -> Sequence[Row[Any]]:
    """The hub's view of layaways and backorders: all, or those of London with these numbers."""
    from tasks.hub.database import open_hub

    view = "SELECT * FROM reporting_layaways"
    if numbers is None:
        query = text(view)
    else:
        query = text(f"{view} WHERE store = 'LONDON' AND order_number IN :numbers ORDER BY order_number")
        query = query.bindparams(bindparam("numbers", list(numbers), expanding=True))
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        return connection.execute(query).all()


def set_aside(settings: Settings, tally: Tally) -> None:
    """Three layaways and a backorder, from deposit to pick-up or cancel."""
    heading("7", "London sets goods aside: three layaways, and a backorder that waits")
    first, second, absent = choose_goods(settings)
    deposit = 100_000
    with open_shop(settings, "LONDON") as shop:
        whole = shop.open_layaway([(first, 2), (second, 3)], deposit=deposit)
        given_up = shop.open_layaway([(second, 4)], deposit=deposit)
        in_parts = shop.open_layaway([(first, 4)], deposit=deposit)
        awaited = shop.open_backorder([(absent, 6)])
    orders = (whole, given_up, in_parts, awaited)
    follow(settings, tally, orders, "They are opened. Of the backorder's goods there are none yet.")
    with open_shop(settings, "LONDON") as shop:
        taken = shop.pick_up(whole)
        shop.cancel_order(given_up)
        shop.pick_up(in_parts, [(first, 1)])
        shop.receive(absent, 6)
    given = run_receive(settings, "LONDON", "backorder", tally)
    units = ", ".join(f"{show_units(order.units)} to order {order.number}" for order in given)
    follow(
        settings,
        tally,
        orders,
        f"Layaway {whole} is picked up on ticket {taken.number}, {given_up} is cancelled, a part of "
        f"{in_parts} is fetched. receive-stock takes 6 units of {absent} into the hub from a CSV file; "
        f"they go to who waits: {units}.",
    )
    with open_shop(settings, "LONDON") as shop:
        shop.pick_up(in_parts)
        shop.pick_up(awaited)
    follow(settings, tally, orders, f"The rest of {in_parts} is fetched, and so is the backorder.")
    show_one_order(settings, whole, taken.number)


def follow(settings: Settings, tally: Tally, orders: Sequence[int], text: str) -> None:
    """Export, import and advance, then show where these orders of London stand."""
    run_export("LONDON", tally)
    run_import(tally)
    run_advance(tally)
    say(text)
    click.echo()
    show_table(
        ("order", "goes by", "state", "reserved", "taken", "deposit", "paid"),
        [
            (
                f"{row.kind} {row.order_number}",
                row.source_order_id,
                row.state,
                f"{row.reserved:.0f} of {row.ordered:.0f}",
                f"{row.picked_up:.0f}",
                f"{row.deposit_held:,.2f}",
                f"{row.paid:,.2f}",
            )
            for row in read_layaways(settings, orders)
        ],
    )


def show_one_order(settings: Settings, layaway: int, ticket: int) -> None:
    """Both numbers on the customer's papers find the same order."""
    from deployments.reports import show_order
    from tasks.use_cases.finding import find_order

    by_layaway, by_ticket = (find_order(settings, str(number), "LONDON") for number in (layaway, ticket))
    mine = [order for order in by_layaway.orders if order in by_ticket.orders]
    say(
        f"Asked for {layaway}, the number on the customer's first paper, or for {ticket}, that on the last, "
        "the hub finds the same order:"
    )
    click.echo()
    for order in mine:
        show_order(order)


def choose_goods(settings: Settings) -> tuple[str, str, str]:
    """SKUs of London: two of which there is plenty, one of which there is none and nobody waits for it."""
    from tasks.hub.database import open_hub
    from tasks.hub.schema import order_lines, products, stock_levels

    level, line = stock_levels.c, order_lines.c
    goods = (
        select(level.sku)
        .join(products, products.c.sku == level.sku)
        .where(level.warehouse == "LONDON", products.c.price > 0)
        .order_by(level.sku)
    )
    waited_for = select(line.sku).where(line.backorder_quantity > 0)
    plenty = goods.where(level.physical >= 50 * SCALE, products.c.price.between(50_000, 99_900))
    none = goods.where(level.physical == 0, level.reserved == 0, level.sku.not_in(waited_for))
    with open_hub(settings.hub_url) as hub, hub.reading() as connection:
        first, second = connection.execute(plenty.limit(2)).scalars()
        return first, second, connection.execute(none.limit(1)).scalar_one()
