"""A Prefect server of one's own in one process: for the demo, `make ui` and tests.

It ends when its standard input closes, so that it never outlives the process that started it, whatever
killed that one. State lives under PREFECT_HOME, which the caller sets; no user profile is read.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_contracts.errors import TransientError

START_SECONDS = 120
HOST = "127.0.0.1"

BOUND = b"bound "
"""What the server says, with its port, once that is its own."""


def environment(home: Path, port: int) -> dict[str, str]:
    """The variables that tie a process (server or flow) to a server of its own in `home`."""
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_UI_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # For links: without /v2 they would lead into the older UI, which draws no diagrams.
        "PREFECT_UI_URL": f"http://{HOST}:{port}/v2",
        # Unless told so, the server keeps flow runs for ever.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "data_contracts,tasks",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "DO_NOT_TRACK": "1",
    }


@contextlib.contextmanager
def running_server(home: Path, *, port: int = 0) -> Iterator[str]:
    """Start a server in `home`, put its variables into this process, yield its UI's address; then stop it.

    It listens at `port` if that is free, else at any other. Call before Prefect is imported: it reads its
    settings once. Raises `TransientError` if the server does not answer within two minutes.
    """
    home.mkdir(parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    with (home / "server.log").open("ab") as log:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "deployments.prefect_server", str(home), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=Path(__file__).resolve().parent.parent,
            **_apart(),
        )
    try:
        chosen = _port_of(server, home / "server.log")
        variables = environment(home, chosen)
        os.environ.update(variables)
        _wait_until_healthy(server, variables["PREFECT_API_URL"], home / "server.log")
        yield f"http://{HOST}:{chosen}"
    finally:
        if "prefect" in sys.modules:
            # What the last run logged is still in a queue of this process.
            from prefect.logging.handlers import APILogHandler

            APILogHandler().flush()
        if server.stdin is not None:
            server.stdin.close()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdout is not None:
            server.stdout.close()


def _port_of(server: subprocess.Popen[bytes], log: Path) -> int:
    """The port it has taken: asked at one that is not its own, somebody else's server would answer for it."""
    said = server.stdout.readline().strip() if server.stdout is not None else b""
    if not said.startswith(BOUND):
        raise TransientError(
            "The local Prefect server did not start.", next_step=f"read {log}, then run it again"
        )
    return int(said.removeprefix(BOUND))


def _apart() -> dict[str, Any]:
    """Ctrl-C in the terminal is for us alone: the server is still needed while we stop, and ends with us."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _wait_until_healthy(server: subprocess.Popen[bytes], api: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{api}/health", timeout=2).close()  # noqa: S310 - loopback
            return
        time.sleep(0.2)
    raise TransientError(
        f"The local Prefect server at {api} did not start within {START_SECONDS} s.",
        next_step=f"read {log}",
    )


def serve(home: Path, port: int) -> None:
    """Run a server in this process, at that port if it is free, until standard input closes."""
    try:
        listening = socket.create_server((HOST, port))
    except OSError:
        listening = socket.create_server((HOST, 0))
    port = listening.getsockname()[1]
    os.environ.update(environment(home, port))  # before Prefect is imported
    sys.stdout.buffer.write(b"%s%d\n" % (BOUND, port))
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    import uvicorn
    from prefect.server.api.server import create_app

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(final=True), host=HOST, port=port, log_level="error", timeout_graceful_shutdown=5
        )
    )

    def stop_with_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=stop_with_parent, daemon=True).start()
    server.run(sockets=[listening])


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
