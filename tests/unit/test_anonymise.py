"""The anonymiser: mapping reads the copy as it reads the payload, and nothing personal is left in it."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from rich.console import Console

from dev import anonymise
from dev import map as tool
from dev.lookalike import LookAlikes
from shared.errors import PayloadError
from shared.mapping import mappings as mapping
from tests.checks import approve
from tests.checks.approve import Pair

OURS = mapping.load()
PAIRS = list(approve.pairs())
SECRETS = {
    "host": "ZV-LAPTOP-447193",
    "fqdn": "zv-laptop-447193.zuckervogel.example",
    "user": "erika.zuckervogel",
    "account": "ZUCKERVOGEL\\erika",
    "mail": "erika@zuckervogel.example",
    "ip": "10.66.77.88",
    "ip6": "fd00:66a7:7c::8899",
    "guid": "3c1f9e52-77ab-4d06-8e15-90ab12cd34ef",
    "hash": "9f3ac1d07be24586f1e0b9d8c7a6f5e4d3c2b1a0",
    "command": 'erika.exe /quiet "C:\\Users\\erika\\Zuckervogel Plan.docx"',
    "sid": "S-1-5-21-2818460133-1106225739-1602933412-1187",
    "person": "Erika Zückervögel",
}
TRACES = (
    *("447193", "zuckervogel", "erika", "10.66.77.88", "66a7:7c", "3c1f9e52", "9f3ac1d0", "2818460133"),
    "zückervögel",
)
AS_TEXT: dict[str, Callable[[str], str]] = {
    "a value": lambda value: value,
    "a sentence": lambda value: f"Login failed for {value} on a host, again.",
    "assignments": lambda value: f'severity=High user="{value}" dst={value}',
    "assignments one a line": lambda value: f"User: {value}\nHost: {value}\n",
    "a log line": lambda value: (
        "<13>Jul 18 15:02:20 collector m365: " + json.dumps({"AccountName": value}) + " (end)"
    ),
    "CEF": lambda value: f"CEF:0|Contoso|EDR|1|7|Login|8|dvchost={value} suser={value}",
    "CSV": lambda value: f"DeviceName,AccountName\n{value},{value}\n",
    "HTML": lambda value: f"<table><tr><th>Host</th></tr><tr><td>{value}</td></tr></table>",
    "Markdown": lambda value: f"| Host | User |\n|---|---|\n| {value} | {value} |",
    "printed by Python": lambda value: str({"Host": value, "x": None}),
    "printed by PowerShell": lambda value: f"@{{Host={value}; User={value}}}",
    "printed by Java": lambda value: f"{{Host={value}, User={value}}}",
    "printed by Ruby": lambda value: f'{{"Host"=>"{value}", :user=>"{value}"}}',
    "printed by Go": lambda value: f"map[Host:{value} User:{value}]",
    "JSON": lambda value: json.dumps({"Host": value}),
    "JSON, encoded again": lambda value: json.dumps(json.dumps({"Host": [value]})),
    "base64": lambda value: base64.b64encode(json.dumps({"Host": value, "of": "a record"}).encode()).decode(),
    "base64 of what is no text": lambda value: base64.b64encode(b"\xff\xfe" + value.encode() * 3).decode(),
    "a form": lambda value: quote_plus(json.dumps({"Host": value})),
    "an address": lambda value: f"https://portal.contoso.example/hosts/{value.replace(' ', '%20')}?q=1",
}
AS_JSON: dict[str, Callable[[str], Any]] = {
    "under a name": lambda text: {"Host": text},
    "deep in arrays": lambda text: [[{"a": [{"b": [text]}]}]],
    "of a name/value list": lambda text: {"fields": [{"name": "HostName", "value": text}]},
    "in a table": lambda text: {"columns": ["HostName", "x"], "rows": [[text, 1]]},
    "beside its name": lambda text: {"cs1Label": "HostName", "cs1": text},
}


def _layers(text: str) -> Iterator[str]:
    """Yield a text, and what is encoded in it."""
    yield text
    yield text.replace("\\\\", "\\")
    yield unquote_plus(text)
    for encoded in re.findall(r"(?:[A-Za-z0-9+/]{4}){4,}", text):
        yield base64.b64decode(encoded).decode("utf-8", "replace")


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_the_copy_becomes_what_the_payload_becomes(pair: Pair) -> None:
    """The source, the outcome of each event, its severity and category, and the refused fields are the same."""
    body = pair.payload.read_bytes()
    copy = anonymise.anonymise(body).encode()
    assert anonymise.gist(copy, pair.query, OURS) == anonymise.gist(body, pair.query, OURS)
    assert copy != body


@pytest.mark.parametrize("around", AS_JSON)
@pytest.mark.parametrize("text", AS_TEXT)
def test_nothing_personal_is_left(text: str, around: str) -> None:
    """Whatever the shape that a value stands in, no part of it that tells anything is in the copy."""
    for secret in SECRETS.values():
        for spelled in (secret, secret.upper(), secret.lower()):
            copy = anonymise.anonymise(json.dumps(AS_JSON[around](AS_TEXT[text](spelled))).encode())
            left = [trace for layer in _layers(copy) for trace in TRACES if trace in layer.lower()]
            assert left == [], copy


@pytest.mark.parametrize("name", ["fqdn", "account", "mail", "ip", "ip6", "guid", "hash", "sid"])
def test_a_key_that_is_no_name_is_replaced(name: str) -> None:
    """Objects that are indexed by device, address or person give none of them away; other keys stay."""
    copy = anonymise.anonymise(json.dumps({"by_device": {SECRETS[name]: 1}, "MyOwnKey-1": 2}).encode())
    assert [trace for trace in TRACES if trace in copy.lower()] == []
    assert list(json.loads(copy)) == ["by_device", "MyOwnKey-1"]


def test_a_known_word_does_not_stay_as_the_name_of_somebody() -> None:
    """`alert` is a word that mapping knows; as a user, a host or a domain it is a name."""
    payload = {
        "user": "alert",
        "host": {"name": "alert", "type": "alert"},
        "fields": [{"key": "upn", "value": "alert"}],
    }
    copy = json.loads(anonymise.anonymise(json.dumps(payload).encode()))
    made = copy["user"]
    assert made != "alert"
    assert copy == {
        "user": made,
        "host": {"name": made, "type": "alert"},
        "fields": [{"key": "upn", "value": made}],
    }


def test_equal_values_stay_equal_and_different_ones_different() -> None:
    """What agrees or contradicts in a payload does so in the copy: in texts, in capitals, as number and as text."""
    payload: dict[str, list[Any]] = {
        "a": ["pc-017", "PC-017", "on pc-017: failed", "pc-018"],
        "n": [20776, "20776", "ReportId=20776", 20777],
        "t": [
            "2026-07-18T14:55:51.581Z",
            "2026-07-18T14:55:51.5813247Z",
            1784386551581,
            "2026-07-18 16:55:51.581+02:00",
        ],
    }
    text = anonymise.anonymise(json.dumps(payload).encode())
    assert text == anonymise.anonymise(json.dumps(payload).encode())
    copy = json.loads(text)
    lower, upper, within, other = copy["a"]
    assert upper == lower.upper()
    assert lower in within
    assert other != lower
    assert copy["n"][:2] == [int(copy["n"][1]), copy["n"][1]]
    assert copy["n"][2] == f"ReportId={copy['n'][1]}"
    assert copy["n"][3] != copy["n"][0]
    short, long, epoch, zoned = copy["t"]
    assert long.startswith(short.removesuffix("Z"))
    assert short != payload["t"][0]
    times = [OURS.apply([{"DeviceId": "a" * 40, "ReportId": "1", "Timestamp": str(moment)}], source=None, defaults={},
                        max_alerts=1).alerts[0].alert.event_time for moment in (short, epoch, zoned)]  # fmt: skip
    assert set(times) == {short}


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (
            "3c1f9e52-77ab-4d06-8e15-90ab12cd34ef",
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ),
        ("9F3AC1D07BE24586F1E0B9D8C7A6F5E4D3C2B1A0", r"[0-9A-F]{40}"),
        (
            "2026-07-18T14:55:51.581324700+02:00",
            r"2026-07-1[78]T\d\d:\d\d:51\.\d{7}00\+02:00",
        ),
        ("2026-07-18 14:55", r"2026-07-1[78] \d\d:\d\d"),
        ("20260718T145551Z", r"2026071[78]T\d{6}Z"),
        ("1784386551", r"17843\d{5}"),
        ("639199803770463714", r"\d{18}"),
        ("6.39199803770463714E+17", r"\d\.\d{17}E\+17"),
        ("1234567.5", r"\d{7}\.5"),
        ("10.1.2.3", r"192\.0\.2\.\d{1,3}"),
        ("fd00::1", r"2001:db8::[0-9a-f]{1,4}"),
        ("erika.z@contoso.com", r"[a-z]{5}\.[a-z]@[a-z]{7}\.example"),
        (
            "https://portal.zuckervogel.com/a/b?user=erika",
            r"https://portal\.[a-z]{11}\.example/a/[a-z]\?user=[a-z]{5}",
        ),
        ("C:\\Users\\erika\\plan.docx", r"[A-Z]:\\[A-Z][a-z]{4}\\[a-z]{5}\\[a-z]{4}\.[a-z]{4}"),
        ("00:1b:44:11:3a:b7", r"0\d(:[0-9a-f]{2}){5}"),
        ("INC0012345", r"INC0\d{6}"),
    ],
)
def test_a_look_alike_has_the_form_of_the_value(value: str, form: str) -> None:
    """What reads forms reads the copy alike: as many digits, the same zone, the same kind of id."""
    [made] = json.loads(anonymise.anonymise(json.dumps([value]).encode()))
    assert made != value
    assert re.fullmatch(form, made), made


@pytest.mark.parametrize(
    "value",
    [
        *(
            "High",
            "resolved",
            "TA0002",
            "attack.t1059.001",
            "AdvancedHunting-DeviceProcessEvents",
            "SEV-1",
            "P2",
        ),
        *(
            "$result.ReportId$",
            "{{DeviceId}}",
            "${alert.name}",
            "",
            "N/A",
            "127.0.0.1",
            "0001-01-01T00:00:00Z",
        ),
        *(True, None, 70, 8.5, "4688"),
    ],
)
def test_what_mapping_depends_on_stays(value: object) -> None:
    """Words that mapping knows, ids of techniques, tables, placeholders that nobody filled, small numbers."""
    assert json.loads(anonymise.anonymise(json.dumps([value]).encode())) == [value]


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("639199803770463714", "639199803770463744"),
        ("639199803770463714", "639199803770463700"),
        ("639087552183904417", "639087552183904400"),
    ],
)
def test_a_rounded_number_stays_the_rounded_number_of_the_same_one(written: str, other: str) -> None:
    """A report id that JavaScript rounded is still seen to be one, and still belongs to the exact one."""
    for seed in range(50):
        like = LookAlikes(str(seed).encode(), ())
        made, rounded = like.number(written), like.number(other)
        assert made != written
        assert float(made) == float(rounded)
        assert int(rounded) - int(made) == int(other) - int(written)


def test_several_documents_are_several_lines() -> None:
    """The copy of a body of lines is a body of lines; a form is the JSON in it."""
    assert anonymise.anonymise(b'{"a": 1}\n{"a": 2.50}\n') == '{"a": 1}\n{"a": 2.50}'
    assert json.loads(anonymise.anonymise(b"payload=" + quote_plus('{"a": [1, {}]}').encode())) == {
        "a": [1, {}]
    }


def test_what_cannot_be_read_cannot_be_anonymised() -> None:
    """Nothing is guessed of a body that is no JSON."""
    with pytest.raises(PayloadError):
        anonymise.anonymise(b"<xml/>")


def _run(arguments: list[str], environ: dict[str, str] | None = None) -> tuple[int, str]:
    out = io.StringIO()
    return tool.main(arguments, environ or {}, Console(file=out, width=80)), out.getvalue()


def test_the_command_prints_the_copy_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output can be written to a file; what to do with it is printed beside."""
    path = tmp_path / "payload.json"
    path.write_text(json.dumps({"title": "x" * 300, "host": SECRETS["host"]}), "utf-8")
    code, out = _run(["--anonymise", str(path)])
    assert code == 0
    assert list(json.loads(out)) == ["title", "host"]
    assert SECRETS["host"] not in out
    assert capsys.readouterr().err.splitlines()[-1].startswith("Read it through before you send it")


def test_the_command_says_if_a_body_cannot_be_read(tmp_path: Path) -> None:
    """The exit code is 2, as without the option."""
    path = tmp_path / "payload.json"
    path.write_bytes(b"\xff\xfe{")
    code, out = _run([str(path), "--anonymise"])
    assert code == 2
    assert "UTF-16" in out


def test_the_command_says_if_the_copy_becomes_something_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy that is read in another way is of no use, so its reader must know."""
    monkeypatch.setattr(anonymise, "anonymise", lambda _body, _own: '{"ping": 1}')
    path = tmp_path / "payload.json"
    path.write_text('{"DeviceId": "x", "ReportId": 1}', "utf-8")
    _run([str(path), "--anonymise"])
    assert "Say so when you send it" in capsys.readouterr().err


def test_words_of_the_users_own_mappings_stay(tmp_path: Path) -> None:
    """Their mappings depend on words of their own."""
    (tmp_path / "acme.json").write_text(json.dumps({"when": "vendor == `Zuckervogel`"}), "utf-8")
    body = b'{"vendor": "Zuckervogel"}'
    assert "Zuckervogel" in anonymise.anonymise(body, tmp_path)
    assert "Zuckervogel" not in anonymise.anonymise(body)
