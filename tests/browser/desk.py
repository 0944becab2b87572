"""A Prefect server, flows served by one process and a browser: what a person at the desk has before them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect, sync_playwright

from deployments.prefect_server import running_server
from tasks.settings import CONFIG_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
PICTURES_VARIABLE = "TILLBRIDGE_TEST_PICTURES"
SECONDS = 120
"""How long a run may take on a busy machine, its Python's start included."""


@dataclass
class Desk:
    """The UI in a browser, and the API that it asks itself."""

    page: Page
    address: str

    def ask(self, path: str, **body: Any) -> Any:
        """What the API answers to a POST."""
        return httpx.post(f"{self.address}/api/{path}", json=body, timeout=30).raise_for_status().json()

    def runs(self) -> int:
        """How many runs there are."""
        return int(self.ask("flow_runs/count"))

    def open_form(self, deployment: str) -> None:
        """From the list of deployments to the form of a custom run."""
        self.page.goto(f"{self.address}/v2/deployments")
        listed = self.page.get_by_role("main").locator("a[href*='/deployments/deployment/']")
        listed.filter(has_text=re.compile(f"^{deployment}$")).first.click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.page.wait_for_load_state("networkidle")

    def submit(self) -> str:
        """Submit the form and go to the run; its id."""
        with self.page.expect_response(re.compile("/create_flow_run")) as answer:
            self.page.get_by_role("button", name="Submit").click()
        run = str(answer.value.json()["id"])
        self.page.goto(f"{self.address}/v2/runs/flow-run/{run}")
        return run

    def state(self, run: str) -> str:
        """How a run has ended, waiting for it, as the API says and the page shows."""
        deadline = time.monotonic() + SECONDS
        while True:
            (found,) = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
            kind = str(found["state"]["type"])
            if kind in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                break
            assert time.monotonic() < deadline, f"after {SECONDS} s the run is {kind}"
            time.sleep(0.5)
        self.page.reload()
        expect(self.page.get_by_role("main").get_by_text(kind.capitalize(), exact=True).first).to_be_visible()
        return kind

    def open_artifact(self, key: str) -> Locator:
        """From a run's page to one of its artifacts."""
        self.page.get_by_role("tab", name="Artifacts").click()
        self.page.get_by_role("link", name=re.compile(f"MARKDOWN {key} ")).first.click()
        self.page.wait_for_url(f"**/artifacts/key/{key}")
        self.page.get_by_role("main").locator("a[href*='/artifacts/artifact/']").first.click()
        page = self.page.get_by_role("main")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page

    def picture(self, name: str, height: int = 760) -> None:
        """Keep what the page shows as a picture for the documentation, if asked to."""
        if not os.environ.get(PICTURES_VARIABLE):
            return
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(1_000)  # movements of the page itself
        box = self.page.get_by_role("main").bounding_box()
        assert box is not None
        clip = {**box, "height": min(box["height"], height)}
        PICTURES.mkdir(exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", clip=clip, full_page=True)  # type: ignore[arg-type]


@contextlib.contextmanager
def open_desk(home: Path, settings_file: Path, chromium: str) -> Iterator[Desk]:
    """Start all of it; the environment is afterwards as it was."""
    before = dict(os.environ)
    try:
        with running_server(home) as address, _served(home, settings_file), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1340, "height": 900})
            page.set_default_timeout(60_000)
            expect.set_options(timeout=60_000)
            desk = Desk(page, address)
            deadline = time.monotonic() + SECONDS
            while desk.ask("deployments/count") < 5:
                assert time.monotonic() < deadline, (home / "served.log").read_text(encoding="utf-8")
                time.sleep(0.5)
            yield desk
            browser.close()
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _served(home: Path, settings_file: Path) -> Iterator[None]:
    variables = {**os.environ, CONFIG_VARIABLE: str(settings_file), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with (home / "served.log").open("wb") as log:
        serving = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.served"], cwd=ROOT, env=variables, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        serving.terminate()
        try:
            serving.wait(timeout=30)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()
