"""The benchmarks' arithmetic: quantiles, goals, quota use, the table. No times."""

import importlib
import io
import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench import (
    __main__,
    load,
    mapping_cost,
    quota,
    record,
    requests,
    rival,
)
from bench.figure import TIMES, Figure, Goal, Report, of_runs, quantile, table
from bench.ground import BenchError, Form
from dev import outcomes
from shared.mapping import mappings as mapping
from tests.checks import adversary, bodies
from tests.checks.spent import Cost

AT_MOST = Goal("at most", 1.1, of_floor=True)
AT_LEAST = Goal("at least", 0.85, of_floor=True)
SMALL = 20_000


@pytest.mark.parametrize(
    ("part", "expected"), [(0.0, 1.0), (0.25, 1.0), (0.26, 2.0), (0.5, 2.0), (0.99, 4.0), (1.0, 4.0)]
)
def test_a_quantile_is_a_value_that_was_measured(part: float, expected: float) -> None:
    """It is the smallest that so many do not exceed; nothing is interpolated."""
    assert quantile([4.0, 2.0, 1.0, 3.0], part) == expected


def test_no_value_has_no_quantile() -> None:
    """An empty measurement is an error, not a zero that meets every goal."""
    with pytest.raises(ValueError, match="no value"):
        quantile([], 0.5)


def test_one_disturbed_run_of_five_does_not_count() -> None:
    """The figure is the median of the runs' own quantiles."""
    calm = [1.0] * 99 + [2.0]
    assert of_runs([calm, calm, [9.0] * 100, calm, calm], 0.99) == 1.0
    assert of_runs([[5.0], [1.0], [3.0]], 0.5) == 3.0


@pytest.mark.parametrize(
    ("goal", "ours", "floor", "met"),
    [
        (AT_MOST, 11.0, 10.0, True),
        (AT_MOST, 11.1, 10.0, False),
        (AT_LEAST, 85.0, 100.0, True),
        (AT_LEAST, 84.9, 100.0, False),
        (Goal("at most", 0), 0.0, None, True),
        (Goal("at most", 0), 1.0, None, False),
    ],
)
def test_a_goal_is_met_or_not(goal: Goal, ours: float, floor: float | None, met: bool) -> None:
    """A bound is a multiple of the floor, or a value of its own; reaching it is enough."""
    assert Figure("f", ours, floor=floor, goal=goal).met is met


def test_without_its_floor_a_goal_is_missed() -> None:
    """A floor that was not measured cannot be met by accident."""
    assert Figure("f", 1.0, goal=AT_MOST).met is False
    assert Figure("f", 1.0, floor=0.0, goal=AT_LEAST).met is False


def _cells(text: str, line: int = -1) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip() for cell in text.splitlines()[line].strip("|").split("|")]


def test_the_table_shows_every_figure_with_its_floor_and_verdict() -> None:
    """Figure, floor, ours, ratio, goal, met or not: one line each, in order."""
    figures = [
        Figure("straight, p50", 10.5, "ms", 10.0, AT_MOST),
        Figure("burst", 8.0, "/s", 10.0, AT_LEAST, "4 hosts"),
    ]
    text = table(figures)
    assert _cells(text, 2) == ["straight, p50", "10 ms", "10.5 ms", "1.050", f"≤ 1.10 {TIMES}", "met", ""]
    assert _cells(text, 3) == ["burst", "10 /s", "8 /s", "0.800", f"≥ 0.85 {TIMES}", "MISSED", "4 hosts"]
    assert len({line.rindex("|", 0, -1) for line in text.splitlines()}) == 1  # aligned


@pytest.mark.parametrize(("latency", "expected"), [(0.1, 0.99420), (1.0, 0.97959), (5.0, 0.91954)])
def test_the_bound_of_the_design(latency: float, expected: float) -> None:
    """A slot is used once in window + margin + latency; a limiter without a margin comes a little further."""
    assert quota.bound(60.0, 0.25, latency) == pytest.approx(expected, abs=1e-5)
    assert quota.bound(60.0, 0.0, latency) == pytest.approx(60 / (60 + latency))


def test_quota_use_does_not_count_the_first_window_of_calls() -> None:
    """Fifteen at once, then fifteen every 60 s is all that Defender allows; every 61 s is a sixtieth less."""
    full = [60.0 * minute for minute in range(5) for _ in range(15)]
    slow = [61.0 * minute for minute in range(5) for _ in range(15)]
    steady = [4.0 * number for number in range(100)]
    assert quota.use(full, 15, 60.0) == pytest.approx(1.0)
    assert quota.use(reversed(slow), 15, 60.0) == pytest.approx(60 / 61)
    assert quota.use(steady, 15, 60.0) == pytest.approx(1.0)


def test_quota_use_needs_more_than_a_windows_calls() -> None:
    """Fifteen calls say nothing about the use of a quota."""
    with pytest.raises(ValueError, match="too few"):
        quota.use([0.0] * 15, 15, 60.0)


def test_a_hosts_memory_is_read_from_its_status() -> None:
    """What the process holds itself counts, not what it shares with others."""
    status = "Name:\tpython\nVmRSS:\t  60000 kB\nRssAnon:\t   40000 kB\nRssFile:\t   20000 kB\n"
    assert load.resident(status) == 40_000 * 1024


def test_simulated_hosts_stay_within_the_limit_and_near_the_bound() -> None:
    """The simulation behind the scale figure is deterministic, and its judge sees calls at all."""
    case = quota.simulate(3, windows=1)
    assert case == quota.simulate(3, windows=1)
    assert case.too_many == 0
    assert 0.9 < case.use <= quota.bound(60.0, 0.0, 1.0)
    assert case.requests_a_minute > 15
    assert quota.simulate(10, windows=1).conflicts_a_call > case.conflicts_a_call == 0


def test_the_requests_of_an_alert_are_counted() -> None:
    """Three for an alert that goes straight through: snapshot, acquire, outcome. Twice two through the backlog.

    Five, one search and one call where its event is found.
    """
    figures = {figure.name: figure for figure in requests.measure(Form(quick=True)).figures}
    assert figures["requests of an alert, straight"].ours == 3.0
    assert 3.0 < figures["requests of an alert, snapshots and all"].ours <= 4.0
    assert all(figure.met is not False for figure in figures.values())
    assert requests.of_search() == {"requests": 5, "searches": 1, "calls": 1}


def test_a_use_case_costs_the_same_however_many_rows_there_are() -> None:
    """Snapshot, tick, poll, duplicate and status make as many requests on a table twenty times as large."""
    small, large = (requests.of_use_cases(size) for size in (1_000, 20_000))
    assert small == large
    assert [*small["snapshot"], *small["poll"]] == [1, 31, 3, 33]
    assert list(small) == ["snapshot", "tick", "poll", "duplicate", "status"]


def test_a_storm_of_polls_is_counted_second_by_second() -> None:
    """Every sender asks at least once a minute, and each poll reads its delivery and its alert."""
    seconds, polls = requests.storm(60)
    assert polls >= 60 * 4
    assert sum(seconds) >= 2 * polls


def test_each_source_is_measured_by_one_event_that_is_accepted() -> None:
    """What is timed is a whole alert, none that is refused; nearly every source that takes an event has such a pair."""
    events = mapping_cost.events()
    mappings = mapping.load()
    for event in events.values():
        outcome = outcomes.outcome_of(event.body, event.query, mappings)
        assert (len(outcome.alerts), len(outcome.refused)) == (1, 0)
    assert mapping_cost.NATIVE in events
    assert {"generic", "sentinel", "splunk", "elastic", "qradar"} <= set(events)
    assert len(events) > len(mappings.names()) * 0.8


def test_a_recipe_builds_the_same_body_again() -> None:
    """What the search prints is all that is needed: the choices that were made build the body, to the byte."""
    chance = random.Random(10)
    empty = 0
    for _ in range(60):
        recipe = tuple(chance.randrange(10**6) for _ in range(40))
        body, choices = bodies.body(recipe, SMALL)
        assert len(body) == SMALL
        assert (body, choices) == bodies.body(choices, SMALL)
        assert json.loads(body) is not None
        empty += body.strip() == b"{}"
    assert empty < 20  # the parts do not fit into so small a body


def test_a_changed_recipe_is_another_one() -> None:
    """The worst are bred by small changes."""
    chance = random.Random(1)
    recipe = tuple(range(20))
    changed = [adversary.changed(recipe, chance) for _ in range(50)]
    assert sum(variant != recipe for variant in changed) > 45
    assert all(abs(len(variant) - len(recipe)) < 10 for variant in changed)


def test_the_worst_of_each_kind_is_kept() -> None:
    """Many variants of one bad shape do not hide another bad shape."""
    findings = [
        adversary.Finding((1,), "table, run", Cost(0.9, 1, "")),
        adversary.Finding((2,), "table, run", Cost(0.8, 1, "")),
        adversary.Finding((3,), "arrays, run", Cost(0.2, 1, "")),
        adversary.Finding((4,), "arrays, keys", Cost(0.1, 60, "")),
    ]
    assert [finding.recipe for finding in adversary.worst(findings)] == [(4,), (1,), (3,)]


def test_a_record_can_be_read_back(tmp_path: Path) -> None:
    """What was written is what the table of all results shows, with the machine it was measured on."""
    figure = Figure("burst", 8.0, "/s", 10.0, AT_LEAST, "4 hosts")
    machine = {"processor": "some", "cores": 2, "system": "Linux 6", "python": "3.11.7", "node": "20"}
    record.write("burst", Report((figure,), {"runs": [1]}, "a chart"), machine, tmp_path)
    record.write_table(["burst", "never measured"], tmp_path)
    document = json.loads((tmp_path / "burst.json").read_text("utf-8"))
    assert [record.read(item) for item in document["figures"]] == [figure]
    results = (tmp_path / "results.md").read_text("utf-8")
    assert table([figure]) in results
    assert "some, 2 cores, Linux 6, Python 3.11.7" in results
    assert results.endswith("\na chart\n")


def test_the_chart_shows_how_conflicts_and_requests_grow() -> None:
    """A point for each number of hosts, in their order."""
    cases = [quota.Case(1.0, hosts, 0.9, 0, 90, hosts / 8, hosts * 30.0) for hosts in (1, 10, 100)]
    conflicts, requested = quota.chart(cases).split("\n\n")
    assert 'x-axis "hosts" ["1", "10", "100"]' in conflicts
    assert "line [0.125, 1.25, 12.5]" in conflicts
    assert "line [30, 300, 3000]" in requested


def test_every_benchmark_can_be_asked_for_by_name() -> None:
    """Each name is a module with `measure`, and stands once."""
    assert len(set(__main__.NAMES)) == len(__main__.NAMES)
    assert all(callable(importlib.import_module(f"bench.{name}").measure) for name in __main__.NAMES)


def _missed(_: Form) -> Report:
    return Report((Figure("slow", 11.1, floor=10.0, goal=AT_MOST),))


def _met(_: Form) -> Report:
    return Report((Figure("fast", 11.0, floor=10.0, goal=AT_MOST), Figure("told", 1.0)))


def _broken(_: Form) -> Report:
    raise BenchError("a host answered 503")


@pytest.mark.parametrize(
    ("benchmarks", "code", "expected"),
    [
        ({"met": _met}, 0, "All met."),
        ({"met": _met, "missed": _missed}, 1, "1 of 3 missed: slow"),
        ({"broken": _broken, "met": _met}, 1, "1 of 3 missed: broken, measured"),
    ],
)
def test_a_missed_goal_is_a_failed_run(
    benchmarks: Mapping[str, __main__.Measure], code: int, expected: str
) -> None:
    """The exit code is 1 as soon as one goal is missed or could not be measured; all others still run."""
    out = io.StringIO()
    assert __main__.main(["--quick"], out, benchmarks) == code
    assert out.getvalue().splitlines()[-1] == expected
    assert "fast" in out.getvalue()


def test_without_redis_the_comparison_is_skipped() -> None:
    """Its line says what to install; with Redis and the packages, nothing is missing."""
    assert "apt-get install redis-server" in rival.missing(lambda _: None, lambda _: True)
    assert "requirements-bench.txt" in rival.missing(lambda name: name, lambda name: name != "limits")
    assert rival.missing(lambda name: name, lambda _: True) == ""


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that does not exist ends the run before anything is measured, and the known ones are named."""
    with pytest.raises(SystemExit):
        __main__.main(["nonsense"])
    assert "there is no nonsense; there are quota" in capsys.readouterr().err
