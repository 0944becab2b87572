"""One registrar per installation: `up` serves, or `deploy` uses work pools; a mixture leaves runs that crash.

Who registers is a Prefect variable on the server. `deploy` keeps it until `deploy --remove`; `up` renews it
while it runs and deletes it at its end. One that was killed is found out without any clock: its sign of life
does not change while somebody watches for longer than it takes to renew it.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from data_contracts.errors import FinalError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

VARIABLE = "tillbridge_registrar"

BEAT_SECONDS = 30.0
"""How often `up` renews its sign of life."""

WATCH_SECONDS = 100.0
"""How long a sign of life must stay the same until its owner counts as dead."""

Mode = Literal["up", "deploy"]


class Claim:
    """What this process holds; `renew` while it lasts, `release` at the end."""

    def __init__(self, client: SyncPrefectClient, mode: Mode) -> None:
        self._client = client
        self._token = uuid.uuid4().hex
        self._beats = 0
        self._record: dict[str, Any] = {
            "mode": mode,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "token": self._token,
        }

    def take(
        self,
        *,
        sole: bool = False,
        watch_seconds: float = WATCH_SECONDS,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Become the registrar; `FinalError` names the one that is.

        `sole`: whoever is written there is dead for certain, as its server died with it.
        """
        while not self._create():
            other = read_registrar(self._client)
            if other is None:
                continue
            if not sole:
                self._make_way(other, watch_seconds, say)
            self._overwrite()
            return

    def look(self, *, say: Callable[[str], None] = lambda _: None) -> None:
        """`FinalError` where `take` would raise it; nothing is written."""
        other = read_registrar(self._client)
        if other is not None:
            self._make_way(other, WATCH_SECONDS, say)

    def renew(self) -> bool:
        """Give a sign of life; False if somebody else has taken over."""
        other = read_registrar(self._client)
        if other is None:
            return self._create()
        if other["token"] != self._token:
            return False
        self._beats += 1
        self._overwrite()
        return True

    def release(self) -> None:
        """Nobody registers any more; what another one took over is left alone."""
        other = read_registrar(self._client)
        if other is not None and other["token"] == self._token:
            self._client.delete_variable_by_name(VARIABLE)

    def _value(self) -> dict[str, Any]:
        return {**self._record, "beats": self._beats}

    def _create(self) -> bool:
        """Whether there was none: names are unique on the server, so one of two that start together wins."""
        from prefect.client.schemas.actions import VariableCreate
        from prefect.exceptions import ObjectAlreadyExists

        try:
            self._client.create_variable(
                VariableCreate(name=VARIABLE, value=self._value(), tags=["tillbridge"])
            )
        except ObjectAlreadyExists:
            return False
        return True

    def _overwrite(self) -> None:
        from prefect.client.schemas.actions import VariableUpdate

        self._client.update_variable(VariableUpdate(name=VARIABLE, value=self._value()))

    def _make_way(self, other: dict[str, Any], watch_seconds: float, say: Callable[[str], None]) -> None:
        """Return if its place may be taken."""
        if other["mode"] == self._record["mode"] == "deploy":
            return
        if other["mode"] == "deploy":
            raise FinalError(
                f"The flows are registered with work pools, by `tillbridge deploy` on {other['host']}.",
                next_step="start a worker, or run `tillbridge deploy --remove` first",
            )
        where = f"on {other['host']} (process {other['pid']})"
        say(f"Looking whether `tillbridge up` {where} is alive ...")
        if self._lives(other, watch_seconds):
            raise FinalError(
                f"`tillbridge up` {where} serves the flows of this Prefect server.",
                next_step="stop it first, or let it go on",
            )

    def _lives(self, other: dict[str, Any], watch_seconds: float) -> bool:
        deadline = time.monotonic() + watch_seconds
        while time.monotonic() < deadline:
            time.sleep(min(1.0, watch_seconds / 10))
            now = read_registrar(self._client)
            if now is None:
                return False
            if now != other:
                return True
        return False


def read_registrar(client: SyncPrefectClient) -> dict[str, Any] | None:
    """Who registers: mode, host, pid, token, beats; None if nobody does."""
    variable = client.read_variable_by_name(VARIABLE)
    if variable is None:
        return None
    # A value that a person wrote there counts as a registrar without a sign of life.
    written = variable.value if isinstance(variable.value, dict) else {}
    return {"mode": "up", "host": "an unknown host", "pid": 0, "token": "", **written}


def release_deploy(client: SyncPrefectClient) -> None:
    """Forget the registrar that `deploy` left."""
    other = read_registrar(client)
    if other is not None and other["mode"] == "deploy":
        client.delete_variable_by_name(VARIABLE)
