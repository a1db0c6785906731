"""Addresses are shown without what somebody signs in with, wherever in them it stands and however it was written."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config.file import load_config, secrets_of
from bot.config.models import Config
from bot.doctor import examine
from bot.errors import ConfigError, RunStoreError, StateError
from bot.reports.reader import Reader
from bot.runtime.clock import wall_clock
from bot.runtime.log import Journal
from bot.runtime.shown_addresses import as_base, shown, strike_out_addresses, why_misread, without_user
from bot.services.mlflow.config import MlflowSection
from bot.services.mlflow.opening import look
from bot.store import Database
from bot.web.app import make_app

_LEFT_AS_THEY_ARE = "@:/?#;+ =!$'()*,[]{}^|~`<>\\\""  # by people who do not know what an address has to have escaped
BEGIN, END = (
    "QBEGINS",
    "ENDSQ",
)  # of every password here: what is drawn between may be one letter, which stands anywhere
KEYS = ("password", "sslpassword", "token", "api_key", "sig", "client_secret", "key")
passwords = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=12).map(
    lambda drawn: BEGIN + drawn + END
)
at_places = st.sampled_from(
    (
        "postgresql://herald:{}@127.0.0.1:1/herald",
        "postgresql://herald:{}@127.0.0.1:1/herald?application_name=h&connect_timeout=1",
        *(f"postgresql://herald@127.0.0.1:1/herald?application_name=h&{key}={{}}" for key in KEYS),
        *(f"postgresql://herald@127.0.0.1:1/herald?{key}={{}}&sslmode=disable" for key in KEYS),
    )
)


def is_told(words: str) -> bool:
    return BEGIN in words or END in words or BEGIN in words.upper()


@given(passwords, at_places, st.booleans())
def test_no_password_is_seen_in_an_address_or_in_what_is_said_of_a_database_that_is_away(password, place, is_escaped):
    address = place.format(quote(password, safe="" if is_escaped else _LEFT_AS_THEY_ARE))
    said = [shown(address), strike_out_addresses(f"cannot reach {shown(address)}, it said")]
    try:
        database = Database(address)
        said.append(database.address)
        database.version()
    except StateError as error:
        said.append(str(error))
    assert not any(map(is_told, said)), said


@given(passwords, at_places, st.booleans())
def test_no_password_is_written_into_the_log_whoever_repeats_it(password, place, is_escaped):
    address = place.format(quote(password, safe="" if is_escaped else _LEFT_AS_THEY_ARE))
    journal = Journal()
    journal.hide(secrets_of(Config.model_validate({"store": {"url": address}})))
    for words in (address, f"FATAL: {password!s} is wrong", f'connection to "{address}" failed'):
        assert not is_told(journal.mask(words))


@given(passwords, st.booleans())
def test_links_into_mlflow_hold_no_password(password, is_escaped):
    written = quote(password, safe="") if is_escaped else quote(password, safe="@:")
    section = MlflowSection(tracking_uri=f"https://herald:{written}@mlflow.lab/a?token={written}")
    assert section.page_base == "https://mlflow.lab/a"


@pytest.mark.parametrize(
    "address", ["http://me:QBEGINS@ENDSQ@127.0.0.1:1", "postgresql://me:QBEGINS@ENDSQ@127.0.0.1:1/x"]
)
def test_an_at_that_is_not_escaped_is_told_in_a_sentence(address):
    assert why_misread(address) == "an @ in a user or password has to be written as %40"
    with pytest.raises(RunStoreError, match="has to be written as %40") as caught:
        look(address, shown(address))
    assert not is_told(str(caught.value))


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("sqlite:////home/a@b/herald.db?mode=ro", "sqlite:////home/a@b/herald.db?…"),
        ("postgresql://db/herald", "postgresql://db/herald"),
        ("postgresql://herald@db:5432/herald", "postgresql://…@db:5432/herald"),
        ("postgresql://herald:p@ss@db/herald?a=b", "postgresql://…@db/herald?…"),
        ("postgresql://herald@db/herald?password=a@b", "postgresql://…"),
        ("mlruns", "mlruns"),
    ],
)
def test_of_an_address_is_shown_where_it_leads(address, seen):
    assert shown(address) == seen


def test_an_address_without_its_user_can_still_be_used():
    assert without_user("https://me:p@ss@host/a?b=c") == "https://host/a?b=c"
    assert as_base("https://host/a/?b=c#d") == "https://host/a"


@pytest.mark.parametrize("address", ["postgresql://db/h?password=s3cret", "postgresql://me:s3/cret@db/h"])
def test_a_password_is_refused_in_the_file_wherever_in_an_address_it_stands(address, tmp_path):
    (tmp_path / "config.toml").write_text(f"[store]\nurl = '{address}'\n")
    with pytest.raises(ConfigError, match="a password does not belong in this file") as caught:
        load_config(tmp_path / "config.toml")
    assert "s3" not in str(caught.value).replace(str(tmp_path), "")


def test_a_path_to_a_key_is_no_secret(tmp_path):
    (tmp_path / "config.toml").write_text("[store]\nurl = 'postgresql://db/h?sslkey=/etc/herald.key&passfile=/etc/p'\n")
    assert load_config(tmp_path / "config.toml").store.url is not None


@pytest.mark.parametrize("url", ["https://me:s3cret@ray.lab", "https://ray.lab/?token=s3cret"])
def test_an_address_of_a_cluster_is_refused_with_a_password_and_not_repeated(url, tmp_path):
    (tmp_path / "config.toml").write_text(f"[executor.lab]\nkind = 'ray'\nurl = '{url}'\n")
    with pytest.raises(ConfigError, match=r"executor\.lab\.url") as caught:
        load_config(tmp_path / "config.toml")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "place", ["herald:QBEGINS@ENDSQ@127.0.0.1:1/st", "herald@127.0.0.1:1/st?a=b&password=QBEGINSENDSQ"]
)
def test_the_doctor_tells_no_password(place, tmp_path):
    config = Config.model_validate(
        {"store": {"url": f"postgresql://{place}"}, "mlflow": {"tracking_uri": f"http://{place}"}}
    )
    said = [check.said for where in examine(config, tmp_path, wall_clock, fix=False) for check in where.checks]
    assert said
    assert not any(map(is_told, said)), said


def test_strangers_are_told_that_the_state_is_away_and_not_where_it_should_be():
    address = "postgresql://herald@127.0.0.1:1/st?application_name=h&password=QBEGINSENDSQ"
    reader = Reader(Config(), Database(address, read_only=True), None)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(make_app(reader)), base_url="http://herald"
        ) as client:
            return await client.get("/readyz")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.text) == (503, "the state cannot be read; the log says why")
