"""What the text of a clue is: a host, an account, a path, a key, an id in one form, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.payload import clue_values as values
from shared.payload.clues import Host

SHA1, SHA256, MD5 = "c" * 40, "d" * 64, "e" * 32
SID = "S-1-5-21-1-2-3-1104"


@pytest.mark.parametrize(
    "key",
    [
        "HKLM\\Software\\X",
        "HKLM:\\Software\\X",
        "hklm/Software/X",
        "HKEY_LOCAL_MACHINE\\Software\\X",
        "HKEY_LOCAL_MACHINE\\Software\\X\\",
        "\\REGISTRY\\MACHINE\\Software\\X",
        "Registry::HKEY_LOCAL_MACHINE\\Software\\X",
        "Computer\\HKEY_LOCAL_MACHINE\\Software\\X",
    ],
)
def test_a_key_of_a_hive_in_every_spelling(key: str) -> None:
    """All spellings of a hive are the same key."""
    assert values.registry_key(key) == "HKEY_LOCAL_MACHINE\\Software\\X"


@pytest.mark.parametrize(
    ("key", "hive", "whole"),
    [
        ("Software\\X", "LocalMachine", "HKEY_LOCAL_MACHINE\\Software\\X"),
        ("Software\\X", "HKEY_CURRENT_USER", "HKEY_CURRENT_USER\\Software\\X"),
        (f"HKU\\{SID}\\Software", "", f"HKEY_USERS\\{SID}\\Software"),
        (f"\\REGISTRY\\USER\\{SID}\\Software", "", f"HKEY_USERS\\{SID}\\Software"),
        ("Software\\X", "", ""),
        ("HKLM", "", ""),
        ("HKLM\\", "", ""),
        ("enabled", "", ""),
    ],
)
def test_a_key_is_in_a_hive(key: str, hive: str, whole: str) -> None:
    """The hive may stand beside its key; without any there is no key."""
    assert values.registry_key(key, hive) == whole


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("ada", ("ada", "", "")),
        ("CONTOSO\\ada", ("ada", "CONTOSO", "")),
        ("CONTOSO\\\\ada", ("ada", "CONTOSO", "")),
        (".\\ada", ("ada", "", "")),
        ("NT AUTHORITY\\SYSTEM", ("SYSTEM", "NT AUTHORITY", "")),
        ("ada@contoso.example", ("ada", "", "ada@contoso.example")),
        ("PC-1$", ("PC-1$", "", "")),
        ("-", ("", "", "")),
        ("N/A", ("", "", "")),
        (SID, ("", "", "")),
        ("1000", ("", "", "")),
    ],
)
def test_an_account_in_its_forms(text: str, account: tuple[str, str, str]) -> None:
    """A name, a domain's user and a UPN are accounts; a SID, a number and a dash have no name."""
    assert values.account(text) == account


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("PC-1", Host("name", "pc-1")),
        ("pc-1.contoso.example.", Host("name", "pc-1.contoso.example")),
        ("CONTOSO\\PC-1", Host("name", "pc-1")),
        ("PC-1$", Host("name", "pc-1")),
        ("pc-1.contoso.example:9182", Host("name", "pc-1.contoso.example")),
        ("10.0.0.5:9100", Host("address", "10.0.0.5")),
        ("pc-1:x", None),
        ("fd00::5", Host("address", "fd00::5")),
        ("::ffff:10.0.0.5", Host("address", "10.0.0.5")),
        ("fe80::5", None),
        ("127.0.0.1", None),
        ("169.254.1.1", None),
        ("localhost.localdomain", None),
        ("11111111-2222-3333-4444-555555555555", None),
        ("a" * 32, None),
        ("4711", None),
        ("unknown", None),
        ("pc-1,pc-2", None),
        ("https://pc-1", None),
    ],
)
def test_a_host_is_a_name_or_an_address_of_its_own_network(text: str, host: Host | None) -> None:
    """Ids of sensors, lists, links, placeholders, and what every machine calls itself are no host."""
    assert values.host(text) == host


@pytest.mark.parametrize(
    ("text", "number"),
    [("0x1f", "31"), ("31", "31"), ("0", ""), ("43009301133", ""), ("-1", ""), ("ctg:1:2", ""), ("3.0", "")],
)
def test_a_process_id_is_one_that_a_system_gives(text: str, number: str) -> None:
    """Ids are read in hex and in decimal digits; a sensor's own are too large."""
    assert values.process_id(text) == number


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("20776", "20776"),
        ("9007199254740993", "9007199254740993"),
        ("9007199254740994", ""),
        ("639199803770463714", "639199803770463714"),
        ("639199803770463700", ""),
        ("639199803770463744", ""),
        ("2.0776e4", ""),
        ("20776.0", ""),
    ],
)
def test_a_report_id_that_may_be_rounded_is_none(text: str, report: str) -> None:
    """Above 2^53 a number that a float can hold may be another one, so it is not taken as exact."""
    assert values.report_id(text) == report


def test_hashes_are_recognised_by_their_length_and_name() -> None:
    """A list of hashes has one of each kind; what only looks like a hash, and two of a kind, are left out."""
    assert values.hashes(f"SHA1={SHA1.upper()},MD5={MD5},IMPHASH={'f' * 32}") == {40: SHA1, 32: MD5}
    assert values.hashes(f"{SHA256} {'a' * 64}") == {}
    assert values.hashes("0" * 40) == {}
    assert values.hashes(f"x{SHA1}") == {}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('"C:\\Tools\\a.exe"', "C:\\Tools\\a.exe"),
        ("C:\\\\Tools\\\\a.exe", "C:\\Tools\\a.exe"),
        ("\\\\srv\\share\\a.exe", "\\\\srv\\share\\a.exe"),
        ("file:///C:/Tools/a%20b.exe", "C:/Tools/a b.exe"),
        ("file:///opt/a", "/opt/a"),
        ("https://x/a.exe", ""),
        ("C:\\Tools\\", ""),
        ("-", ""),
        ("a\nb", ""),
    ],
)
def test_a_path_has_a_file_at_its_end(text: str, path: str) -> None:
    """Quotes, doubled backslashes and file URLs are undone; links, folders and lines are no file."""
    assert values.path(text) == path


@given(st.text(max_size=200))
def test_any_text_has_a_value_or_none(text: str) -> None:
    """No text raises, whatever it is taken for."""
    for form in (
        values.path,
        values.process_id,
        values.report_id,
        values.port,
        values.hashes,
        values.sid,
        values.upn,
        values.account,
        values.registry_key,
        values.address,
        values.host,
        values.private,
        values.device,
        values.entra,
    ):
        form(text)
