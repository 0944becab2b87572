"""Two sample shops that stay open: for `tillbridge up --demo`, under `.up/` of the current folder.

Built once, then gone on with; their tills ring by themselves while somebody asks them to.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from data_contracts.errors import ConfigurationError, TillbridgeError
from deployments.demo.stage import CONFIG, FOLDER, SEED
from tasks.settings import Settings, load_settings

log = logging.getLogger(__name__)

HOME = Path(".up")

MARK = ".made-by-tillbridge-up"

PER_MINUTE = 2.0
"""Tickets that each till rings in a minute."""

HISTORY = 100
"""Tickets each shop had rung before it went live."""


def open_shops(home: Path = HOME) -> Path:
    """The settings file of the sample shops; they are built and put live if they are not there yet.

    Raises `ConfigurationError` if the folder holds something else.
    """
    config = home / "tillbridge.toml"
    mark = home / MARK
    if home.exists() and any(home.iterdir()):
        if not mark.exists():
            raise ConfigurationError(
                f"{home} was not made by `tillbridge up --demo`, or not to its end; it is left alone.",
                next_step="move it away",
            )
        return config
    home.mkdir(exist_ok=True)
    config.write_text(
        CONFIG.format(exchange=FOLDER).replace("make demo", "tillbridge up --demo"), encoding="utf-8"
    )
    _put_live(load_settings(config), home)
    mark.touch()
    return config


def _put_live(settings: Settings, home: Path) -> None:
    from deployments.sample_store.build import build_store
    from deployments.sample_store.catalog import write_catalog
    from deployments.sample_store.store import SampleStore
    from deployments.sample_store.tickets import read_invoices, split_invoices
    from tasks.hub.database import migrate, open_hub
    from tasks.hub.registry import configure
    from tasks.use_cases.applying_products import apply_products
    from tasks.use_cases.baselining import baseline_store
    from tasks.use_cases.catalog import import_catalog
    from tasks.use_cases.exporting_products import export_products
    from tasks.use_cases.importing import import_waiting
    from tasks.use_cases.stating import publish_statement

    invoices = read_invoices()
    shares = split_invoices(invoices, len(settings.stores), SEED)
    for store_id, (code, share) in enumerate(zip(sorted(settings.stores), shares, strict=True), start=1):
        url = settings.rms_url(code)
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
        build_store(url, store_id=store_id, invoices=share, all_invoices=invoices, seed=SEED)
        with SampleStore.open(url) as shop:
            shop.write_history(HISTORY)
    migrate(settings.hub_url)
    with open_hub(settings.hub_url) as hub:
        configure(hub, settings)
    write_catalog(home / "catalog.csv", invoices)
    import_catalog(settings, home / "catalog.csv")
    for code in sorted(settings.stores):
        baseline_store(settings, code, stock_from_rms=True)
    import_waiting(settings)
    export_products(settings)
    for code in sorted(settings.stores):
        apply_products(settings, code)
        publish_statement(settings, code)
    export_products(settings)
    import_waiting(settings)


class Tills:
    """A till per shop that rings until it is told to stop."""

    def __init__(self, settings: Settings, per_minute: float = PER_MINUTE) -> None:
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._ring, args=(settings, code, per_minute, seed), name=f"till {code}", daemon=True
            )
            for seed, code in enumerate(sorted(settings.stores), start=1)
        ]

    def start(self) -> None:
        """Begin to ring."""
        for till in self._threads:
            till.start()

    def stop(self) -> None:
        """Finish the tickets at hand."""
        self._ended.set()
        for till in self._threads:
            till.join(10)

    def _ring(self, settings: Settings, code: str, per_minute: float, seed: int) -> None:
        from deployments.sample_store.till import run_till

        try:
            run_till(
                settings.rms_url(code),
                per_minute,
                seed,
                stop=self._ended.is_set,
                time_zone=settings.store(code).time_zone,
            )
        except TillbridgeError as error:
            log.warning("the till of %s stopped: %s", code, error)
