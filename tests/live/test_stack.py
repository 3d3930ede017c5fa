"""The stack itself: what starts it, what ends it, and that an alert goes all the way through."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.data.tables import TableClient

from dev import setup
from dev.stack.azurite import Azurite, any_port
from dev.stack.child import Child, ChildError
from dev.stack.stack import Stack

EVENT = {
    "machineId": "0f6c5d1a9be24781c2a35e1b7d94f0628c3d1e57",
    "eventTime": "2026-03-04T05:06:07.8901234Z",
    "reportId": "9007199254740993",
}
ALERT = EVENT | {
    "severity": "High",
    "title": "A shell was opened by an office program",
    "description": "winword.exe started cmd.exe.",
    "recommendedAction": "Ask the user, then isolate the device.",
    "category": "Execution",
}


def test_azurite_keeps_port_and_data_when_it_is_stopped_and_started(tmp_path: Path) -> None:
    """With a folder, what was answered before a stop is there after the next start, at the same address."""
    with Azurite(tmp_path) as azurite:
        before = azurite.connection_string
        with TableClient.from_connection_string(before, "Kept", use_env_settings=False) as table:
            table.create_table()
            table.create_entity({"PartitionKey": "p", "RowKey": "r", "Text": "still here"})
            azurite.stop()
            azurite.start()
            assert azurite.connection_string == before
            assert table.get_entity("p", "r")["Text"] == "still here"


def test_a_port_in_use_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azurite passes over ports that somebody else has, until it finds a free one."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        ports = iter([taken, taken, *(any_port() for _ in range(8))])
        monkeypatch.setattr("dev.stack.azurite.any_port", lambda: next(ports))
        with Azurite() as azurite:
            assert azurite.port != taken


def test_a_child_that_fails_says_why(tmp_path: Path) -> None:
    """A process that ends before it is ready is reported with its exit code and its last words."""
    child = Child(["/bin/sh", "-c", "echo no such setting >&2; exit 3"], log=tmp_path / "host.log")
    with pytest.raises(ChildError, match=r"(?s)host ended with exit code 3.*no such setting"):
        child.announcement()
    child.stop()


def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Even SIGKILL, which nobody can catch, leaves none of our processes behind."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Only the grandchild holds the pipe open: it reads as ended when that one has ended.
    grandchild = 'exec 3>"$0"; echo started >&3; sleep 120; echo outlived >&3'
    parent = f"""
import os, pathlib, signal
from dev.stack.child import Child
Child(["/bin/sh", "-c", {grandchild!r}, {str(pipe)!r}], log=pathlib.Path({str(tmp_path)!r}, "child.log"))
input()
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(  # noqa: S603 - the lines above
        [sys.executable, "-c", parent], cwd=setup.ROOT, stdin=subprocess.PIPE, text=True
    ) as running:
        with pipe.open() as output:
            assert output.readline() == "started\n"
            assert running.stdin
            running.stdin.write("\n")
            running.stdin.flush()
            assert output.read() == ""
        assert running.wait() == -9


def test_an_alert_goes_all_the_way(stack: Stack) -> None:
    """What is posted with a key is an alert in Defender, digit for digit, and the answer names it."""
    answer = stack.post(ALERT)
    assert answer.status_code == 200, answer.text
    alert = answer.json()["alerts"][0]
    arrival = stack.simulator("GET", "log")[-1]
    assert alert["alert"]["id"] == arrival["alertId"]
    assert {name: arrival[name] for name in EVENT} == EVENT


def test_without_a_key_nothing_is_called(stack: Stack) -> None:
    """The local host asks for a function key, as the platform does."""
    before = stack.simulator("GET", "log")
    stack.keys["wrong"] = "not-a-key"
    assert stack.post(ALERT, key="wrong").status_code == 401
    assert stack.simulator("GET", "log") == before


def test_a_host_can_be_killed_and_another_started(start_stack: Callable[..., Stack]) -> None:
    """The other hosts go on, a new one joins them, and all share one window."""
    stack = start_stack(hosts=2, calls=2)
    first, second = stack.hosts
    stack.kill(first)
    third = stack.start_host()
    assert not first.process.alive
    assert stack.hosts == [second, third]
    statuses = [
        stack.post({**ALERT, "title": f"Alert {number}"}, host=host).status_code
        for number, host in enumerate([second, third, second])
    ]
    assert statuses[:2] == [200, 200]
    assert statuses[2] in {202, 429}
    assert stack.simulator("GET", "violations") == []


def test_a_stack_that_cannot_start_leaves_nothing_behind(azurite: Azurite, tmp_path: Path) -> None:
    """A host that does not come up is reported with its log, and what was started before it is ended."""
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "BrokenFunction").mkdir()
    (tmp_path / "BrokenFunction" / "function.json").write_text("{")
    broken = Stack(azurite=azurite, root=tmp_path)
    with pytest.raises(ChildError, match=r"(?s)host-1 ended .*BrokenFunction"), broken:
        pytest.fail("the stack is up")
    shutil.rmtree(broken.logs)  # kept after an error, for whoever looks into it
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(broken.simulator_url.rpartition(":")[2])))
