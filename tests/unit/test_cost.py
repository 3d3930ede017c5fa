"""The month's cost: what is counted, how it becomes dollars, and that the inputs are those of template and docs."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import cost
from bench.cost import HOURS_A_MONTH, Inputs, Load, Usage
from bench.ground import BenchError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cost.md"
NOTHING_FREE = Inputs(free_gb_seconds=0, free_executions=0, free_log_gb=0)


@pytest.fixture(scope="module")
def idle() -> Usage:
    """Count an idle hour."""
    return cost.measure(Load("idle", 0, 1), Inputs())


def resources(kind: str) -> list[dict[str, Any]]:
    """Return the template's resources of a type."""
    template = json.loads((ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
    return [resource for resource in template["resources"] if resource["type"] == kind]


def test_an_idle_hour_is_the_timer_and_the_web_test(idle: Usage) -> None:
    """120 ticks and 12 tests, each billed a second, an operation or two each, and one line a tick."""
    assert (idle.timer, idle.health, idle.webhook, idle.polls) == (120, 12, 0, 0)
    assert idle.timer_seconds == 120 * Inputs().least_seconds
    assert idle.webhook_seconds == 12 * Inputs().least_seconds
    assert 132 <= idle.operations <= 2 * 132  # a snapshot each, and what health asks beside it
    assert idle.lines == 120
    assert idle.line_bytes > 0


def test_alerts_cost_what_they_cost(idle: Usage) -> None:
    """An alert that goes straight through is one execution of a second and more, three operations, four lines."""
    inputs = Inputs()
    few = cost.measure(Load("few", 480, 1), inputs)
    assert few.alerts > 10
    assert few.waited == 0
    assert few.webhook == few.alerts
    assert few.webhook_seconds - few.health >= few.alerts * inputs.defender_seconds
    assert few.operations == 3 * few.alerts + idle.operations
    assert few.lines - few.timer == 4 * few.alerts
    assert few.row_bytes > 500


def test_who_asks_again_is_counted() -> None:
    """Every alert that waited is asked for at least once, and it is executions that this adds."""
    load = Load("many", 20_000, 0.25)
    quiet = cost.measure(load, Inputs())
    asking = cost.measure(replace(load, asks=True), Inputs())
    assert quiet.polls == 0
    assert asking.polls >= asking.waited > 0
    assert asking.executions > quiet.executions


def test_a_load_that_piles_up_has_no_month() -> None:
    """More than Defender takes is an error, not a price."""
    with pytest.raises(BenchError, match="not all were created in time"):
        cost.measure(Load("too many", 60_000, 0.25), Inputs())


def test_the_same_load_costs_the_same_twice(idle: Usage) -> None:
    """Nothing in it depends on the machine or the moment."""
    assert cost.measure(Load("idle", 0, 1), Inputs()) == idle


def test_dollars_are_amounts_by_prices() -> None:
    """A month is 730 hours of the usage; each item is its amount times its price."""
    used = Usage(
        hours=1,
        alerts=10,
        webhook=10,
        timer=90,
        webhook_seconds=20,
        timer_seconds=80,
        operations=1_000,
        lines=100,
        line_bytes=5_000,
        row_bytes=2_000,
    )
    inputs = NOTHING_FREE
    dollars = {item: amount for item, (_, amount) in cost.bill(used, inputs).items()}
    assert dollars["execution time"] == pytest.approx(100 * 2 * HOURS_A_MONTH * inputs.execution_gb_second)
    assert dollars["executions"] == pytest.approx(100 * HOURS_A_MONTH / 1e6 * inputs.million_executions)
    assert dollars["table operations"] == pytest.approx(
        HOURS_A_MONTH * 1_000 / 10_000 * inputs.table_10000_operations
    )
    assert dollars["table storage"] == pytest.approx(10 * 24 * 30 * 2_000 / 1e9 * inputs.table_gb_month)
    records = 100 + 100 * 3 + 840 + 12
    assert dollars["log"] == pytest.approx(
        (5_000 + records * 1_000) * HOURS_A_MONTH / 1e9 * inputs.log_gb, rel=1e-6
    )
    assert dollars["web test"] == pytest.approx(12 * HOURS_A_MONTH * inputs.web_test)
    assert dollars["alert rules"] == pytest.approx(2 * 1.50 + 4 * 0.50 + 0.10)


def test_what_is_free_is_taken_off_and_never_more(idle: Usage) -> None:
    """A grant larger than the use makes an item free, not negative."""
    generous = Inputs(free_gb_seconds=1e12, free_executions=1e12, free_log_gb=1e12)
    free = cost.bill(idle, generous)
    assert [free[item][1] for item in ("execution time", "executions", "log")] == [0, 0, 0]
    bare = cost.bill(idle, NOTHING_FREE)
    assert all(bare[item][1] > 0 for item in ("execution time", "executions", "log"))


def test_inputs_are_given_by_name(monkeypatch: pytest.MonkeyPatch, idle: Usage) -> None:
    """What is given replaces the default; the rest stays."""
    given: list[Inputs] = []

    def measured(_: Load, inputs: Inputs) -> Usage:
        given.append(inputs)
        return idle

    monkeypatch.setattr(cost, "measure", measured)
    cost.main(["--execution_gb_second=0.00003", "--instance_gb", "0.5"], io.StringIO())
    assert given == [Inputs(execution_gb_second=0.00003, instance_gb=0.5)] * len(cost.LOADS)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("--price=1", "--price"),
        ("--log_gb=two", "log_gb: invalid amount value: 'two'"),
        ("--log_gb=", "log_gb: invalid amount value: ''"),
        ("--log_gb=-1", "log_gb: invalid amount value: '-1'"),
        ("--log_gb=nan", "log_gb: invalid amount value: 'nan'"),
    ],
)
def test_a_wrong_input_is_named(given: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error is no price: the command ends with exit code 2 before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        cost.main([given], io.StringIO())
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_the_report_has_a_column_for_each_load(idle: Usage) -> None:
    """Every item is there, and the sum is that of the items."""
    lines = list(cost.report([(Load("one", 0, 1), idle), (Load("two", 0, 1), idle)], Inputs()))
    items = cost.bill(idle, Inputs())
    (together,) = (line for line in lines if line.startswith("together"))
    assert together.split()[1:] == [f"{sum(amount for _, amount in items.values()):,.2f}"] * 2
    amounts, dollars = ("\n".join(lines).split(f"a month: {part}")[1] for part in ("how much", "US dollars"))
    assert all(f"\n{item} " in amounts and f"\n{item} " in dollars for item in items)


def test_the_defaults_are_what_the_template_deploys() -> None:
    """Memory, retention, rules and web test of infra/azuredeploy.json are those that are priced."""
    inputs = Inputs()
    template = json.loads((ROOT / "infra" / "azuredeploy.json").read_text("utf-8"))
    default = {name: parameter.get("defaultValue") for name, parameter in template["parameters"].items()}
    assert default["instanceMemoryMB"] == inputs.instance_gb * 1024
    assert float(default["retentionDays"]) == inputs.retention_days
    (test,) = resources("Microsoft.Insights/webtests")
    places = len(test["properties"]["Locations"])
    assert places * 3600 / test["properties"]["Frequency"] == inputs.web_tests_an_hour
    often = [
        rule["properties"]["evaluationFrequency"]
        for rule in resources("Microsoft.Insights/scheduledQueryRules")
        if "condition" not in rule
    ]
    assert often.count("PT5M") == inputs.log_rules_of_5_minutes
    assert often.count("PT15M") == inputs.log_rules_of_15_minutes
    assert len(often) == often.count("PT5M") + often.count("PT15M")
    assert len(resources("Microsoft.Insights/metricAlerts")) == inputs.metric_rules


def test_the_page_names_every_input_with_its_default() -> None:
    """Who wants another price finds its name, and the page does not tell an old default."""
    inputs = dict(re.findall(r"^\| `(\w+)` \| ([\d.,]+) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert set(inputs) == set(vars(Inputs()))
    wrong = {
        name: value
        for name, value in inputs.items()
        if float(value.replace(",", "")) != getattr(Inputs(), name)
    }
    assert not wrong


def test_the_page_tells_what_idle_costs(idle: Usage) -> None:
    """The column that is quick to measure is measured again: the page is not of another version."""
    items = cost.bill(idle, Inputs())
    (total,) = re.findall(r"^\| \*\*together\*\* \| ([\d.]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert float(total) == pytest.approx(sum(amount for _, amount in items.values()), abs=0.02)
