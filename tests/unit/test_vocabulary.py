"""Other products' words and scales for severity and category become Defender's, and what changed is told."""

import json
import re
from pathlib import Path

import pytest

from shared.alerts import vocabulary
from shared.payload import hunting

TABLES = Path(vocabulary.__file__).parent / "tables"


def table(name: str) -> dict[str, dict[str, str]]:
    """Return a table as it is written."""
    found: dict[str, dict[str, str]] = json.loads((TABLES / f"{name}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize(
    ("written", "severity"),
    [
        ("HIGH", "High"),
        ("SEVERITY_HIGH", "High"),
        ("3 - High", "High"),
        ("P1 (Critical)", "High"),
        ("very-high", "High"),
        ("8.5/10", "High"),
        ("2 of 5", "Low"),
        ("55%", "Medium"),
        ("hoch", "High"),
        ("Sev0", "High"),
        ("sev 2", "Medium"),
        ("Sev3", "Low"),
        ("Warning", "Medium"),
        ("medium risk", "Medium"),
        ("Informational", "Low"),
        ("info", "Low"),
    ],
)
def test_words_for_severity(written: str, severity: str) -> None:
    """Words count in any case and beside others, if only one of them is a severity."""
    assert vocabulary.severity(written).text == severity


@pytest.mark.parametrize("written", ["", "None", "Unknown", "low to high", "7", "7/9", "12/10", "x" * 200])
def test_what_is_no_severity_is_refused(written: str) -> None:
    """Nothing is guessed: a bare number without a scale least of all."""
    with pytest.raises(ValueError, match="is "):
        vocabulary.severity(written)


@pytest.mark.parametrize(
    ("number", "scale", "severity"),
    [
        ("1", "1-3", "Low"),
        ("3.0", "1-3", "High"),
        ("3.9", "0-10", "Low"),
        ("4", "0-10", "Medium"),
        ("7", "0-10", "High"),
        ("6", "0-15", "Low"),
        ("12", "0-15", "High"),
        ("47", "0-100", "Medium"),
        ("73", "0-100", "High"),
        ("0", "4-0", "High"),
        ("4", "4-0", "Low"),
        ("5", "1-5", "High"),
        ("7", "7-0", "Low"),
    ],
)
def test_numbers_on_a_scale(number: str, scale: str, severity: str) -> None:
    """A number means what its scale says, and the note names the scale."""
    word = vocabulary.severity(number, scale)
    assert (word.text, word.note) == (severity, f"{number} on the scale {scale} became {severity}")


@pytest.mark.parametrize("scale", vocabulary.scales())
def test_scales_cover_their_range(scale: str) -> None:
    """Every whole number of a scale has a severity, the worst end is High, and beyond it there is none."""
    first, last = map(int, scale.split("-"))
    numbers = range(min(first, last), max(first, last) + 1)
    found = [vocabulary.severity(str(number), scale).text for number in numbers]
    assert found == sorted(found, key=vocabulary.SEVERITIES.index, reverse=first > last)
    assert (found if first < last else found[::-1])[-1] == "High"
    with pytest.raises(ValueError, match="beyond"):
        vocabulary.severity(str(max(first, last) + 1), scale)


@pytest.mark.parametrize(
    ("written", "category"),
    [
        (["command-and-control"], "CommandAndControl"),
        (["TA0001"], "InitialAccess"),
        (["T1059.001"], "Execution"),
        (["t1059"], "Execution"),
        (["T1059.999"], "Execution"),
        (["T1486"], "Ransomware"),
        (["PowerShell"], "Execution"),
        (["attack.credential_access"], "CredentialAccess"),
        (["attack.t1003.001"], "CredentialAccess"),
        (["tactic:ta0003-persistence"], "Persistence"),
        (["Execution (TA0002)"], "Execution"),
        (["Impact, Execution"], "Execution"),
        (["Impact", "TA0008"], "LateralMovement"),
        (['["Discovery"]'], "Discovery"),
        (["Defense Evasion;Persistence"], "DefenseEvasion"),
        (["Exploitation"], "Exploit"),
        (["PreAttack"], "SuspiciousActivity"),
        (["TA0040"], "SuspiciousActivity"),
        (["T9999"], "SuspiciousActivity"),
        (["Unwanted software"], "Malware"),
        (["ProcessCreated"], "SuspiciousActivity"),
    ],
)
def test_words_for_category(written: list[str], category: str) -> None:
    """Names, tactics and techniques by name and id, kill-chain intents, several at once; the first with an equal."""
    assert vocabulary.category(written).text == category


def test_what_changed_meaning_says_so() -> None:
    """A tactic's id means the same as its name; a technique, an impact or one of several does not."""
    assert not vocabulary.category(["TA0002"]).changed
    assert all(vocabulary.category([one]).changed for one in ("T1059", "Impact", "Execution, Impact"))
    assert vocabulary.category(["Execution"]).note is None


def test_techniques_have_ids_and_tactics_that_are_known() -> None:
    """Each technique stands under one tactic, and every tactic but those without an equal is a category."""
    tactics = table("techniques")
    ids = [technique for techniques in tactics.values() for technique in techniques]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"T1\d{3}(\.\d{3})?", technique) for technique in ids)
    assert set(tactics) - set(vocabulary.CATEGORIES) == {"Reconnaissance", "ResourceDevelopment", "Impact"}
    for tactic, techniques in tactics.items():
        for technique in techniques:
            expected = tactic if tactic in vocabulary.CATEGORIES else vocabulary.NO_EQUAL
            assert vocabulary.category([technique]).text == (
                "Ransomware" if technique == "T1486" else expected
            )


@pytest.mark.parametrize("name", ["severity", "category"])
def test_no_word_means_two_things(name: str) -> None:
    """Each word stands in a table once."""
    written = table(name)
    words = [
        re.sub("[^0-9a-z]", "", word.lower())
        for part in ("words", "nearest")
        for known, several in written[part].items()
        for word in (*several, *([known] if part == "words" else []))
    ]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"Table": "EmailEvents"}, "email"),
        ({"category": "AdvancedHunting-UrlClickEvents"}, "email"),
        ({"Type": "IdentityLogonEvents"}, "identity"),
        ({"TableName": "AADSignInEventsBeta"}, "identity"),
        ({"Table": "CloudAppEvents"}, "cloud"),
        ({"Table": "MessageEvents"}, "email"),
        ({"category": "AlertEvidence"}, "tell of an alert"),
        ({"Table": "DeviceTvmSoftwareVulnerabilities"}, "state of a device"),
        ({"Table": "BehaviorInfo"}, "no single endpoint event"),
    ],
)
def test_tables_without_endpoint_events_are_known(row: dict[str, str], said: str) -> None:
    """Wherever the table's name stands, it says why its rows cannot be referred to."""
    name = hunting.table(row)
    assert name
    assert said in (hunting.refusal(name) or "")


@pytest.mark.parametrize("row", [{"Table": "DeviceEvents"}, {"category": "AdvancedHunting-DeviceInfo"}])
def test_tables_of_devices_are_fine(row: dict[str, str]) -> None:
    """Device* tables have events."""
    assert hunting.refusal(hunting.table(row) or "") is None


@pytest.mark.parametrize(
    "row", [{}, {"category": "Email"}, {"Type": "CloudStorage"}, {"category": 5}, [], None]
)
def test_what_is_no_table_names_none(row: object) -> None:
    """A category of another product is no table."""
    assert hunting.table(row) is None
