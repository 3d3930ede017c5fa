"""A title keeps the rule's name, and loses what would keep equal alerts from merging."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import title

GUID = "7f2f9b6e-2f5d-4f6e-9a0a-4a5f0f1e2d3c"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Recon by whoami 2026-07-19T14:55:51.5813247Z", "Recon by whoami"),
        ("Recon by whoami - 2026-07-19 14:55:51", "Recon by whoami"),
        ("Recon at 14:55", "Recon"),
        ("Beaconing on 07/19/2026 2:55:51 PM", "Beaconing"),
        ("Brute force (2026-07-19)", "Brute force"),
        ("Brute force 19 Jul 2026 14:55", "Brute force"),
        ("Brute force - Sun Jul 19 14:55:51 2026", "Brute force"),
        ("Brute force on July 19, 2026", "Brute force"),
        ("Alert 2026-07-19 14:55 Brute force INC0012345", "Brute force"),
        ("Case 12 - 2026-07-19 Brute force", "Brute force"),
        ("20260719145551 Brute force [FIRING:2]", "Brute force"),
        ("Multi-stage (#1234)", "Multi-stage"),
        ("Incident 4567: Suspicious PowerShell", "Suspicious PowerShell"),
        ("[1234] Suspicious PowerShell", "Suspicious PowerShell"),
        ("Suspicious PowerShell [alert 12345]", "Suspicious PowerShell"),
        (f"Malware detected {GUID}", "Malware detected"),
        (f"Malware detected | {{{GUID}}}", "Malware detected"),
        ("Kerberoasting | 1784386951581", "Kerberoasting"),
        ("Whoami (2026-07-19T14:55:51Z) [1234567890]", "Whoami"),
        ("  Trimmed  ", "Trimmed"),
    ],
)
def test_times_and_ids_at_the_ends_are_left_out(written: str, expected: str) -> None:
    """Times, GUIDs, hashes, epochs and incident numbers, in brackets or behind separators."""
    assert title.tidy(written) == expected


@pytest.mark.parametrize(
    "name",
    [
        "Sign-in from 10 countries",
        "Exploitation of CVE-2021-44228",
        "Use of T1059.001",
        "Windows 11",
        "Activity in May 2026",
        "Event ID 4624: logon",
        "Suspicious event 4688",
        "More than 100 failed logons",
        "Traffic to port 4444",
        "Rule 12",
        "Alert: Office 365",
        "Activity on 2026-07-19 in one day",
        "2026-07-19 14:55",
        "Incident 4567",
        GUID,
        "#17",
    ],
)
def test_numbers_that_belong_to_a_name_stay(name: str) -> None:
    """What may be part of the name stays, and so does everything where no name would be left."""
    assert title.tidy(name) == name


@given(st.text(max_size=300))
def test_a_title_is_never_lost(text: str) -> None:
    """What comes out is part of what came in, is empty only if that was blank, and is not tidied further."""
    tidy = title.tidy(text)
    assert tidy in text
    assert bool(tidy) == bool(text.strip())
    assert title.tidy(tidy) == tidy
