"""A try through the real stack: host, table, tokens, hunting over a made tenant; and `make map ARGS=--hunt`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from rich.console import Console

from dev import hunt
from dev import map as shows
from dev.stack.stack import Stack
from tests.checks.contract import Contract

CONTRACT = Contract.read()
TIME = "2026-03-04T05:06:07.8912345Z"
EVENT = {
    "table": "DeviceProcessEvents",
    "device": "pc-0815.contoso.example",
    "time": TIME,
    "FileName": "rundll32.exe",
    "ProcessCommandLine": "rundll32.exe a.dll,Run",
    "SHA1": "c" * 40,
    "ProcessId": 4711,
}
REPEATED = {
    **EVENT,
    "device": "pc-0816.contoso.example",
    "ProcessCommandLine": "whoami.exe /all",
    "FileName": "whoami.exe",
}


def notable(device: str, command_line: str, time: str = "2026-03-04 05:06:07.891") -> dict[str, Any]:
    """Return what Splunk posts: no id of the event."""
    return {
        "sid": "scheduler__1",
        "search_name": "Suspicious program",
        "result": {"host": device, "UtcTime": time, "CommandLine": command_line},
    }


FOUND = notable("PC-0815", "rundll32.exe a.dll,Run")


@pytest.fixture(scope="module")
def wire() -> Iterator[requests.Session]:
    """Keep a connection, past any proxy of the shell."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="module")
def trying(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack in whose world the events are; its tables take seconds to make."""
    stack = start_stack()
    [known] = stack.simulator("POST", "world", {"events": [EVENT]})
    assert known["eventTime"] == TIME
    later = "2026-03-04T05:06:08.2912345Z"
    twin = {"SHA1": "d" * 40, "ProcessId": 4713}
    stack.simulator("POST", "world", {"events": [REPEATED, {**REPEATED, **twin, "time": later}]})
    return stack


@pytest.fixture
def stack(trying: Stack) -> Iterator[Stack]:
    """Return the stack; in the end nothing is switched."""
    yield trying
    trying.simulator("PUT", "switches", {"faults": []})


def tried(stack: Stack, wire: requests.Session, payload: Any, status: int = 200) -> Any:
    """Try a payload; the answer keeps the contract."""
    url = f"{stack.hosts[0].url}/api/operations/try?source=splunk"
    headers = {"x-functions-key": next(iter(stack.keys.values()))}
    answer = wire.post(url, json=payload, headers=headers, timeout=120)
    assert CONTRACT.breaches("POST", url, answer.status_code, answer.headers, answer.text) == []
    assert answer.status_code == status, answer.text
    return answer.json()


def events(answer: Any) -> list[Any]:
    """Return the events of an answer."""
    listed: list[Any] = answer["events"]
    return listed


def test_the_event_of_a_notable_is_found_and_nothing_is_created(stack: Stack, wire: requests.Session) -> None:
    """The match is exact and has the event's reference; its decoys are no match; Defender saw no call."""
    [shown] = events(tried(stack, wire, FOUND))
    verdict = shown["verdict"]
    assert (verdict["outcome"], verdict["grade"]) == ("match", "exact")
    [known] = stack.simulator("POST", "world", {"events": [EVENT]})
    assert verdict["reference"] == known
    first = verdict["candidates"][0]
    assert (first["time"], first["device"], first["agree"]) == (TIME, EVENT["device"], ["commandLine"])
    assert shown["problems"]
    assert stack.simulator("GET", "log") == []
    listed = (
        stack.operate("GET", "alerts").json()["alerts"],
        stack.operate("GET", "refused").json()["refused"],
    )
    assert listed == ([], [])


def test_two_possible_events_are_no_match(stack: Stack, wire: requests.Session) -> None:
    """The same command twice within a second is ambiguous, and both are shown."""
    [shown] = events(tried(stack, wire, notable("pc-0816", "whoami.exe /all")))
    assert (shown["verdict"]["outcome"], shown["verdict"]["reference"]) == ("ambiguous", None)
    same = [each for each in shown["verdict"]["candidates"] if "commandLine" in each["agree"]]
    assert len(same) == 2


def test_an_unknown_device_is_said(stack: Stack, wire: requests.Session) -> None:
    """A device that Defender does not know is another end than an event that is not there."""
    unknown, absent = events(
        tried(
            stack, wire, [notable("pc-0999", "a.exe"), notable("pc-0815", "b.exe", "2026-03-04 05:06:07.1")]
        )
    )
    assert unknown["verdict"]["outcome"] == "noDevice"
    assert "pc-0999" in unknown["verdict"]["reason"]
    assert absent["verdict"]["outcome"] == "none"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "status", "status": 403}, ["ThreatHunting.Read.All", "--hunting IDENTITY"]),
        ({"kind": "status", "status": 504}, ["504"]),
        ({"kind": "html", "status": 200}, ["GRAPH_API_URL"]),
    ],
    ids=lambda value: f"{value['kind']}-{value.get('status')}" if isinstance(value, dict) else None,
)
def test_what_graph_refuses_is_one_sentence(
    stack: Stack, wire: requests.Session, fault: dict[str, Any], words: list[str]
) -> None:
    """The operator reads what is wrong and what to do; the clues and the query are shown all the same."""
    _is_explained(stack, wire, fault, words)


@pytest.mark.parametrize(
    ("kind", "words"), [("quota", "45 per 00:01:00"), ("resources", "processing resources")]
)
def test_what_graph_has_no_room_for_is_one_sentence_and_pauses_searches(
    start_stack: Callable[..., Stack], wire: requests.Session, kind: str, words: str
) -> None:
    """The next try of whichever host is a 429 with Graph's words, and Graph sees no search of it."""
    stack = start_stack()
    _is_explained(stack, wire, {"kind": kind}, ["429", words, "again in"])
    assert words in tried(stack, wire, FOUND, status=429)["detail"]
    assert len(stack.simulator("GET", "searches")) == 1


def _is_explained(stack: Stack, wire: requests.Session, fault: dict[str, Any], words: list[str]) -> None:
    stack.simulator("PUT", "switches", {"faults": [{**fault, "on": "hunting", "times": 1}]})
    [shown] = events(tried(stack, wire, FOUND))
    assert shown["verdict"] is None
    assert all(word in shown["error"] for word in words), shown["error"]
    assert shown["clues"]
    assert shown["query"]


def test_the_hosts_of_a_table_share_the_searches_of_a_minute(
    start_stack: Callable[..., Stack], wire: requests.Session
) -> None:
    """Of two hosts, whichever is asked: the 16th search is a 429 with the time to wait, and Graph is not called."""
    stack = start_stack(hosts=2)
    urls = [f"{host.url}/api/operations/try" for host in stack.hosts]
    headers = {"x-functions-key": next(iter(stack.keys.values()))}
    answers = [wire.post(urls[n % 2], json=FOUND, headers=headers, timeout=120) for n in range(16)]
    assert [answer.status_code for answer in answers] == [200] * 15 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
    assert len(stack.simulator("GET", "searches")) == 15


def test_no_token_of_graph_is_asked_for_by_anything_else(
    start_stack: Callable[..., Stack], wire: requests.Session
) -> None:
    """A post, a status and a try without a search ask only for Defender's token; a search asks for its own."""
    stack = start_stack()

    def asked() -> int:
        return sum(stack.simulator("GET", "tokens").values())

    stack.post(FOUND)
    stack.operate("GET", "status?refresh=true").raise_for_status()
    assert events(tried(stack, wire, {"sid": "s", "search_name": "x", "result": {}}))[0]["error"]
    assert asked() == 1
    tried(stack, wire, FOUND)
    assert asked() == 2


def test_without_a_token_the_setting_is_named(
    start_stack: Callable[..., Stack], wire: requests.Session
) -> None:
    """Where the identity gives no token for the scope, nothing is searched."""
    stack = start_stack(settings={"GRAPH_TOKEN_SCOPE": "api://nowhere/.default"})
    assert "GRAPH_TOKEN_SCOPE" in tried(stack, wire, FOUND, status=503)["detail"]
    assert stack.simulator("GET", "searches") == []


def test_make_map_hunts_in_the_running_simulator(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--hunt` prints the verdict with the reference; without a simulator it says how to start one."""
    (tmp_path / "payload.json").write_text(json.dumps(FOUND), "utf-8")
    address = tmp_path / "address"

    def printed() -> tuple[int, str]:
        with (tmp_path / "out").open("w", encoding="utf-8") as out:
            console = Console(file=out, highlight=False, width=200, color_system=None)
            code = shows.main([str(tmp_path / "payload.json"), "--hunt"], {}, console)
        return code, (tmp_path / "out").read_text("utf-8")

    running = hunt.running
    monkeypatch.setattr(hunt, "running", lambda: running(address))
    code, text = printed()
    assert code == 2
    assert "make start" in text
    with hunt.announced(stack.simulator_url, address):
        code, text = printed()
    assert code == 1  # it is still refused
    shown = yaml.safe_load(text[text.index("outcome: ") :].partition("\n\n")[0])
    assert (shown["outcome"], shown["grade"], shown["reference"]["eventTime"]) == ("match", "exact", TIME)
    assert "commandLine" in shown["candidates"][0]["agree"]
    assert not address.exists()
