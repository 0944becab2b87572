"""The Prefect server that this machine is set up for, as a client; never a throw-away one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from data_contracts.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@contextlib.contextmanager
def api() -> Iterator[SyncPrefectClient]:
    """A client of the server named by PREFECT_API_URL or the active profile.

    Without one Prefect would start a server that lives as long as the command: nothing registered there
    would ever run. Raises `ConfigurationError` then, and `TransientError` if the server does not answer.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        raise ConfigurationError(
            "No Prefect server is named on this machine.",
            next_step="set PREFECT_API_URL, for example to http://127.0.0.1:4200/api",
        )
    try:
        with get_client(sync_client=True) as client:
            yield client
    except httpx.TransportError as error:
        host = httpx.URL(url).netloc.decode()
        raise TransientError(
            f"The Prefect server at {host} does not answer.",
            next_step="start it, or correct PREFECT_API_URL",
        ) from error
