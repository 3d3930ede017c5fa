"""`make demo` and `make start` as a person runs them, with the window shortened."""

import re
import shlex
import signal
import subprocess

import pytest
import requests

from dev import setup
from dev.stack import child
from dev.stack.azurite import any_port
from dev.start import OPS


def run(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a module of ours as `make` does, without a terminal."""
    return subprocess.Popen(  # noqa: S603 - our own module
        child.python(module, *arguments),
        cwd=setup.ROOT,
        env=child.environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_the_demo_ends_by_itself_and_every_line_agrees_with_defenders_log() -> None:
    """Every sender's payload becomes what it should; a full window, a refusal, a merge and searches are shown."""
    with run("dev.demo", "--window", "15") as demo:
        output, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, output
    assert "MISMATCH" not in output
    assert "Every line agrees with Defender's log." in output
    assert "At most 15 calls in any 15 s" in output
    for told in ("found, exact; what agrees: ", "Several events have", "knows no device kiosk-77"):
        assert told in output
    for sender, became in [
        ("Logic Apps", "created"),
        ("Power Automate", "created"),
        ("Defender streaming", "not found"),
        ("Advanced hunting", "created"),
        ("Splunk, columns", "created"),
        ("Splunk, dotted", "created"),
        ("Splunk, _raw", "created"),
        ("Splunk, count only", "refused"),
        ("Logic Apps", r"(?:merged|known)"),
        ("Logic Apps", r"(?:full|waiting)"),
        ("Splunk notable", "searching"),
        ("Splunk notable", "created"),
        ("Splunk notable", "entity"),
        ("Wazuh alert", "created"),
        ("Wazuh alert", "entity"),
        ("Sentinel incident", "created"),
        ("Own sign-in rule", "entity"),
    ]:
        assert re.search(rf"^{sender} +{became} ", output, re.MULTILINE), (sender, became)


def test_start_stays_up_until_it_is_ended_and_prints_a_line_that_creates_an_alert() -> None:
    """The printed curl line works as it stands, and the alert is a line; Ctrl-C ends every server of the stack."""
    port = any_port()
    with run("dev.start", "--port", str(port), "--key", "a-key-of-mine") as start:
        try:
            assert start.stdout
            line = next(line for line in start.stdout if line.startswith("curl "))
            words = shlex.split(line)
            headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
            url, data = next(word for word in words if word.startswith("http")), words[-1]
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(url, data=data.encode(), headers=headers, timeout=60)
            assert answer.status_code == 200, answer.text
            assert (url, headers["x-functions-key"]) == (
                f"http://127.0.0.1:{port}/api/alerts",
                "a-key-of-mine",
            )
            assert f"@host = http://127.0.0.1:{port}" in OPS.read_text("utf-8")
            line = next(line for line in start.stdout if "Encoded PowerShell" in line and "█" in line)
            assert re.search(r"^default +created +High +█░{14} 1/15 ", line)
            assert start.poll() is None
        finally:
            start.send_signal(signal.SIGINT)
        rest = start.stdout.read()
        assert start.wait(60) == 0, rest
        with requests.Session() as session:
            session.trust_env = False
            with pytest.raises(requests.ConnectionError):
                session.get(url, timeout=10)
