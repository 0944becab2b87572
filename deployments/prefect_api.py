"""The Prefect server that the environment names: a connection to it, or one sentence that says why not."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from data_contracts.errors import ConfigurationError, TillbridgeError, TransientError
from tasks.settings import Settings
from tasks.use_cases.checking import CheckResult

if TYPE_CHECKING:
    from httpx import HTTPStatusError
    from prefect.client.orchestration import SyncPrefectClient

_HOW = "set PREFECT_API_URL to the server's address, such as http://127.0.0.1:4200/api"


@contextlib.contextmanager
def connected() -> Iterator[SyncPrefectClient]:
    """A client of the configured server.

    `ConfigurationError` if none is configured, the address is not one, leads elsewhere, or we are refused;
    `TransientError` if nothing answers there, or it stops answering. A request of ours that it refuses
    becomes one of the two as well.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        raise ConfigurationError(
            "No Prefect server is configured: without one nothing is ever scheduled.",
            next_step=f"{_HOW}, or run `tillbridge up`, which starts one",
        )
    shown = shown_address(str(url))
    try:
        with get_client(sync_client=True) as client:
            _hear(client, shown)
            yield client
    except httpx.TransportError as error:
        raise TransientError(
            f"The Prefect server at {shown} does not answer ({type(error).__name__}).",
            next_step="start it, or correct PREFECT_API_URL",
        ) from error
    except httpx.HTTPStatusError as error:
        raise _refused(error, shown) from None  # its text has the whole address, with a password


def shown_address(url: str) -> str:
    """An address without a user's name or password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def without_password(error: BaseException) -> str:
    """What an error says, for a log: httpx writes the whole address of a request into it."""
    return re.sub(r"(?<=://)[^/\s'\"]*@", "", str(error))


def _hear(client: SyncPrefectClient, shown: str) -> None:
    """Ask for the version: a page of another server, or the UI's own, is no answer."""
    import httpx

    try:
        version = client.api_version()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ConfigurationError(
                f"The Prefect server at {shown} refuses us (status {status}).",
                next_step="set PREFECT_API_AUTH_STRING or PREFECT_API_KEY, whichever it wants",
            ) from error
        raise _no_api(shown) from error
    except (ValueError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise _no_api(shown) from error
    if not isinstance(version, str):
        raise _no_api(shown)


def _refused(error: HTTPStatusError, shown: str) -> TillbridgeError:
    status, request = error.response.status_code, error.request
    message = f"The Prefect server at {shown} refused {request.method} {request.url.path} (status {status})."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransientError(message, next_step="run it again; if that does not help, read the server's log")
    return ConfigurationError(
        message, next_step="compare `prefect version` here and there: the server must not be the older one"
    )


def _no_api(shown: str) -> ConfigurationError:
    return ConfigurationError(
        f"What answers at {shown} is not the interface of a Prefect server.",
        next_step=f"{_HOW}; the address ends in /api",
    )


def check_prefect(settings: Settings) -> CheckResult | None:
    """Whether the Prefect server answers and has the block of the alerts; None if neither is set here."""
    from deployments.automations import find_block

    if not (os.environ.get("PREFECT_API_URL") or settings.prefect.notification_block):
        return None
    try:
        with connected() as client:
            find_block(client, settings.prefect.notification_block)
            address = shown_address(str(client.api_url))
    except TillbridgeError as error:
        return CheckResult("Prefect", False, error.message, error.next_step)
    told = settings.prefect.notification_block
    return CheckResult("Prefect", True, f"answers at {address}" + (f"; alerts go by {told}" if told else ""))
