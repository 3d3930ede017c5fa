"""Which of the texts under a field's names can be it, and which is the best."""

import pytest

from shared.payload import candidates
from shared.payload.grouping import Group, Text
from shared.payload.paths import extended


def text(value: str, rank: int = 0, outside: int = 0, *place: str | int) -> Text:
    """Return a text that was found: the rank of its name, how far outside it stands, and where."""
    return rank, outside, value, extended(None, place or ("x",))


def best(field: str, *texts: Text) -> str | None:
    """Return the best text of a field."""
    choice = candidates.best(field, texts)
    return choice[0] if choice else None


def test_the_most_telling_name_goes_before_the_nearest() -> None:
    """A rule's name far outside is a better title than any name beside the event; of equal names the nearest is."""
    assert best("title", text("near", 5, 0), text("far", 0, 3)) == "far"
    assert best("title", text("outer", 1, 2), text("inner", 1, 0)) == "inner"
    assert best("title") is None


def test_of_a_list_the_first_is_taken() -> None:
    """Ten comes after nine: what stands first in the payload is first."""
    names = [text(f"rule {number}", 0, 0, "rules", number) for number in (10, 9, 2)]
    assert best("title", *names) == "rule 2"


@pytest.mark.parametrize(
    ("field", "value"),
    [("severity", "critical"), ("severity", "7/10"), ("category", "TA0002"), ("category", "Malware")],
)
def test_the_first_that_is_understood_is_taken(field: str, value: str) -> None:
    """A word that nobody knows lets the next place speak; where none is known, the first stays, to be reported."""
    assert best(field, text("unheard of", 0), text(value, 1)) == value
    assert best(field, text("unheard of", 0), text("nor this", 1)) == "unheard of"


def test_two_devices_that_are_equally_near_are_none() -> None:
    """A device is never chosen by alphabet; the nearer one is taken, and one that comes twice is one."""
    assert best("device", text("b", 0, 1), text("a", 0, 1)) is None
    assert best("device", text("b", 0, 0), text("a", 0, 1)) == "b"
    assert best("device", text("b", 0, 1), text("a", 1, 1)) == "b"
    assert best("device", text("B", 0, 1), text("b", 0, 1)) in ("B", "b")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "Office started a script host"),
        ("title", "Ransomware!"),
        ("title", "T1059 by winword.exe"),
        ("description", "It crawls."),
        ("device", "pc-1.contoso.example"),
        ("link", "https://siem.contoso.example/1"),
        ("link", "http://siem.contoso.example/1"),
        ("table", "DeviceProcessEvents"),
        ("table", "AdvancedHunting-DeviceEvents"),
        ("category", "Malware"),
        ("severity", "high"),
    ],
)
def test_what_can_be_it(field: str, value: str) -> None:
    """A text that is what its name says."""
    assert candidates.suits(field, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "null"),
        ("title", "N/A"),
        ("title", "x" * 301),
        ("title", "aws:s3:ObjectCreated"),
        ("title", "4688"),
        ("title", '{"rule": "x"}'),
        ("title", "DeviceId: 5b0c, ReportId: 1"),
        ("description", "-"),
        ("description", '[{"a": 1}]'),
        ("device", "x" * 301),
        ("link", "javascript:alert(1)"),
        ("link", "siem.contoso.example"),
        ("table", "Contoso_CL"),
        ("category", "DeviceProcessEvents"),
    ],
)
def test_what_cannot_be_it(field: str, value: str) -> None:
    """Its twin: what programs write for nothing, resources, numbers, records, and what has a meaning of its own."""
    assert not candidates.suits(field, value)


def test_a_number_on_a_known_scale_is_a_word() -> None:
    """Under a name whose scale is known a number is read by it; any other text stays as it is."""
    assert candidates.readings("severity", ["9", "odd", "99"], "0-10") == ["High", "odd", "99"]
    assert candidates.readings("severity", ["1"], "3-1") == ["High"]
    assert candidates.readings("severity", ["9"], "") == ["9"]


def test_what_says_nothing_is_known_in_any_case() -> None:
    """Null, none and a dash are no texts; a word that begins like one is."""
    assert all(map(candidates.says_nothing, ("", " ", "NULL", "None", "n/a", "-", "(null)", "Unknown")))
    assert not any(map(candidates.says_nothing, ("nullified", "0", "no", "unknown malware")))


@pytest.mark.parametrize("name", ["rule", "alerts", "alertInfo", "security_alert", "labels", "attachments"])
def test_what_tells_of_the_alert_keeps_its_texts(name: str) -> None:
    """A rule's severity is the alert's, whatever is put to the word, and so is a label's."""
    group = Group(texts={"severity": [text("low", 0, 0, name, "severity")]})
    candidates.leave_anybodys(group, name)
    assert group.texts["severity"]


@pytest.mark.parametrize(
    "name", ["patches", "threat_actor", "correlated_alerts", "parent_case", "iam_policy"]
)
def test_what_anything_has_is_not_the_alerts(name: str) -> None:
    """A neighbour's severity and title are its own; a name that says whose it is, stays."""
    group = Group(
        texts={
            "severity": [text("low", 0, 0, name, "severity"), text("high", 1, 0, name, "AlertSeverity")],
            "title": [text("Patch day", 0, 0, name, "title")],
        }
    )
    candidates.leave_anybodys(group, name)
    assert [word for _, _, word, _ in group.texts["severity"]] == ["high"]
    assert not group.texts["title"]
