"""Other products' words and scales for severity and category become Defender's, and what changed is noted."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import vocabulary
from shared.payload import hunting

TABLES = Path(vocabulary.__file__).parent / "tables"


def table(name: str) -> dict[str, dict[str, str]]:
    """Return a table as it is written."""
    words: dict[str, dict[str, str]] = json.loads((TABLES / f"{name}.json").read_text("utf-8"))
    return words


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
        ("P2", "High"),
        ("Priority 2", "High"),
        ("P2 - High", "High"),
        ("P3", "Medium"),
        ("p4", "Low"),
        ("P5 - Low", "Low"),
        ("1 - Critical", "High"),
        ("2 - High", "High"),
        ("3 - Moderate", "Medium"),
        ("4 - Low", "Low"),
        ("5 - Planning", "Low"),
        ("SEV-1", "High"),
        ("Sev 2 (P3)", "Medium"),
        ("S1", "High"),
        ("S2 - High", "High"),
        ("P2 (Medium)", "Medium"),
        ("High (8)", "High"),
        ("HIGH_SEVERITY", "High"),
        ("severity_high", "High"),
        ("AlertSeverityHigh", "High"),
        ("LEVEL_HIGH", "High"),
        ("[HIGH]", "High"),
        ("Critical/High", "High"),
        ("SEV_050_CRITICAL", "High"),
        ("\U0001f534 Critical", "High"),
        ("Hi\u200bgh", "High"),
        ("\uff28\uff29\uff27\uff28", "High"),
        ("Not classified", "Low"),
        ("Average", "Medium"),
        ("Disaster", "High"),
        ("emerg", "High"),
        ("notice", "Low"),
        ("debug", "Low"),
        ("Highest", "High"),
        ("Lowest", "Low"),
        ("Blocker", "High"),
        ("\u00c9lev\u00e9e", "High"),
        ("\u9ad8", "High"),
        ("0.7/1", "High"),
        ("0 of 5", "Low"),
        ("Informational", "Low"),
        ("info", "Low"),
    ],
)
def test_words_for_severity(written: str, severity: str) -> None:
    """Words count in any case and beside others, if only one of them is a severity."""
    assert vocabulary.severity(written).text == severity


@pytest.mark.parametrize(
    "written",
    [
        *("", "None", "Unknown", "undefined", "Not set", "N/A", "-", "OK", "UP", "recovered"),
        *("low to high", "P3 - Critical", "no error", "non-critical", "not high"),
        *("7", "7/9", "12/10", "severity 3", "x" * 300, "high" + " " * 300 + "x"),
    ],
)
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
        ("1", "0-5", "Low"),
        ("3", "0-5", "Medium"),
        ("4", "0-5", "High"),
        ("0.5", "0-4", "Low"),
        ("0.731", "0-1", "High"),
        ("1", "255-1", "High"),
        ("2", "255-1", "Medium"),
        ("4", "255-1", "Low"),
    ],
)
def test_numbers_on_a_scale(number: str, scale: str, severity: str) -> None:
    """A number means what its scale says, and the note names the scale."""
    word = vocabulary.severity(number, scale)
    assert (word.text, word.note) == (severity, f"{number} on the scale {scale} became {severity}")


@pytest.mark.parametrize("scale", vocabulary.scales())
def test_scales_cover_their_range(scale: str) -> None:
    """Every whole number of a scale has a severity, the worst end is High, and beyond both ends there is none."""
    first, last = map(int, scale.split("-"))
    numbers = range(min(first, last), max(first, last) + 1)
    severities = [vocabulary.severity(str(number), scale).text for number in numbers]
    assert severities == sorted(severities, key=vocabulary.SEVERITIES.index, reverse=first > last)
    assert (severities if first < last else severities[::-1])[-1] == "High"
    with pytest.raises(ValueError, match="beyond"):
        vocabulary.severity(str(max(first, last) + 1), scale)
    if min(first, last):
        with pytest.raises(ValueError, match="beyond"):
            vocabulary.severity("0", scale)


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
        (["mitre_credential_access"], "CredentialAccess"),
        (["mitre_execution"], "Execution"),
        (["mitre:T1059"], "Execution"),
        (["MITRE ATT&CK: Credential Access (TA0006)"], "CredentialAccess"),
        (["TTPs/Credential Access"], "CredentialAccess"),
        (["_mitreAttackTactic:TA0002"], "Execution"),
        (['misp-galaxy:mitre-attack-pattern="Web Protocols - T1071.001"'], "CommandAndControl"),
        (['kill-chain:phase="lateral-movement"'], "LateralMovement"),
        (["T1003.001 - LSASS Memory"], "CredentialAccess"),
        (["attack.mitre.example/techniques/T1003/001/"], "CredentialAccess"),
        (["mitre_t1003_001"], "CredentialAccess"),
        (["Process/T1055"], "DefenseEvasion"),
        (["TacticCredentialAccess"], "CredentialAccess"),
        (["x-command_and_control-7"], "CommandAndControl"),
        (["Malware Command and Control Activity Detected"], "CommandAndControl"),
        (["Network Service Scanning"], "Discovery"),
        (["container", "process", "mitre_credential_access", "T1059"], "CredentialAccess"),
        (["T1078", "Persistence"], "Persistence"),
        (["policy", "dns", "T1003"], "CredentialAccess"),
        (["T1059", "Malware"], "Execution"),
        (["Malware", "T1059"], "Malware"),
        (["brute force", "T1059"], "CredentialAccess"),
        (["Use Case: Vulnerability", "Tactic: Lateral Movement"], "LateralMovement"),
        (["ProcessCreated"], "SuspiciousActivity"),
    ],
)
def test_words_for_category(written: list[str], category: str) -> None:
    """Names, tactics and techniques by name and id, kill-chain intents, several at once; the first with an equal."""
    assert vocabulary.category(written).text == category


@pytest.mark.parametrize(
    "written",
    [
        *("pt1003x", "t1003x", "host-T1003456", "srv-t1003.contoso.example", "T10034", "xTA0006", "TA00061"),
        *("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "aGVsbT1003bG8gd29ybGQ"),
        *(
            "AML.TA0005",
            "aml.ta0003-x",
            "TA2541",
            "garbage_collection",
            "service-discovery",
            "T1003 " + "x" * 300,
        ),
    ],
)
def test_what_only_looks_like_an_id_or_a_tactic_is_none(written: str) -> None:
    """An id inside a longer word, a host's name, another matrix's id, and a word inside another are no category."""
    word = vocabulary.category([written])
    assert (word.text, word.changed) == (vocabulary.NO_EQUAL, True)


TAGS = st.sampled_from(
    ["", "mitre_", "attack.", "tactic:", "MITRE ATT&CK: ", "x/", "[", "kill-chain:phase=", "a - "]
)


@given(
    TAGS,
    st.sampled_from([name for name in table("techniques") if name in vocabulary.CATEGORIES]),
    st.sampled_from([" ", "_", "-", ""]),
    st.sampled_from([str, str.lower, str.upper]),
    st.sampled_from(["", "]", " (tactic)", ".t1486", "/x", ":1", " - now"]),
)
def test_a_tactic_is_found_in_any_tag(
    prefix: str, tactic: str, between: str, case: Callable[[str], str], suffix: str
) -> None:
    """Whatever stands before and behind a tactic, and however it is written, the tag means that tactic."""
    name = case(re.sub(r"(?<=[a-z])(?=[A-Z])", between, tactic))
    assert vocabulary.category(["linux", f"{prefix}{name}{suffix}", "T1486"]).text == tactic


@given(st.lists(st.text(max_size=250), max_size=5))
def test_any_tags_have_a_category_or_no_word(tags: list[str]) -> None:
    """Whatever the tags, the answer is one of Defender's categories, or that there is no word."""
    try:
        assert vocabulary.category(tags).text in vocabulary.CATEGORIES
    except ValueError as reason:
        assert "names no category" in str(reason)  # noqa: PT017  # the other end of the same property


def test_what_changed_meaning_says_so() -> None:
    """A tactic's id means the same as its name; a technique, an impact or one of several does not."""
    assert not vocabulary.category(["TA0002"]).changed
    assert all(vocabulary.category([word]).changed for word in ("T1059", "Impact", "Execution, Impact"))
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
        vocabulary._plain(word)
        for part in ("words", "nearest")
        for known, several in written[part].items()
        for word in (*several, *([known] if part == "words" else []))
    ]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"Table": "EmailEvents"}, "email"),
        ({"category": "AdvancedHunting-UrlClickEvents"}, "email"),
        ({"Type": "IdentityLogonEvents"}, "identity"),
        ({"TableName": "AADSignInEventsBeta"}, "identity"),
        ({"Table": "CloudAppEvents"}, "cloud"),
        ({"Table": "MessageEvents"}, "email"),
        ({"category": "AlertEvidence"}, "describe an alert"),
        ({"Table": "DeviceTvmSoftwareVulnerabilities"}, "state of a device"),
        ({"Table": "BehaviorInfo"}, "do not describe a single endpoint event"),
    ],
)
def test_tables_without_endpoint_events_are_known(row: dict[str, str], expected: str) -> None:
    """Wherever the table's name stands, it says why its rows cannot be referred to."""
    name = hunting.table(row)
    assert name
    assert expected in (hunting.why_no_event(name) or "")


@pytest.mark.parametrize("row", [{"Table": "DeviceEvents"}, {"category": "AdvancedHunting-DeviceInfo"}])
def test_tables_of_devices_are_fine(row: dict[str, str]) -> None:
    """Device* tables have events."""
    assert hunting.why_no_event(hunting.table(row) or "") is None


@pytest.mark.parametrize(
    "row", [{}, {"category": "Email"}, {"Type": "CloudStorage"}, {"category": 5}, [], None]
)
def test_what_is_no_table_names_none(row: object) -> None:
    """A category of another product is no table."""
    assert hunting.table(row) is None
