"""The settings file is read as it is meant, and what is wrong in it is named by file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from data_contracts.errors import ConfigurationError
from data_contracts.products import Owner
from data_contracts.till_items import Policy
from tasks.settings import ChannelWarehouse, Settings, load_settings

FULL = """\
[hub]
url = "postgresql+psycopg://hub:${TEST_HUB_PASSWORD}@db.example.com/hub"
default_warehouse = "MAIN"

[exchange]
url = "exchange"

[warehouses.SHOP]
name = "Shop floor"

[warehouses.RETURNS]
sellable = false

[[channel_warehouses]]
company = "main"
warehouse = "SHOP"

[stores.S1]
rms_url = "sqlite:///rms/s1.db"
time_zone = "Europe/London"
warehouse = "SHOP"
returns_warehouse = "RETURNS"

[stores.S1.codes]
recall_order = 5
home_order_types = [3]

[stores.S2]
business_date = "day_start"
day_start = "04:30"
"""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TILLBRIDGE_CONFIG", raising=False)
    monkeypatch.setenv("TEST_HUB_PASSWORD", "sesame")


def written(folder: Path, text: str) -> Path:
    file = folder / "tillbridge.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(folder: Path, text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(folder, text))
    return caught.value


def test_a_full_file_is_read_as_it_is_meant(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, FULL))

    assert settings.hub_url == "postgresql+psycopg://hub:sesame@db.example.com/hub"
    assert settings.rms_url("S1") == f"sqlite:///{tmp_path / 'rms' / 's1.db'}"
    assert settings.exchange_url == str(tmp_path / "exchange")
    assert settings.inbox == tmp_path / "inbox"
    assert settings.warehouses["RETURNS"].sellable is False
    assert settings.store("S1").codes.recall_order == 5
    assert settings.store("S1").codes.home_order_types == (3,)
    assert settings.store("S2").day_start == "04:30"
    assert settings.mappings() == (
        ChannelWarehouse(company="main", warehouse="SHOP"),
        ChannelWarehouse(company="main", channel="RMS", store="S1", warehouse="SHOP"),
    )


def test_an_empty_file_serves_at_once(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, ""))

    assert settings == Settings(folder=tmp_path)
    assert settings.hub_url == f"sqlite:///{tmp_path / 'hub.db'}"
    assert settings.mappings() == ()


def test_the_file_is_found_by_argument_then_environment_then_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("argument", "environment", "here"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, f'[hub]\ncompany = "{name}"')
    monkeypatch.chdir(tmp_path / "here")

    assert load_settings().hub.company == "here"
    monkeypatch.setenv("TILLBRIDGE_CONFIG", str(tmp_path / "environment" / "tillbridge.toml"))
    assert load_settings().hub.company == "environment"
    assert load_settings(tmp_path / "argument" / "tillbridge.toml").hub.company == "argument"


def test_paths_start_at_the_file_and_not_at_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    written(tmp_path, "")
    monkeypatch.chdir(tmp_path)

    settings = load_settings("tillbridge.toml")
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert settings.exchange_url == str(tmp_path / "exchange")
    assert settings.hub_url == f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.mark.parametrize("url", ["sftp://bridge@files.example.com/in", "ftps://files.example.com/in"])
def test_an_exchange_with_a_host_stays_a_url(tmp_path: Path, url: str) -> None:
    assert load_settings(written(tmp_path, f'[exchange]\nurl = "{url}"')).exchange_url == url


@pytest.mark.parametrize(
    "url",
    [
        "sftp:/till:sesame@host/in",
        "sftp:till:sesame@host/in",
        " sftp://till:sesame@host/in",
        "sftp//till:sesame@host/in",
        "ssh://till:sesame@host/in",
        "till:sesame@host/in",
    ],
)
def test_a_misspelled_address_is_no_folder_and_its_password_is_not_shown(tmp_path: Path, url: str) -> None:
    """It was taken for a folder, and the error that the folder is not there held the password."""
    error = refused(tmp_path, f'[exchange]\nurl = "{url}"')

    assert "tillbridge.toml, line 2: `exchange.url`" in error.message
    assert "is neither a folder nor an address such as sftp://user@host/folder" in error.message
    assert "sesame" not in f"{error} {error!r} {error.context}"


@pytest.mark.parametrize("url", [r"C:\\exchange", "exchange 2@shop", "//server/share/in"])
def test_a_folder_with_an_odd_name_is_a_folder(tmp_path: Path, url: str) -> None:
    assert "://" not in load_settings(written(tmp_path, f'[exchange]\nurl = "{url}"')).exchange_url


def test_a_host_key_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, '[exchange]\nurl = "exchange"\nhost_keys = ["MD5:aa:bb"]')

    assert "tillbridge.toml, line 3: `exchange.host_keys.0`" in error.message
    assert "`MD5:aa:bb` is not a host key; use `SHA256:...` as `ssh-keygen -lf` prints it" in error.message


def test_the_key_to_log_in_with_is_found_from_the_file_and_from_home_and_its_passphrase_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("TILL_KEY", "open sesame")
    text = "[exchange]\nkey_file = '{}'\nkey_passphrase = '${{TILL_KEY}}'"

    beside = load_settings(written(tmp_path, text.format("keys/till")))
    at_home = load_settings(written(tmp_path, text.format("~/till")))

    assert (beside.key_file, at_home.key_file) == (tmp_path / "keys/till", tmp_path / "home/till")
    assert beside.exchange.key_passphrase is not None
    assert beside.exchange.key_passphrase.get_secret_value() == "open sesame"
    assert "sesame" not in repr(beside)


@pytest.mark.parametrize("password", ["p@ss:w/0?r#d%", "größe", "plain"])
def test_a_password_from_the_environment_may_hold_any_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """`p@ssword` used to become a part of the server's name, and then of the error about it."""
    monkeypatch.setenv("TEST_HUB_PASSWORD", password)
    monkeypatch.setenv("TEST_HOST", "shop\\EXPRESS")
    text = FULL.replace("sqlite:///rms/s1.db", "mssql+pyodbc://sa@${TEST_HOST}/rms?PWD=${TEST_HUB_PASSWORD}")
    settings = load_settings(written(tmp_path, text))

    hub, rms = make_url(settings.hub_url), make_url(settings.rms_url("S1"))
    assert (hub.username, hub.password, hub.host, hub.database) == ("hub", password, "db.example.com", "hub")
    assert (rms.username, rms.host, rms.query["PWD"]) == ("sa", "shop\\EXPRESS", password)


def test_a_variable_that_is_the_whole_value_or_a_path_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_URL", "postgresql+psycopg://u:p%40ss@host/hub")
    monkeypatch.setenv("TEST_FOLDER", str(tmp_path / "a folder"))
    settings = load_settings(
        written(
            tmp_path,
            '[hub]\nurl = "${TEST_URL}"\n[exchange]\nurl = "${TEST_FOLDER}/exchange"\n'
            '[stores.S1]\nrms_url = "sqlite:///${TEST_FOLDER}/rms.db"\n',
        )
    )

    assert settings.hub_url == "postgresql+psycopg://u:p%40ss@host/hub"
    assert settings.exchange_url == str(tmp_path / "a folder" / "exchange")
    assert settings.rms_url("S1") == f"sqlite:///{tmp_path / 'a folder' / 'rms.db'}"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_without_a_file_keeps_its_url(tmp_path: Path, url: str) -> None:
    assert load_settings(written(tmp_path, f'[hub]\nurl = "{url}"')).hub_url == url


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("[hub]\ncompany = 7\n", 2, "hub.company", "valid string"),
        ("[hub]\n\ncompny = 'x'\n", 3, "hub.compny", "is not a setting"),
        ("[hubb]\nurl = 'x'\n", 1, "hubb", "is not a setting"),
        ("folder = 'x'\n", 1, "folder", "is not a setting"),
        ("[hub]\ntolerance_per_line = '1'\n", 2, "hub.tolerance_per_line", "pattern"),
        ("[stores.S1]\ntime_zone = 'Europe/Londn'\n", 2, "stores.S1.time_zone", "Europe/Londn"),
        ("[stores.S1]\n[stores.S2]\nday_start = '24:00'\n", 3, "stores.S2.day_start", "pattern"),
        ("[stores.S1]\nbusiness_date = 'utc'\n", 2, "stores.S1.business_date", "calendar"),
        ("[stores.S1]\nsettle_minutes = -1\n", 2, "stores.S1.settle_minutes", "greater than or equal to 0"),
        ("[stores.S1.codes]\nrecall_void = 'x'\n", 2, "stores.S1.codes.recall_void", "valid integer"),
        ("[stores.S1]\nwarehouse = 'NOWHERE'\n", 2, "stores.S1.warehouse", "unknown warehouse `NOWHERE`"),
        (
            "[stores.S1]\nreturns_warehouse = 'NOWHERE'\n",
            2,
            "stores.S1.returns_warehouse",
            "unknown warehouse `NOWHERE`",
        ),
        (
            "[[channel_warehouses]]\nwarehouse = 'NOWHERE'\n",
            2,
            "channel_warehouses.warehouse",
            "unknown warehouse `NOWHERE`",
        ),
        (
            "[[channel_warehouses]]\nwarehouse = 'MAIN'\nstore = 'S9'\n",
            3,
            "channel_warehouses.store",
            "unknown store `S9`",
        ),
        (
            "[hub]\nurl = '${NOT_SET_ANYWHERE}'\n",
            2,
            "hub.url",
            "environment variable NOT_SET_ANYWHERE, which is not set",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, reason: str
) -> None:
    error = refused(tmp_path, text)

    assert error.message.startswith(f"{tmp_path / 'tillbridge.toml'}, line {line}: `{key}` ")
    assert reason in error.message
    assert error.context == {"file": str(tmp_path / "tillbridge.toml"), "key": key}


@pytest.mark.parametrize("code", ["a/b", "..", "", "x" * 21, "S 1", "é"])
def test_a_code_that_cannot_be_a_folder_is_refused(tmp_path: Path, code: str) -> None:
    for table in ("stores", "warehouses"):
        assert "1 to 20 letters, digits" in refused(tmp_path, f'[{table}."{code}"]\n').message


def test_store_codes_that_are_one_folder_on_a_windows_disk_are_refused_by_name(tmp_path: Path) -> None:
    error = refused(tmp_path, "[stores.S1]\n[stores.s1]\n")

    assert "line 2: `stores.s1` differs from `S1` by upper and lower case only" in error.message


@pytest.mark.parametrize("code", ["CON", "nul", "Prn", "AUX", "COM1", "lpt9"])
def test_a_store_code_that_windows_keeps_for_a_device_is_refused_by_name(tmp_path: Path, code: str) -> None:
    error = refused(tmp_path, f"[stores.S1]\n[stores.{code}]\n")

    assert f"line 2: `stores.{code}` is a name that Windows keeps for a device" in error.message
    assert load_settings(written(tmp_path, f"[stores.{code}X]\n")).stores.keys() == {f"{code}X"}


def test_a_file_that_cannot_be_read_says_why_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file") as caught:
        load_settings(tmp_path / "none.toml")
    assert "--config" in caught.value.next_step
    assert "TILLBRIDGE_HOME" in caught.value.next_step

    (tmp_path / "latin.toml").write_bytes(b"company = '\xe9'")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        load_settings(tmp_path / "latin.toml")
    assert "not valid TOML" in refused(tmp_path, "[hub\n").message
    assert "line 2" in refused(tmp_path, "[hub]\nurl = \n").message


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without $TILLBRIDGE_HOME starts elsewhere; its error was of `tillbridge.toml`, anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLBRIDGE_CONFIG", raising=False)

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert str(tmp_path / "tillbridge.toml") in caught.value.message


def test_secrets_show_neither_in_the_settings_nor_in_errors(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, FULL))
    broken = refused(tmp_path, FULL.replace('default_warehouse = "MAIN"', "default_warehouse = 7"))
    wrong_kind = refused(tmp_path, '[hub]\nurl = ["postgresql://hub:sesame@db/hub"]\n')

    for text in (repr(settings), str(settings), settings.model_dump_json(), str(broken), str(wrong_kind)):
        assert "sesame" not in text


def test_unknown_stores_and_stores_without_a_database_are_named(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, FULL))

    with pytest.raises(ConfigurationError, match="`S9` is not configured; known stores: S1, S2"):
        settings.store("S9")
    with pytest.raises(ConfigurationError, match="`S2` has no RMS database configured here"):
        settings.rms_url("S2")


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, FULL))

    with pytest.raises(ValueError, match="frozen"):
        settings.hub.company = "other"  # type: ignore[misc]


def test_products_are_taken_only_where_a_store_says_so(tmp_path: Path) -> None:
    file = tmp_path / "tillbridge.toml"
    file.write_text(
        '[stores.S1]\n[stores.S2.products]\ntax_code = "TAX"\n[stores.S2.products.owners]\nPrice = "store"\n',
        encoding="utf-8",
    )

    settings = load_settings(file)

    assert settings.stores["S1"].products is None
    products = settings.stores["S2"].products
    assert products is not None
    policy = products.policy("S2")
    assert (policy.owner("Price"), policy.owner("PriceA")) == (Owner.STORE, Owner.HUB)
    assert policy == Policy("S2", owners={"Price": Owner.STORE}, tax_code="TAX")


@pytest.mark.parametrize(
    ("owners", "line", "said"),
    [
        ('Colour = "hub"', 3, "owners.Colour.*is not a field whose owner can be changed"),
        ('Quantity = "hub"', 3, "owners.Quantity.*is not a field"),
        ('ItemLookupCode = "hub"', 3, "is not a field"),
        ('Price = "nobody"', 3, "'hub', 'create_only' or 'store'"),
        ('DepartmentID = "hub"', 1, "the same owner for DepartmentID and CategoryID"),
    ],
)
def test_a_wrong_owner_is_named_with_its_line(tmp_path: Path, owners: str, line: int, said: str) -> None:
    file = tmp_path / "tillbridge.toml"
    file.write_text(f"[stores.S1.products]\n[stores.S1.products.owners]\n{owners}\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings(file)

    assert f"line {line}:" in caught.value.message
