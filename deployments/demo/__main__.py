"""`make demo`: the whole story on one machine, told to a shop owner, with the real flows.

Builds two sample shops from real tickets under `.demo/`, baselines them, rings several business days,
runs the Prefect flows in this process against a Prefect server of its own, and ends with a
reconciliation. A second run starts fresh, also after a killed one. `make ui` opens the history.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import click

from data_contracts.errors import ConfigurationError, TillbridgeError
from deployments.demo.goods import new_goods
from deployments.demo.opening import build_shops, fill_tills, go_live, set_up_hub
from deployments.demo.proof import last_page, prove
from deployments.demo.stage import CONFIG, EXCHANGE, HOME, OVER_SFTP, SFTP, Tally, heading, start_fresh
from deployments.demo.trading import set_aside, trade
from deployments.demo.troubles import spoiled_batch, sweep, unknown_sku, wrong_code
from deployments.output import say
from tasks.settings import CONFIG_VARIABLE, Settings, load_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story, or (`ui`) open the history of the last one; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments == ["ui"]:
            return open_ui()
        return tell()
    except TillbridgeError as error:
        click.echo(f"\nThe demo stopped: {error}", err=True)
        return 1


def open_ui() -> int:
    """Serve the Prefect history of the last demo until interrupted."""
    from deployments.prefect_server import running_server

    home = HOME / "prefect"
    if not home.is_dir():
        raise ConfigurationError("There is no history yet.", next_step="run `make demo` first")
    with running_server(home) as address:
        click.echo(f"The demo's flow runs: {address}/runs   (Ctrl-C ends)")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            click.echo("\nStopped.")
    return 0


def tell() -> int:
    """The story from an empty folder to its last page."""
    from deployments.sftp_server import SftpServer, public_line

    began = time.monotonic()
    start_fresh()
    click.echo("tillbridge demo: two shops, one hub, real tickets. Everything is in .demo/\n")
    with SftpServer(EXCHANGE, keys=[public_line(HOME / "till_key")]) as server:
        exchange = SFTP.format(url=server.url, fingerprint=server.fingerprint)
        OVER_SFTP.write_text(CONFIG.format(exchange=exchange), encoding="utf-8")
        unexplained, tally = tell_story(load_settings(OVER_SFTP), server.port)
    last_page(tally, time.monotonic() - began, unexplained)
    return 0 if unexplained == 0 else 1


def tell_story(settings: Settings, port: int) -> tuple[int, Tally]:
    """From two shops to a reconciled hub, over the SFTP server on `port`; how much is unexplained."""
    from deployments.prefect_server import running_server
    from deployments.sample_store.tickets import read_invoices

    os.environ[CONFIG_VARIABLE] = str(OVER_SFTP)
    invoices = read_invoices()
    build_shops(settings, invoices)
    set_up_hub(settings, invoices)
    heading("3", "A Prefect server of its own starts; all that follows are real flow runs")
    with running_server(HOME / "prefect") as address:
        # The runs log to the server, where `make ui` shows them; the story stays readable.
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        say(f"Listening at {address} until the story ends.")
        click.echo()
        tally = Tally()
        go_live(settings, tally, port)
        fill_tills(settings, tally)
        trade(settings, tally)
        set_aside(settings, tally)
        unknown_sku(settings, tally)
        new_goods(settings, tally)
        spoiled_batch(settings, tally)
        wrong_code(settings, tally)
        sweep(settings, tally)
        return prove(settings, tally), tally


if __name__ == "__main__":
    sys.exit(main())
