"""Settings: their defaults, what is accepted, and that code, template, sample and docs tell of the same ones."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared import settings
from shared.errors import SettingsError
from shared.senders import Sender
from shared.settings import Settings, StorageSettings
from tests.checks import arm

ROOT = Path(__file__).parents[2]
SAMPLE = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))
TEMPLATE = json.loads((ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
PAGE = (ROOT / "docs" / "settings.md").read_text("utf-8")
OURS, _, PLATFORM = PAGE.partition("## Read by the platform")
NONE = "\N{EN DASH}"
KEY = "QWxsIG15IHNlY3JldHM="
CONNECTION = (
    f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={KEY};EndpointSuffix=core.windows.net"
)

# name, attribute, default, what may stand there and what it is read as, what may not
CASES: list[tuple[str, str, Any, tuple[str, Any], list[str]]] = [
    (
        "DEFENDER_API_URL",
        "defender_api_url",
        "https://api.securitycenter.windows.com",
        (" https://eu.api.security.microsoft.com/ ", "https://eu.api.security.microsoft.com"),
        [
            "http://api.example",
            "api.example",
            "ftp://api.example",
            "https://",
        ],
    ),
    (
        "DEFENDER_TOKEN_SCOPE",
        "defender_token_scope",
        "https://api.securitycenter.windows.com/.default",
        ("https://api.example/.default", "https://api.example/.default"),
        [],
    ),
    (
        "DEFENDER_TIMEOUT_SECONDS",
        "defender_timeout_seconds",
        30.0,
        ("12.5", 12.5),
        ["0", "201", "ten", "nan"],
    ),
    (
        "GRAPH_API_URL",
        "graph_api_url",
        "https://graph.microsoft.com",
        ("https://graph.microsoft.us/", "https://graph.microsoft.us"),
        ["http://graph.example", "graph.example"],
    ),
    (
        "GRAPH_TOKEN_SCOPE",
        "graph_token_scope",
        "https://graph.microsoft.com/.default",
        ("https://graph.example/.default", "https://graph.example/.default"),
        [],
    ),
    ("FIND_EVENTS", "find_events", "false", (" Trial", "trial"), ["yes", "1", "on"]),
    ("FIND_EVENTS_GRADE", "find_events_grade", "probable", ("exact", "exact"), ["all", "likely"]),
    ("FIND_EVENTS_CALLS", "find_events_calls", 15, ("3", 3), ["0", "16", "1.5"]),
    ("FIND_EVENTS_WINDOW_SECONDS", "find_events_window_seconds", 60.0, ("2.5", 2.5), ["0", "3601", "1m"]),
    (
        "FIND_EVENTS_RETRY_MINUTES",
        "find_events_retry_minutes",
        (1.0, 3.0, 10.0),
        ("0.05, 2", (0.05, 2.0)),
        ["0", "-1", "1441", "1;5"],
    ),
    (
        "FIND_EVENTS_TIMEOUT_SECONDS",
        "find_events_timeout_seconds",
        60.0,
        ("12.5", 12.5),
        ["0", "201", "ten", "nan"],
    ),
    ("NO_EVENT", "no_event", "fail", ("Entity ", "entity"), ["alert", "true"]),
    ("ENTITY_ALERT_CALLS", "entity_alert_calls", 15, ("3", 3), ["0", "16", "1.5"]),
    ("ENTITY_ALERT_WINDOW_SECONDS", "entity_alert_window_seconds", 60.0, ("2.5", 2.5), ["0", "3601", "1m"]),
    ("RATE_LIMIT_CALLS", "rate_limit_calls", 15, ("3", 3), ["0", "16", "1.5", "-1"]),
    ("RATE_LIMIT_WINDOW_SECONDS", "rate_limit_window_seconds", 60.0, ("2.5", 2.5), ["0", "3601", "1m"]),
    ("RATE_LIMIT_MARGIN_SECONDS", "rate_limit_margin_seconds", 0.25, ("0", 0.0), ["-0.1", "61", "inf"]),
    ("RATE_LIMIT_SCOPE", "rate_limit_scope", "default", ("Team-7", "Team-7"), ["a/b", "a_b", "x" * 64]),
    ("ALERTS_TABLE", "alerts_table", "DefenderAlerts", ("T12", "T12"), ["1a", "ab", "a-b", "T" * 64]),
    ("INLINE_SECONDS", "inline_seconds", 8.0, ("0", 0.0), ["-1", "101", "soon"]),
    (
        "NOT_FOUND_RETRY_MINUTES",
        "not_found_retry_minutes",
        (1.0, 5.0, 15.0),
        ("0.5, 60", (0.5, 60.0)),
        ["0", "-1", "1441", "1;5", "nan"],
    ),
    ("GIVE_UP_HOURS", "give_up_hours", 48.0, ("1.5", 1.5), ["0", "8761", "2d"]),
    ("RETENTION_DAYS", "retention_days", 30.0, ("90", 90.0), ["0", "3651", "a month", "1.5"]),
    ("MAX_PAYLOAD_BYTES", "max_payload_bytes", 1_048_576, ("2048", 2048), ["1023", "104857601", "1MB"]),
    ("MAX_ALERTS_PER_DELIVERY", "max_alerts_per_delivery", 100, ("1", 1), ["0", "1001", "many"]),
    ("MAPPINGS_PATH", "mappings_path", None, ("own/mappings", Path("own/mappings")), []),
    (
        "PUBLIC_BASE_URL",
        "public_base_url",
        None,
        ("https://soc.example/defender/", "https://soc.example/defender"),
        ["soc.example", "ftp://soc.example", "http://soc.example"],
    ),
    (
        "SENDERS",
        "senders",
        (),
        (
            '{"splunk": {"keys": ["0123456789"], "sources": ["splunk"]}, "*": {"search": false}}',
            (Sender("splunk", ("0123456789",), ("splunk",)), Sender("*", search=False)),
        ),
        [],
    ),
    ("DEFENDER_TENANT_ID", "defender_tenant_id", None, ("5f3c1a52", "5f3c1a52"), []),
    ("AZURE_CLIENT_ID", "client_id", None, ("11111111-2222", "11111111-2222"), []),
    ("CONSOLE", "console", True, ("False", False), ["off", "0"]),
]
WRONG = [(name, text) for name, _, _, _, texts in CASES for text in texts]


class Asked(Mapping[str, str]):
    """An environment that remembers which names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.names: set[str] = set()
        self._values = values

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings are asked for by name")

    def __len__(self) -> int:
        return len(self._values)


def table(page: str) -> dict[str, list[str]]:
    """Return the rows of a page's tables that begin with a setting's name, by that name."""
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in page.splitlines() if "|" in line]
    names = [(re.fullmatch(r"`(\w+)`", row[0].strip()), row) for row in rows]
    return {name[1]: [cell.strip() for cell in row[1:]] for name, row in names if name}


def read_by_the_code() -> set[str]:
    """Return the name of every setting the code asks for, whichever way the table is named."""
    names = set()
    for given in ({}, {"AlertStorage__accountName": "a"}, {"AzureWebJobsStorage__accountName": "a"}):
        environ = Asked(given)
        settings.read(environ)
        names |= environ.names
    platforms = {"IDENTITY_ENDPOINT", "MSI_ENDPOINT"}  # given by Azure where there is an identity
    for path in [*ROOT.glob("shared/*.py"), *ROOT.glob("*Function/*.py")]:
        text = path.read_text("utf-8")
        if "environ" in text:
            names |= {
                node.value
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", node.value)
            }
    return {name for name in names - platforms if not name.startswith("TCP_")}  # options of a socket


def in_the_template() -> dict[str, str]:
    """Return the app settings that a deployment with nothing but defaults makes."""
    resources = arm.Template(TEMPLATE).resources()
    (site,) = (each for each in resources if each["type"] == "Microsoft.Web/sites")
    return {each["name"]: each["value"] for each in site["properties"]["siteConfig"]["appSettings"]}


def names_the_table(name: str) -> bool:
    """Tell whether a setting is one of those of which any one names the storage account."""
    return name.startswith(("AzureWebJobsStorage", "AlertStorage"))


@pytest.mark.parametrize(("name", "attribute", "default"), [case[:3] for case in CASES])
def test_a_setting_has_its_default(name: str, attribute: str, default: object) -> None:
    """Without a setting, or with an empty one, its default holds; empty retry minutes mean: none.

    So does a comma, because azd gives the default for what is empty.
    """
    assert getattr(settings.read({}), attribute) == default
    empty = getattr(settings.read({name: ""}), attribute)
    assert empty == (() if name.endswith("_RETRY_MINUTES") else default)
    if name.endswith("_RETRY_MINUTES"):
        assert getattr(settings.read({name: ","}), attribute) == ()


@pytest.mark.parametrize(("name", "attribute", "given"), [(case[0], case[1], case[3]) for case in CASES])
def test_a_setting_is_read(name: str, attribute: str, given: tuple[str, object]) -> None:
    """What is set is what the app gets, in its own type, and changes nothing else."""
    text, value = given
    values = settings.read({name: text})
    assert getattr(values, attribute) == value
    others = [case[1] for case in CASES if case[0] != name]
    assert [getattr(values, other) for other in others] == [getattr(Settings(), other) for other in others]


def test_every_setting_is_tested_here() -> None:
    """The cases above cover all settings there are."""
    assert {case[1] for case in CASES} | {"storage"} == set(Settings.__dataclass_fields__)


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_named(name: str, text: str) -> None:
    """The error names the setting and shows what was found."""
    with pytest.raises(SettingsError) as caught:
        settings.read({name: text})
    problem = caught.value.problems[0]
    assert problem.field == name
    assert text.rstrip("/") in problem.detail
    assert problem.field in caught.value.detail


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DEFENDER_API_URL", "https://["),
        ("DEFENDER_API_URL", "https://api.example:99999"),
        ("DEFENDER_API_URL", "https://api.example?"),
        ("GRAPH_API_URL", "https://graph.example#beta"),
        ("PUBLIC_BASE_URL", "https://gw.exämple.de"),
        ("PUBLIC_BASE_URL", "https://gw.example/a\tb"),
        ("PUBLIC_BASE_URL", "https://gw.example\\defender"),
        ("PUBLIC_BASE_URL", "https://gw.example/?code=1"),
        ("PUBLIC_BASE_URL", "https://["),
        ("PUBLIC_BASE_URL", "https:///defender"),
    ],
)
def test_what_is_no_url_is_reported_with_the_rest(name: str, text: str) -> None:
    """A URL that cannot even be taken apart is one problem among the others, not an error of its own."""
    with pytest.raises(SettingsError) as caught:
        settings.read({name: text, "RATE_LIMIT_CALLS": "99"})
    assert {problem.field for problem in caught.value.problems} == {name, "RATE_LIMIT_CALLS"}


@pytest.mark.parametrize(
    "name",
    ["AzureWebJobsStorage__tableServiceUri", "DEFENDER_API_URL", "GRAPH_API_URL", "PUBLIC_BASE_URL"],
)
@pytest.mark.parametrize("text", ["http://localhost@api.example", "https://user:secret@api.example"])
def test_a_password_in_a_url_is_not_shown(name: str, text: str) -> None:
    """The answer to a sender names the setting whose URL holds a user name, and does not quote it."""
    with pytest.raises(SettingsError) as caught:
        settings.read({name: text})
    (problem,) = caught.value.problems
    assert problem.field == name
    assert "user name" in problem.detail
    assert "@" not in problem.detail


def test_a_name_beyond_ascii_is_told_how_to_be_written() -> None:
    """It would break the header `Location`; the form that DNS knows is accepted, and so is http to this machine."""
    with pytest.raises(SettingsError, match="written xn--"):
        settings.read({"PUBLIC_BASE_URL": "https://gw.exämple.de"})
    for url in ("https://gw.xn--exmple-cua.de/defender", "http://127.0.0.1:7071", "http://localhost:7071"):
        assert settings.read({"PUBLIC_BASE_URL": url}).public_base_url == url


def test_all_wrong_values_are_reported_at_once() -> None:
    """Whoever sets up the app learns of everything in one go."""
    first = dict(reversed(WRONG))
    with pytest.raises(SettingsError) as caught:
        settings.read(first)
    assert {problem.field for problem in caught.value.problems} == set(first)


def test_what_ended_is_stored_longer_than_it_is_tried() -> None:
    """An alert must not be cleared away while it is still tried."""
    with pytest.raises(SettingsError, match="RETENTION_DAYS: 2 days do not exceed GIVE_UP_HOURS"):
        settings.read({"RETENTION_DAYS": "2", "GIVE_UP_HOURS": "48"})
    assert settings.read({"RETENTION_DAYS": "2", "GIVE_UP_HOURS": "47.9"}).retention_days == 2


@pytest.mark.parametrize(
    ("given", "storage"),
    [
        ({}, StorageSettings()),
        ({"AzureWebJobsStorage": CONNECTION}, StorageSettings(connection_string=CONNECTION)),
        (
            {"AzureWebJobsStorage__accountName": "acc", "AzureWebJobsStorage__clientId": "id"},
            StorageSettings(endpoint="https://acc.table.core.windows.net", client_id="id"),
        ),
        (
            {
                "AzureWebJobsStorage__accountName": "acc",
                "AzureWebJobsStorage__tableServiceUri": "https://acc.table.core.usgovcloudapi.net",
            },
            StorageSettings(endpoint="https://acc.table.core.usgovcloudapi.net"),
        ),
        (
            {"AzureWebJobsStorage": CONNECTION, "AlertStorage__accountName": "own"},
            StorageSettings(
                endpoint="https://own.table.core.windows.net", client_setting="AlertStorage__clientId"
            ),
        ),
        (
            {"AlertStorage__accountName": "own", "AzureWebJobsStorage__clientId": "id"},
            StorageSettings(
                endpoint="https://own.table.core.windows.net", client_setting="AlertStorage__clientId"
            ),
        ),
    ],
)
def test_the_table_is_named_one_way_or_another(given: dict[str, str], storage: StorageSettings) -> None:
    """By connection string, by account, by endpoint; `AlertStorage` wins, and takes nothing of the other's."""
    assert settings.read(given).storage == storage


def test_no_secret_is_shown() -> None:
    """Neither the settings nor an error about them shows the connection string."""
    values = settings.read({"AzureWebJobsStorage": CONNECTION})
    assert values.storage.connection_string == CONNECTION
    with pytest.raises(SettingsError) as caught:
        settings.read({"AzureWebJobsStorage": CONNECTION, **dict(WRONG)})
    for shown in (repr(values), str(values), repr(values.storage), str(caught.value), repr(caught.value)):
        assert KEY not in shown
        assert "AccountKey" not in shown


def test_code_template_sample_and_docs_name_the_same_settings() -> None:
    """A setting that is read can be found, set and looked up; nothing is set that nobody reads."""
    code, documented, platform = read_by_the_code(), set(table(OURS)), set(table(PLATFORM))
    template, sample = set(in_the_template()), set(SAMPLE["Values"])
    assert documented == code
    needed = {name for name in code if not names_the_table(name)}
    assert len(needed) == len(CASES) + 1  # with PYTHON_THREADPOOL_THREAD_COUNT, which app.py reads
    assert {name for name in template - platform if not names_the_table(name)} == needed
    assert {name for name in sample - platform if not names_the_table(name)} == needed
    assert {name for name in template | sample if names_the_table(name)} <= code | platform
    assert platform <= template | sample | {"AzureWebJobsStorage__blobServiceUri"}  # government clouds only


def test_code_template_sample_and_docs_agree_on_the_defaults() -> None:
    """The value in the sample, the one a deployment makes and the one in the docs are the code's own default."""
    sample, template = SAMPLE["Values"], in_the_template()
    documented = {name: cells[0].strip("`").replace(NONE, "") for name, cells in table(OURS).items()}
    for name, attribute, default, *_ in CASES:
        assert getattr(settings.read({name: sample[name]}), attribute) == default
        assert documented[name] == sample[name]
        if name != "AZURE_CLIENT_ID":  # only the deployment knows it
            assert template[name] == sample[name]
    threads = "PYTHON_THREADPOOL_THREAD_COUNT"
    assert documented[threads] == sample[threads] == template[threads] == "32"


def test_template_and_sample_name_the_table() -> None:
    """A deployment opens the account by identity; on a developer's machine it is Azurite's."""
    deployed = settings.read(in_the_template()).storage
    assert deployed.connection_string is None
    assert re.fullmatch(r"https://st[0-9a-z]{13}\.table\.core\.windows\.net", deployed.endpoint or "")
    assert (deployed.client_id or "").endswith(">.clientId")
    assert settings.read(SAMPLE["Values"]).storage.connection_string == "UseDevelopmentStorage=true"


def test_the_docs_tell_the_limits() -> None:
    """Where a number is out of its limits, the docs tell the same limits as the error."""
    rows, checked = table(OURS), 0
    for name, text in WRONG:
        with pytest.raises(SettingsError) as caught:
            settings.read({name: text})
        limits = re.search(r"outside (\S+) to (\S+)$", caught.value.problems[0].detail)
        if limits:
            documented = re.search(r"([\d.]+) to ([\d.]+)$", rows[name][1])
            assert documented, name
            assert [float(documented[1]), float(documented[2])] == pytest.approx(
                [float(limits[1]), float(limits[2])], 1e-5
            )
            checked += 1
    assert checked > 10


def test_the_sample_is_what_core_tools_read() -> None:
    """`Values` holds nothing but strings; every one is explained beside it, in the same order."""
    assert SAMPLE["IsEncrypted"] is False
    assert all(isinstance(value, str) for value in SAMPLE["Values"].values())
    assert list(SAMPLE["About"]) == list(SAMPLE["Values"])
    assert all(text.endswith(".") for text in SAMPLE["About"].values())
    assert SAMPLE["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"
