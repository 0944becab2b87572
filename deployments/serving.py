"""`tillbridge up`: what one machine needs: a Prefect server, all deployments served, sample tills.

Runs until it is told to stop, by Ctrl-C or SIGTERM, and leaves no process behind. Nothing is lost when it is
killed: its server ends with it, and the next runs go on where those at work stood.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from data_contracts.errors import ConfigurationError, FinalError
from deployments.prefect_api import shown_address, without_password
from deployments.prefect_server import HOST, running_server
from deployments.templates import Planned, plan
from tasks.settings import CONFIG_VARIABLE, Settings, load_settings
from tasks.use_cases.standing import hub_is_elsewhere

if TYPE_CHECKING:
    from prefect.runner import Runner

    from deployments.registrar import Claim

log = logging.getLogger(__name__)

PORT = 4200
"""Where our own server listens if it can: Prefect's usual port."""

GRACE_SECONDS = 20.0
"""How long runs at work may go on after we are told to stop."""

DEMO_SECONDS = 15.0
"""How often the demo looks for new tickets."""

Say = Callable[[str], None]


def serve(
    config: Path | None,
    *,
    every: float | None = None,
    demo: bool = False,
    verbose: bool = False,
    say: Say = lambda _: None,
) -> None:
    """Serve the installation of `config` until stopped.

    `every`: seconds between two looks of the long-lived process; none runs a process for each run, on the
    schedules of prefect.yaml. Raises `FinalError` while another registrar is active, and whatever
    `load_settings`, `running_server` and `connected` raise.
    """
    with _stop_signals() as stopped:
        if demo:
            from deployments.demo.shops import open_shops

            say("The sample shops are in .up/; they are built if they are not there yet.")
            config, every = open_shops(), every or DEMO_SECONDS
        settings = load_settings(config)
        os.environ[CONFIG_VARIABLE] = str(_config_file(config))
        with _server(settings, say) as (address, own):
            _log_in_the_ui(verbose)
            _serve_on(settings, address, own, stopped, every=every, demo=demo, say=say)
    say("Stopped.")


def to_serve(settings: Settings) -> list[Planned]:
    """What can run here: the flows of stores with an RMS database here, and the hub's unless it is elsewhere.

    `ConfigurationError` if that is nothing.
    """
    here = [code for code, store in settings.stores.items() if store.rms_url is not None]
    hub = not hub_is_elsewhere(settings)
    chosen = [entry for entry in plan(settings) if (hub if entry.store is None else entry.store in here)]
    if not chosen:
        raise ConfigurationError(
            "Nothing can run on this machine: no store has an rms_url, and the hub is elsewhere.",
            next_step="set rms_url in [stores.CODE], or [hub], in tillbridge.toml",
        )
    return chosen


def _serve_on(
    settings: Settings,
    address: str,
    own: bool,
    stopped: threading.Event,
    *,
    every: float | None,
    demo: bool,
    say: Say,
) -> None:
    from deployments.automations import apply_automations
    from deployments.polling import Polling, is_polled
    from deployments.prefect_api import connected
    from deployments.registering import our_deployments, register
    from deployments.registrar import Claim
    from deployments.unblocking import unblock

    planned = to_serve(settings)
    with connected() as client:
        claim = Claim(client, "up")
        claim.take(sole=own, say=say)
        try:
            if any(deployment.work_pool_name for deployment in our_deployments(client)):
                raise FinalError(
                    "Flows of tillbridge are registered with work pools on this Prefect server.",
                    next_step="run `tillbridge deploy --remove` first",
                )
            polled = {entry.name for entry in planned if every is not None and is_polled(entry)}
            done = register(client, planned, pools=False, polled=polled)
            if own:  # its runs died with it: nothing that it says is at work is
                unblock((), settings.alerts, every=True)
            # With SQLite, a server that notes something of each run as well locks itself out (a hundred times
            # a minute with `every`), loses events and stalls. Here a run that dies is noticed without.
            apply_automations(settings, each_run=not own)
            polling = None
            if every is not None:
                asked = [entry for entry in planned if entry.name not in done.paused]
                polling = Polling(settings, asked, done.ids, every)
            with contextlib.ExitStack() as running:
                running.enter_context(_heart(claim, stopped))
                running.enter_context(_runner(done.ids))
                if polling is not None:
                    running.callback(_end_polling, polling, say)
                    polling.start()
                if demo:
                    running.enter_context(_tills(settings))
                _say_what_runs(done.ids, done.paused, address, every, demo=demo, say=say)
                while not stopped.wait(1.0):  # a wait without an end would not hear Ctrl-C on Windows
                    pass
                say("Stopping ...")
        finally:
            _let_go(claim)


def _say_what_runs(
    ids: Mapping[str, UUID],
    paused: Sequence[str],
    address: str,
    every: float | None,
    *,
    demo: bool,
    say: Say,
) -> None:
    pace = "a process for each run" if every is None else f"a look every {every:g} s from this process"
    say(f"{len(ids)} deployments are served: {pace}.")
    if demo:
        say("Two sample shops ring a ticket each every half a minute.")
    if paused:
        say(f"Paused in the UI, and left so: {', '.join(paused)}.")
    say(f"The Prefect UI: {address}   (Ctrl-C stops everything)")


def _log_in_the_ui(verbose: bool) -> None:
    """What a run says belongs on its page; here only what is wrong. Before Prefect is imported."""
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "data_contracts,tasks")
    if not verbose:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "WARNING"
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.WARNING)


def _config_file(config: Path | None) -> Path:
    return Path(config or os.environ.get(CONFIG_VARIABLE) or "tillbridge.toml").resolve()


# -- the server -------------------------------------------------------------------------------------
@contextlib.contextmanager
def _server(settings: Settings, say: Say) -> Iterator[tuple[str, bool]]:
    """The UI's address, of the configured server or of one of our own that ends with us; and whether ours."""
    configured = configured_server()
    if configured:
        yield shown_address(configured.removesuffix("/").removesuffix("/api")), False
        return
    home = settings.folder / ".tillbridge" / "prefect"
    with _only_one(home):
        say("A Prefect server of its own starts ...")
        with running_server(home, port=PORT) as address:
            yield address, True


def configured_server() -> str | None:
    """The address in Prefect's settings (environment, profile, files), asked without importing them here."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    asked = "from prefect.settings import get_current_settings as s; print(s().api.url or '')"
    answer = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", asked], capture_output=True, text=True, check=False
    )
    found = answer.stdout.strip().splitlines()
    if found and found[-1]:
        os.environ["PREFECT_API_URL"] = found[-1]
        return found[-1]
    return None


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Two servers on one database spoil it: the second `up` in a folder is told where the first one listens.

    Held by a listening socket, which no killed process leaves behind.
    """
    import socket

    home.mkdir(parents=True, exist_ok=True)
    file = home / "port"
    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest().encode()
    with contextlib.suppress(OSError, ValueError):
        before = int(file.read_text(encoding="ascii"))
        with socket.create_connection((HOST, before), timeout=2) as other:
            if other.recv(len(name)) == name:
                raise FinalError(
                    f"`tillbridge up` runs already for {home.parent.parent}.",
                    next_step="stop that one first, or let it go on",
                )
    guard = socket.create_server((HOST, 0))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = guard.accept()
                with caller:
                    caller.sendall(name)

    threading.Thread(target=answer, daemon=True).start()
    file.write_text(str(guard.getsockname()[1]), encoding="ascii")
    try:
        yield
    finally:
        guard.close()
        file.unlink(missing_ok=True)


# -- what runs beside it ----------------------------------------------------------------------------
@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process as usual."""
    stopped = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def stop(number: int, _: Any) -> None:
        stopped.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Known:
    """A deployment that is registered already, as `Runner.add_deployment` takes one."""

    storage = None

    def __init__(self, name: str, deployment: UUID) -> None:
        self.name = name
        self._id = deployment

    async def aapply(self) -> UUID:
        return self._id


@contextlib.contextmanager
def _runner(ids: Mapping[str, UUID]) -> Iterator[None]:
    """Prefect's runner in a thread of its own, where it sets no signal handlers; its runs end with it."""
    from prefect.runner import Runner

    runner = Runner(name="tillbridge", pause_on_shutdown=False)
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(_start(runner, ids))
        except Exception as error:  # noqa: BLE001 - the border of the thread
            log.warning("the runner stopped: %s", without_password(error))

    thread = threading.Thread(target=run, name="runner", daemon=True)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(runner.astop(), loop).result(GRACE_SECONDS)
        thread.join(GRACE_SECONDS)
        if not thread.is_alive():
            loop.close()


async def _start(runner: Runner, ids: Mapping[str, UUID]) -> None:
    for name, deployment in ids.items():
        await runner.aadd_deployment(cast(Any, _Known(name, deployment)))
    await runner.start()


@contextlib.contextmanager
def _heart(claim: Claim, stopped: threading.Event) -> Iterator[None]:
    """Signs of life while we are the registrar; who was taken over stops."""
    from deployments.registrar import BEAT_SECONDS

    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            try:
                if not claim.renew():
                    log.warning("another process serves the flows now; this one stops")
                    stopped.set()
                    return
            except Exception as error:  # noqa: BLE001 - the server may be away for a while
                log.warning("no sign of life could be given: %s", without_password(error))

    thread = threading.Thread(target=beat, name="heart", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5)


def _let_go(claim: Claim) -> None:
    """Whoever comes next need not wait; a server that does not answer is not waited for."""

    def release() -> None:
        with contextlib.suppress(Exception):
            claim.release()

    last = threading.Thread(target=release, name="release", daemon=True)
    last.start()
    last.join(10)


@contextlib.contextmanager
def _tills(settings: Settings) -> Iterator[None]:
    from deployments.demo.shops import Tills

    tills = Tills(settings)
    tills.start()
    try:
        yield
    finally:
        tills.stop()


def _end_polling(polling: Any, say: Say) -> None:
    late = polling.stop(GRACE_SECONDS)
    if late:
        say(f"Still at work, and left: {', '.join(late)}. The next run goes on where they stood.")
