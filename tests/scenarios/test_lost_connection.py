"""The connection to the hub breaks while it commits a batch: the next run clears it up, either way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks import faults
from tasks.use_cases.importing import import_waiting
from tests.hub.servers import only_on_postgresql
from tests.hub.wire import wire_to
from tests.scenarios.installation import install


@pytest.mark.slow
@only_on_postgresql
@pytest.mark.parametrize("end", ["before", "after"])
def test_connection_lost_at_the_commit_is_cleared_up_by_the_next_run(
    tmp_path: Path, hub_url: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire_to(hub_url) as wire:
        shops = install(tmp_path, wire.url.render_as_string(hide_password=False), invoices=12, history=2)
        shops.go_live()
        shops.ring_all()
        cut: list[str] = []

        def cut_once(point: str) -> None:
            if point == "hub.import.before_commit" and not cut:
                cut.append(point)
                setattr(wire, f"cut_{end}", True)

        monkeypatch.setattr(faults, "hook", cut_once)
        first = shops.cycle()
        monkeypatch.setattr(faults, "hook", None)
        second = import_waiting(shops.settings)
        result = shops.reconcile()

    assert (wire.cuts, list(first.failures)) == (1, ["S1"])
    assert "did not answer or was busy" in first.failures["S1"]
    assert [batch.state for batch in second.batches] == ["accepted" if end == "before" else "known"]
    assert (result.unexplained, result.findings) == (0, ())
    tickets = shops.ask_rms("S1", 'SELECT count(*) FROM "Transaction"')[0][0] - 2
    assert shops.ask("SELECT count(*) FROM reporting_tickets WHERE store = 'S1'") == [(tickets,)]
    answers = list((tmp_path / "exchange/S1/orders/acks").glob("*.ack.json"))
    assert len(answers) == 1
