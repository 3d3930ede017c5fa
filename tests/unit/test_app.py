"""The process: one webhook however many requests come first together, and an end that nothing holds up."""

import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import app, settings
from shared.errors import SettingsError
from shared.threads import Threads

ROOT = Path(__file__).parents[2]
LIMIT = 20.0  # seconds until a wait counts as a failure


@pytest.fixture
def first_request(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process be as before its first request."""
    monkeypatch.setattr(app, "webhook", app._once(app.webhook.__wrapped__))  # type: ignore[attr-defined]
    settings.current.cache_clear()
    yield
    settings.current.cache_clear()


@pytest.mark.usefixtures("first_request")
def test_first_requests_that_come_together_build_one_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five threads get the same webhook, which was put together once: one table, one window's knowledge."""
    assembled: list[object] = []
    everybody = threading.Barrier(5)
    assemble = app.assemble

    def slowly(values: settings.Settings, *, workers: int) -> object:
        assembled.append(values)
        threading.Event().wait(0.05)  # long enough for the others to come in
        return assemble(values, workers=workers)

    monkeypatch.setattr(app, "assemble", slowly)
    got: list[object] = []

    def request() -> None:
        everybody.wait(LIMIT)
        got.append(app.webhook())

    threads = [threading.Thread(target=request) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert (len(got), len(set(map(id, got))), len(assembled)) == (5, 1, 1)


@pytest.mark.usefixtures("first_request")
def test_wrong_settings_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is answered to each request anew; the webhook is built when the settings can be read."""
    monkeypatch.setenv("RATE_LIMIT_CALLS", "none")
    for _ in range(2):
        with pytest.raises(SettingsError):
            app.webhook()
    monkeypatch.setenv("RATE_LIMIT_CALLS", "3")
    assert app.webhook().settings.rate_limit_calls == 3


@pytest.mark.usefixtures("first_request")
def test_the_operator_sees_the_token_that_the_calls_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is set, calls and operator share one source of tokens."""
    monkeypatch.setenv("SENDERS", '{"splunk": {"keys": ["0123456789"], "sources": ["splunk"]}}')
    monkeypatch.setattr(app, "operator", app._once(app.operator.__wrapped__))  # type: ignore[attr-defined]
    source = app.webhook().dispatcher.tokens
    assert app.operator().last_token == source.last  # type: ignore[attr-defined]


def test_a_call_gives_its_result_or_its_error() -> None:
    """Whoever waits for a call gets what it returned, or the error that it raised."""
    workers = Threads(0.0)

    def fail() -> None:
        raise KeyError("x")

    good, bad = workers.submit(lambda: 7), workers.submit(fail)
    assert good.result(LIMIT) == 7
    with pytest.raises(KeyError):
        bad.result(LIMIT)


def _run(script: str) -> str:
    """Return what a process prints that ends after this script."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", f"import threading\nfrom shared.threads import Threads\n{script}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout


def test_a_clean_exit_does_not_wait_for_a_table_that_is_unavailable() -> None:
    """A call that writes its outcome in vain keeps the process only for the time that is set."""
    assert _run("Threads(0.1).submit(threading.Event().wait)\nprint('end')") == "end\n"
    assert inspect.signature(Threads).parameters["exit_seconds"].default <= 5  # of the app itself


def test_a_clean_exit_waits_for_outcomes_that_can_be_written() -> None:
    """A call that ends within that time writes what came of it."""
    late = "Threads(15).submit(lambda: (threading.Event().wait(0.3), print('written', flush=True)))"
    assert _run(f"{late}\nprint('end', flush=True)") == "end\nwritten\n"
