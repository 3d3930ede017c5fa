"""The body of an alert that has no event, and its identity."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.alerts import alert as alerts
from shared.alerts import mark, untold
from shared.alerts.text import units
from shared.alerts.vocabulary import CATEGORIES, SEVERITIES, _table
from shared.entity import body, entities, once
from shared.payload.clues import FACTS, SECOND, Clues, Host, When

AT = 1_772_600_767 * SECOND + 8_900_000  # 2026-03-04T05:06:07.89Z
DEVICE = "c0ffee" * 6 + "beef"
ID = "0c1d2e3f" * 4
TEXTS = {
    "severity": "High",
    "category": "CredentialAccess",
    "title": "A dump of credentials",
    "description": "lsass.exe was read.",
    "recommendedAction": "Look at it.",
}
FULL = Clues(
    hosts=(Host("id", DEVICE), Host("name", "srv-7.contoso.example")),
    when=When(AT, AT, SECOND // 100, own=True),
    kinds=("file",),
    sha1="a" * 40,
    sha256="b" * 64,
    md5="c" * 32,
    file_name="dump.bin",
    file_path="C:\\Temp\\dump.bin",
    command_line='procdump.exe -ma "lsass.exe"',
    process_id="4711",
    process_name="procdump.exe",
    parent_name="cmd.exe",
    remote_ip="203.0.113.9",
    remote_url="https://files.fabrikam.example/x",
    remote_port="443",
    registry_key="HKEY_LOCAL_MACHINE\\SOFTWARE\\Fabrikam",
    registry_value="Start",
    account_name="amy",
    account_domain="CONTOSO",
    account_sid="S-1-5-21-1-2-3-1104",
    account_upn="amy@contoso.example",
    outcome="success",
    report_id="1776",
)


def built(clues: Clues = FULL, **changes: Any) -> dict[str, Any]:
    """Return the body of clues; changes are of the five texts, or of what else is told."""
    texts = {name: changes.pop(name, text) for name, text in TEXTS.items()}
    return body.build(clues, texts, **{"alert": ID, "source": "Splunk", **changes})


def named(clues: Clues) -> list[tuple[str, ...]]:
    """Return the entities of clues."""
    return [tuple(entity) for entity in entities.of(clues)]


def test_the_body_has_the_apis_fields() -> None:
    """Every clue is an entity or a line; the device and the user are impacted and come first, the rest is related."""
    assert built(own_id="notable-17", link="https://siem.contoso.example/17", techniques=["T1003.001"]) == {
        "title": "A dump of credentials",
        "description": "lsass.exe was read.\n\n"
        f"Raised by the Defender alert webhook (alert {ID}) from Splunk: no event of Defender stands behind it.\n"
        "Alert at the source: notable-17\n"
        "Link: https://siem.contoso.example/17\n"
        "Time at the source: 2026-03-04T05:06:07.89Z\n"
        "Account: CONTOSO\\amy\n"
        "SID: S-1-5-21-1-2-3-1104\n"
        "File: C:\\Temp\\dump.bin\n"
        f"SHA-256: {'b' * 64}\n"
        f"MD5: {'c' * 32}\n"
        "Done by: procdump.exe\n"
        "Process id: 4711\n"
        "Started by: cmd.exe\n"
        "Port: 443\n"
        "Report id: 1776\n"
        "Outcome: success\n"
        'Command line: procdump.exe -ma "lsass.exe"',
        "severity": "high",
        "category": "CredentialAccess",
        "recommendedActions": "Look at it.",
        "mitreTechniques": ["T1003.001"],
        "entityDefinitions": [
            {"entityType": kind, "entityIdentifier": identifier, "identifierValue": value, "role": role}
            for kind, identifier, value, role in (
                ("device", "deviceId", DEVICE, "impacted"),
                ("device", "deviceName", "srv-7.contoso.example", "related"),
                ("user", "userPrincipalName", "amy@contoso.example", "impacted"),
                ("file", "sha1", "a" * 40, "related"),
                ("ip", "address", "203.0.113.9", "related"),
                ("url", "url", "https://files.fabrikam.example/x", "related"),
                ("registryKey", "key", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Fabrikam", "related"),
                ("registryValue", "valueName", "Start", "related"),
            )
        ],
    }


@pytest.mark.parametrize("fact", [name for name in FACTS if name != "event_time"])
def test_no_clue_is_lost(fact: str) -> None:
    """Alone, each fact is an entity's value or stands in the description: Microsoft's API has no field for the rest."""
    alone = replace(Clues(account_name="amy"), **{fact: getattr(FULL, fact)})
    document = built(alone)
    values = [entity["identifierValue"] for entity in document["entityDefinitions"]]
    if fact in ("account_domain", "registry_value"):  # which say nothing without a name or a key
        alone = replace(alone, registry_key="HKEY_USERS\\x")
        document = built(alone)
        values = [entity["identifierValue"] for entity in document["entityDefinitions"]]
    assert getattr(FULL, fact) in values or getattr(FULL, fact) in document["description"]


@pytest.mark.parametrize(
    ("clues", "entity"),
    [
        (Clues(hosts=(Host("name", "pc-1"),)), ("device", "deviceName", "pc-1", "impacted")),
        (Clues(hosts=(Host("address", "10.1.2.3"),)), ("ip", "address", "10.1.2.3", "related")),
        (Clues(account_sid="S-1-5-21-1-2-3-500"), ("user", "sid", "S-1-5-21-1-2-3-500", "impacted")),
        (Clues(account_sid="S-1-12-1-1-2-3-4"), ("user", "sid", "S-1-12-1-1-2-3-4", "impacted")),
        (Clues(account_sid="S-1-5-18"), None),
        (Clues(account_name="amy", account_domain="CONTOSO"), None),
        (Clues(hosts=(Host("entra", "0b8c9d1e-93f4-4b52-8f0e-2b6f4a1d7c22"),)), None),
        (Clues(md5="c" * 32), None),
        (Clues(sha256="b" * 64), ("file", "sha256", "b" * 64, "related")),
        (Clues(sha256="b" * 64, kinds=("process",)), ("process", "sha256", "b" * 64, "related")),
        (Clues(sha1="a" * 40, command_line="x"), ("process", "sha1", "a" * 40, "related")),
        (Clues(sha1="a" * 40, command_line="x", process_name="y.exe"), ("file", "sha1", "a" * 40, "related")),
        (Clues(sha1="a" * 40, command_line="x", kinds=("file",)), ("file", "sha1", "a" * 40, "related")),
        (Clues(registry_key="HKEY_USERS\\x"), ("registryKey", "key", "HKEY_USERS\\x", "related")),
        (Clues(remote_url="x" * 1_001), None),
        (Clues(remote_url="x" * 1_000), ("url", "url", "x" * 1_000, "related")),
        (Clues(remote_url="https://x.example/\u202ea"), None),
        (Clues(registry_key="HKEY_USERS\\\ud800"), None),
        (Clues(registry_key="\U0001f600" * 500), ("registryKey", "key", "\U0001f600" * 500, "related")),
        (Clues(registry_key="\U0001f600" * 501), None),
    ],
)
def test_which_clue_is_an_entity(clues: Clues, entity: tuple[str, ...] | None) -> None:
    """By an identifier that the API takes, whole; what it cannot take is told, and does not become another value."""
    assert named(clues) == ([entity] if entity else [])


def test_what_is_no_entity_is_told() -> None:
    """A value that is too long, or of which a person sees less than there is, stands in the description."""
    clues = Clues(
        hosts=(Host("entra", "0b8c9d1e-93f4-4b52-8f0e-2b6f4a1d7c22"),),
        remote_url=f"https://x.example/{'y' * 1_000}",
        registry_key="HKEY_USERS\\a\x00b",
        account_sid="S-1-5-18",
    )
    text = built(clues)["description"]
    assert clues.hosts[0].value in text
    assert clues.remote_url in text
    assert "Registry key: HKEY_USERS\\a\\x00b" in text
    assert "SID: S-1-5-18" in text


def test_at_most_a_hundred_entities() -> None:
    """The first ones stay, and none is there twice."""
    hosts = tuple(Host("name", f"pc-{number}") for number in (0, 0, *range(1, 150)))
    values = [entity["identifierValue"] for entity in built(Clues(hosts=hosts))["entityDefinitions"]]
    assert values == [f"pc-{number}" for number in range(100)]


@pytest.mark.parametrize("letter", ["a", "\U0001f600", "é", "\u0301"])
@pytest.mark.parametrize(("described", "told"), [(4_096, 32_768), (4_096, 10), (10, 32_768), (2_048, 2_048)])
def test_a_description_holds_both(letter: str, described: int, told: int) -> None:
    """In UTF-16 units it is never longer than the API allows, keeps both parts, and is cut at whole characters."""
    text = built(
        replace(FULL, command_line=letter * told), description=alerts.cut(letter * described, 4_096)
    )["description"]
    assert units(text) <= 5_000
    text.encode()
    assert text.startswith(letter)
    assert f"\n\n{mark.MARK} (alert {ID}) from Splunk" in text
    assert "Time at the source: 2026-03-04T05:06:07.89Z" in text
    assert FULL.md5 in text


def test_a_short_description_leaves_its_room() -> None:
    """A command line of 4,000 characters is whole beside a short description."""
    text = built(replace(FULL, command_line="x" * 4_000))["description"]
    assert text.endswith("x" * 4_000)


@pytest.mark.parametrize(
    "text", ["a\nRaised by x", "a\r\nb", "a\u2028b", "a\u202eb", "a\x00b", "a\ud800b", "a\x1b[2Jb"]
)
def test_a_hostile_text_is_one_line(text: str) -> None:
    """No clue can begin a line of its own, turn the text's direction, or make it unsendable."""
    clues = replace(FULL, command_line=text, file_path=text, account_name=text)
    shown = built(clues, own_id=text, link=text, source=text)["description"]
    shown.encode()
    assert len(shown.split("\n")) == len(built(own_id="1", link="l")["description"].split("\n"))
    assert all(character.isprintable() for character in shown.replace("\n", ""))


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_a_tactic(category: str) -> None:
    """Each of the 16 words becomes a tactic of ATT&CK; one that means another is named in the description."""
    document = built(category=category)
    assert document["category"] in _table("techniques")
    assert (f"\nCategory: {category}\n" in document["description"]) == (document["category"] != category)


def test_a_category_of_another_version_is_told_and_stops_nothing() -> None:
    """A stored alert with a word that this version does not know is sent as what has no equal, and named."""
    document = built(category="Stealth\n- Made with")
    assert document["category"] == built(category="SuspiciousActivity")["category"]
    assert "\nCategory: Stealth\\n- Made with\n" in document["description"]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_severities_are_the_apis(severity: str) -> None:
    """In small letters; `informational` only where the source calls the alert so."""
    assert built(severity=severity)["severity"] == severity.lower()
    assert built(severity=severity, informational=True)["severity"] == "informational"


def test_only_ids_are_techniques() -> None:
    """Each once, in the form that ATT&CK has; names, tactics and hostile texts are none."""
    techniques = ["T1003", "T1003.001", "T1003", "Phishing", "TA0006", "t1059", "T1059\n", "T10590"]
    assert built(techniques=techniques)["mitreTechniques"] == ["T1003", "T1003.001"]
    assert len(built(techniques=[f"T{n}" for n in range(1_000, 1_200)])["mitreTechniques"]) == 50


def test_a_link_is_whole_or_not_there() -> None:
    """A link that was cut leads nowhere."""
    assert "Link:" not in built(link=f"https://siem.contoso.example/{'x' * 1_000}")["description"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("title", untold.TITLE),
        ("title", f"{untold.EVENT}user_login"),
        ("description", f"{untold.DESCRIPTION}\n\nSplunk search: x"),
        ("recommendedAction", untold.ACTION),
    ],
)
def test_what_no_source_has_told_claims_no_event(field: str, text: Any) -> None:
    """The app's own words for what is not told would say that Defender has the event, or a device's timeline."""
    said = json.dumps(
        [built(**{field: text})[name] for name in ("title", "description", "recommendedActions")]
    )
    for claim in ("Defender event", "event in Microsoft Defender", "Event in Microsoft Defender", "timeline"):
        assert claim not in said
    assert "user_login" in said or "user_login" not in text
    assert "Splunk search: x" in said or field != "description"


def test_both_ends_of_a_span_are_told() -> None:
    """Without a fraction that nobody wrote."""
    when = When(AT // SECOND * SECOND, (AT // SECOND + 60) * SECOND, SECOND, own=False)
    text = built(Clues(when=when))["description"]
    assert "Time at the source: 2026-03-04T05:06:07Z to 2026-03-04T05:07:07Z" in text


@pytest.mark.parametrize(
    ("clues", "fields"),
    [
        (FULL, []),
        (Clues(when=FULL.when, remote_ip="203.0.113.9"), []),
        (replace(FULL, when=None), ["eventTime"]),
        (Clues(when=FULL.when, command_line="x", account_name="amy"), ["payload"]),
        (Clues(), ["eventTime", "payload"]),
    ],
)
def test_which_clues_are_enough(clues: Clues, fields: list[str]) -> None:
    """A time that can be read and one entity; what is missing is named."""
    assert [problem.field for problem in entities.missing(clues)] == fields


def test_the_same_alert_has_the_same_id() -> None:
    """By the id that its source gave it, whatever else changes; of two sources, or two ids, it is another."""
    first = once.identity(FULL, source="splunk", own_id="17", title="A")
    assert first == once.identity(Clues(), source="splunk", own_id="17", title="B")
    others = {
        once.identity(FULL, source="splunk", own_id="18", title="A"),
        once.identity(FULL, source="elastic", own_id="17", title="A"),
        once.identity(FULL, source="splunk", own_id="", title="A"),
        once.identity(FULL, source="splunk", own_id="", title="B"),
        once.identity(FULL, source="elastic", own_id="", title="A"),
        once.identity(replace(FULL, remote_ip="203.0.113.10"), source="splunk", own_id="", title="A"),
    }
    assert len({first, *others}) == 7


@pytest.mark.parametrize(
    ("account", "upn", "same"),
    [("bob", "", False), ("AMY", "", True), ("bob", "amy@contoso.example", True), ("", "", False)],
)
def test_an_account_tells_alerts_apart(account: str, upn: str, same: bool) -> None:
    """An account that is no entity, because it has only a name: of another one, the same is another alert."""
    named = replace(FULL, account_sid="", account_upn=upn)
    first = once.identity(named, source="splunk", own_id="", title="A")
    of_another = replace(named, account_name=account)
    assert (once.identity(of_another, source="splunk", own_id="", title="A") == first) is same


@pytest.mark.parametrize(("seconds", "same"), [(0, True), (60, True), (3_600, False)])
def test_without_an_id_the_hour_counts(seconds: int, same: bool) -> None:
    """The same title and entities in one hour are one alert, whatever else is told of them."""
    first = once.identity(FULL, source="splunk", own_id="", title="A")
    at = AT + seconds * SECOND
    later = replace(FULL, when=When(at, at, SECOND, own=False), command_line="y")
    assert (once.identity(later, source="splunk", own_id="", title="A") == first) is same


def test_an_alert_without_an_event_brings_its_id() -> None:
    """Its id is that identity, it survives the row, and no reference of Defender's has such a report id."""
    made = once.alert(TEXTS, FULL, source="splunk", own_id="17")
    assert made.id == once.identity(FULL, source="splunk", own_id="17", title="")
    assert alerts.Alert.from_body(json.loads(json.dumps(made.body()))).id == made.id
    assert alerts.canonical("reportId", made.report_id) is None
    assert replace(made, title="Another").id == made.id


@pytest.mark.parametrize("description", ["It happened.", "x" * 4_096, "A\r\nB", "\U0001f600" * 2_048])
def test_every_body_is_marked(description: str) -> None:
    """So that the alert is known by its id if it comes back, whatever else is in its description."""
    text = built(replace(FULL, command_line="y" * 32_000), description=description)["description"]
    assert mark.named(text) == (ID,)
    assert mark.named(description) == ()


WRITTEN: dict[str, Callable[[str], str]] = {
    "HTML": lambda text: f"<p>{text.replace(chr(10), '<br>')}</p>",
    "one line": lambda text: text.replace("\n", " "),
    "quoted": lambda text: json.dumps(json.dumps({"description": text})),
    "capitals": str.upper,
    "small": str.lower,
    "wrapped": lambda text: text.replace("webhook (", "webhook\r\n("),
    "no brackets": lambda text: text.replace("(", "").replace(")", ""),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_mark_is_read_however_it_was_written(way: str) -> None:
    """Products join lines, change case, and put texts into JSON or HTML."""
    assert mark.named(WRITTEN[way](built()["description"])) == (ID,)


@pytest.mark.parametrize("text", [mark.MARK, f"{mark.MARK} from x", f"{mark.MARK} (alert {ID}0)", ID, ""])
def test_words_without_an_id_are_no_mark(text: str) -> None:
    """Anybody can write them; an id that is longer is another."""
    assert mark.named(text) == ()
