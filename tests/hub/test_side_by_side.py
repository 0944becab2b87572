"""Two stores of one warehouse import, advance and allocate at the same time: the books end as one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import HubUnavailable
from tasks.hub.advancing import advance
from tasks.hub.allocating import allocate_backorders
from tasks.hub.database import Hub, open_hub
from tasks.hub.proofs import prove
from tests.documents import Line, make_order, make_ticket
from tests.hub.servers import only_on_postgresql
from tests.hub.world import NOW, World

STORES = ("S1", "S2")
KINDS = {70: "layaway", 71: "backorder", 72: "layaway", 73: "backorder"}
TURNED = (("SKU-1", 2), ("SKU-2", 1)), (("SKU-2", 1), ("SKU-1", 2))
"""What each store orders, the SKUs turned around: locks taken as they come would wait in a ring."""


def patiently(act: Callable[[], Any]) -> None:
    """Again and again while another run holds the store, as Prefect and the schedule do."""
    while True:
        try:
            act()
            return
        except HubUnavailable:
            time.sleep(0.01)


@pytest.mark.slow
@only_on_postgresql
def test_layaways_and_backorders_of_two_stores_move_while_goods_arrive(hub: Hub, tmp_path: Path) -> None:
    world = World(hub, tmp_path, stores={code: {"warehouse": "W1"} for code in STORES}).ready()
    for store, lines in zip(STORES, TURNED, strict=True):
        orders = [
            make_order(number, [(sku, units, "1.00") for sku, units in lines], kind=kind, store=store)
            for number, kind in KINDS.items()
        ]
        world.orders(*orders, store=store)
    url = hub.engine.url.render_as_string(hide_password=False)
    failed: list[BaseException] = []
    done = threading.Event()

    def beside(work: Callable[[World], None]) -> threading.Thread:
        def run() -> None:
            try:
                with open_hub(url) as own:
                    mine = copy(world)
                    mine.hub = own
                    work(mine)
            except BaseException as error:  # noqa: BLE001 - a thread's failure is told by the test
                failed.append(error)

        return threading.Thread(target=run)

    def pick_everything_up(store: str, lines: tuple[tuple[str, int], ...]) -> Callable[[World], None]:
        def work(mine: World) -> None:
            for sequence, (number, kind) in enumerate(KINDS.items(), start=2):
                taken: list[Line] = [(sku, units, "1.00") for sku, units in lines]
                left: list[Line] = [(sku, 0, "1.00") for sku, _ in lines]
                handed = [units for _, units in lines]
                documents = (
                    make_order(number, left, taken=handed, closed=True, kind=kind, store=store),
                    make_ticket(500 + number, taken, recall_type=4, recall_id=number, store=store),
                    make_ticket(900 + number, [(sku, -3, "1.00") for sku, _ in lines], store=store),
                )
                patiently(lambda: mine.orders(*documents, store=store, sequence=sequence))  # noqa: B023

        return work

    def keep_advancing(store: str, kind: str) -> Callable[[World], None]:
        def work(mine: World) -> None:
            while not done.is_set():
                patiently(lambda: advance(mine.hub, mine.settings, store, kind, now=NOW))

        return work

    def keep_giving_out(mine: World) -> None:
        while not done.is_set():
            patiently(lambda: allocate_backorders(mine.hub, mine.settings, now=NOW))

    tills = [beside(pick_everything_up(*of)) for of in zip(STORES, TURNED, strict=True)]
    flows = [beside(keep_advancing(store, kind)) for store in STORES for kind in ("layaway", "backorder")]
    flows += [beside(keep_giving_out) for _ in range(2)]
    for thread in (*flows, *tills):
        thread.start()
    for thread in tills:
        thread.join()
    done.set()
    for thread in flows:
        thread.join()
    for store in STORES:
        for kind in ("layaway", "backorder"):
            advance(hub, world.settings, store, kind, now=NOW)

    assert failed == []
    levels = "SELECT sku, physical, reserved FROM reporting_stock ORDER BY sku"
    assert world.rows(levels) == [("SKU-1", "8.00", "0.00"), ("SKU-2", "16.00", "0.00")]
    assert world.rows("SELECT document FROM quarantine WHERE state = 'open'") == []
    assert world.rows("SELECT DISTINCT state FROM life_cycles") == [("picked up",)]
    with hub.reading() as connection:
        assert [prove(connection, store) for store in STORES] == [[], []]
