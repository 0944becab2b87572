"""What `tillbridge up` does by itself; for the whole of it, see test_up.py."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from data_contracts.errors import FinalError
from deployments.polling import Polling
from deployments.prefect_api import without_password
from deployments.serving import _only_one, _server
from tests.hub.world import make_settings


def test_the_address_that_is_shown_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://ann:CANARY@prefect.example.com:4200/api")

    with _server(make_settings(), print) as (address, own):
        assert (address, own) == ("http://prefect.example.com:4200", False)


def test_an_error_is_logged_without_the_password_of_the_server() -> None:
    request = httpx.Request("POST", "http://ann:CANARY@prefect.example.com:4200/api/variables/")
    with pytest.raises(httpx.HTTPStatusError) as refused:
        httpx.Response(500, request=request).raise_for_status()

    assert "http://prefect.example.com:4200/api/variables/" in without_password(refused.value)
    assert "CANARY" not in without_password(refused.value)


def test_a_second_one_in_a_folder_is_refused_whatever_the_folder_is_called(tmp_path: Path) -> None:
    """60 letters of which some have two bytes were more than the 64 bytes that were compared."""
    home = tmp_path / ("gesch\u00e4ft-" * 8) / ".tillbridge" / "prefect"

    with _only_one(home), pytest.raises(FinalError, match="runs already"), _only_one(home):
        pass


def test_a_cycle_that_is_broken_off_ends_no_lane() -> None:
    """Prefect ends a run whose slot it lost with an error that is no `Exception`."""
    polling, ran_again = Polling(make_settings(), [], {}, 0), threading.Event()
    cycles: list[str] = []

    def cycle() -> None:
        cycles.append("began")
        if len(cycles) == 1:
            raise asyncio.CancelledError
        ran_again.set()
        polling.stop(0)

    lane = threading.Thread(target=polling._run_lane, args=(cycle, False), daemon=True)
    lane.start()

    assert ran_again.wait(10)
