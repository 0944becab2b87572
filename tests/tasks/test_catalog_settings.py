"""The settings of the catalogue: whose column names, which price, which products for which store."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_contracts.catalog import TillRules
from data_contracts.errors import ConfigurationError
from tasks.settings import CatalogSettings, load_settings
from tests.tasks.test_settings import written


def test_a_store_has_its_own_price_and_departments_and_else_those_of_all(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[catalog]\ntill_price = ["price"]\nsend_kits = true\n'
        '[catalog.stores.S1]\ndepartments = ["Toys"]\ntill_price = ["price_a", "price"]\n'
        "[catalog.stores.S2]\nsend = false\n[stores.S1]\n[stores.S2]\n[stores.S3]\n",
    )

    catalog = load_settings(file).catalog

    assert catalog.rules("S1") == TillRules(("price_a", "price"), send_kits=True, departments=("Toys",))
    assert catalog.rules("S3") == TillRules(("price",), send_kits=True)
    assert [catalog.sends_to(store) for store in ("S1", "S2", "S3")] == [True, False, True]
    assert CatalogSettings().rules("S1") == TillRules(("store_price", "price"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[catalog.columns]\nname = "Title"\ncolour = "Color"\n',
            "line 3.*colour.*is no column of the catal",
        ),
        ('[catalog]\ntill_price = ["price", "site_price"]\n', "line 2: `catalog.till_price"),
        ("[catalog]\ntill_price = []\n", "line 2: `catalog.till_price"),
        ('[catalog]\nprofile = "shopify"\n', "line 2: `catalog.profile"),
        ("[catalog]\nretry_refused_minutes = 0\n", "line 2: `catalog.retry_refused_minutes"),
        ("[stores.S1]\n[catalog.stores.S9]\nsend = false\n", "line 2: `catalog.stores.S9` is not a store"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_settings(written(tmp_path, text))
