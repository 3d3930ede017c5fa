"""Expressions: JMESPath with numbers that keep their digits, our functions, and bounded work."""

from typing import Any

import pytest

from shared import problems
from shared.mapping import expression
from shared.mapping.expression import Evaluation, Expression
from shared.payload import body as payload


def evaluate(text: str, document: str, of: Any = None) -> Any:
    """Evaluate an expression on a JSON text, or on a part of it."""
    [root] = payload.read(document.encode(), max_bytes=10_000)
    return Evaluation(root, budget=expression.Budget(1)).value(Expression(text), root if of is None else of)


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        ("a", '{"a": 639199803770463714}', "639199803770463714"),
        ("a == `1`", '{"a": 1}', True),
        ("a == `1`", '{"a": 1.0}', True),
        ("a != `1`", '{"a": 2}', True),
        ("a > `9`", '{"a": 10}', True),
        ("a < b", '{"a": 9, "b": 1e1}', True),
        ("a == b", '{"a": 1, "b": "1"}', True),
        ("a > `9`", '{"a": "10"}', None),
        ("a == `true`", '{"a": 1}', False),
        ("a > 'b'", '{"a": "c"}', True),
        ("[?level >= `7`].name", '[{"level": 10, "name": "x"}, {"level": 6, "name": "y"}]', ["x"]),
        ("to_number(a)", '{"a": 20}', 20),
        ("starts_with(a, '2')", '{"a": 20}', True),
        ("join('-', a)", '{"a": [1, "x", 2]}', "1-x-2"),
        ("sort_by(@, &n)[0].n", '[{"n": 2}, {"n": 1}]', "1"),
        ("contains(a, '1')", '{"a": [1]}', True),
        ("length(a)", '{"a": 5}', 1),
        ("abs(a)", '{"a": "x"}', None),
        ("a.b[0].c", '{"a": 5}', None),
        ("root().x", '{"x": 1}', "1"),
        ("[].{y: root()[1].z}", '[{"z": 1}, {"z": 2}]', [{"y": "2"}, {"y": "2"}]),
        ("has(@, 'a', 'b')", '{"a": null, "b": 1}', True),
        ("has(@, 'a', 'b')", '{"a": null}', False),
        ("has(a, 'b')", '{"a": "b"}', False),
        ("json(a).b", '{"a": "{\\"b\\": 639199803770463714}"}', "639199803770463714"),
        ("json(a).b", '{"a": {"b": 1}}', "1"),
        ("json(a)", '{"a": "{"}', None),
        ("json(a)", '{"a": "NaN"}', None),
        ("nest(@).a.b.c", '{"a.b.c": 1}', "1"),
        ("nest(@).a", '{"a.b": 1, "a": {"c": 2}}', {"c": "2"}),
        ("nest(@).a", '{"a": 5, "a.b": 1}', "5"),
        ("nest(@).a", '{"a.b": 1, "a.c": 2, "a.b.d": 3}', {"b": "1", "c": "2"}),
        ("nest(a)", '{"a": 5}', None),
        ("pairs(@, 'key', 'value')", '[{"key": "a", "value": 1}, {"key": "b"}, 5]', {"a": "1"}),
        ("pairs(@, 'k', 'v').a", '[{"k": "a", "v": 1}, {"k": "a", "v": 2}]', ["1", "2"]),
        ("pairs(a, 'k', 'v')", '{"a": 5}', None),
        (
            "rows(@)",
            '{"columns": [{"name": "a"}, "b"], "rows": [[1, 2], [3]]}',
            [{"a": "1", "b": "2"}, {"a": "3"}],
        ),
        ("rows(@)", '[{"Columns": [{"Name": "a"}], "Rows": [[1]]}, {}]', [{"a": "1"}]),
        ("rows(@)", '{"columns": [1], "rows": [[1]]}', [{"1": "1"}]),
        ("rows(@)", '{"columns": [{}], "rows": []}', None),
        ("pick(@, 'machineId')", '{"deviceId": "a", "DeviceId": "b"}', "b"),
        ("pick(@, 'machineId')", '{"DeviceId": "", "MDATP-device-id": "c"}', "c"),
        ("pick(@, 'machineId')", '{"DeviceId1": "a", "AadDeviceId": "b"}', None),
        ("pick(@, 'nothing')", '{"a": 1}', None),
        ("record(a, b).ReportId", '{"a": {"DeviceId": 1}, "b": [5, {"DeviceId": 1, "ReportId": 2}]}', "2"),
        ("record(a, b)", '{"a": 5}', None),
        ("split(a, '|')", '{"a": "x | y"}', ["x", "y"]),
        ("split(a, '|')", '{"a": 5, "b": null}', ["5"]),
        ("split(b, '|')", '{"a": 5}', None),
        ("split(a, '')", '{"a": "x"}', None),
        ("format('{} on {}!', a, b)", '{"a": 1, "b": ["x", "y"]}', "1 on x, y!"),
        ("format('{} on {}', a, b)", '{"a": 1, "b": " "}', None),
        ("format('{}{}', a)", '{"a": "{}"}', "{}"),
        ("lines(a, b, c)", '{"a": "x", "b": null, "c": true}', "x\ntrue"),
        ("lines(a)", "{}", None),
        ("lower(a)", '{"a": "HiGH"}', "high"),
        ("lower(a)", '{"a": {}}', None),
        ("base64(a)", '{"a": "eyJiIjogMX0="}', '{"b": 1}'),
        ("json(base64(a)).b", '{"a": "eyJiIjogMX0=\\n"}', "1"),
        ("base64(a)", '{"a": "not base64"}', None),
        ("base64(a)", '{"a": "/w=="}', None),
        ("base64(a)", '{"a": null}', None),
        ("unquote(a)", '{"a": "x+y%3Dz"}', "x y=z"),
        ("unquote(a)", '{"a": []}', None),
        (
            "labelled(@)",
            '{"cs1Label": "ReportId", "cs1": 5, "x_label": "y", "x": "z", "nLabel": "n"}',
            {"ReportId": "5", "y": "z"},
        ),
        ("labelled(a)", '{"a": "cs1Label"}', None),
        ("unpack(a)", '{"a": "d | 1|t"}', {"DeviceId": "d", "ReportId": "1", "Timestamp": "t"}),
        ("unpack(a)[].ReportId", '{"a": ["d|1|t", "no", "e|2|u"]}', ["1", "2"]),
        ("unpack(a)", '{"a": "d|1|t|more"}', None),
        ("unpack(a)", '{"a": "d||t"}', None),
        ("json(a)", '{"a": "\\"{\\\\\\"b\\\\\\": 1}\\""}', {"b": "1"}),
        ("json(a)", '{"a": "\\"text\\""}', "text"),
        ("find(@)[].found.reportId", '{"a": [{"ReportId": 1}, {"b": {"report_id": "2"}}]}', ["1", "2"]),
        ("find(@)[0].found.differ", '{"a": 1}', {}),
    ],
)
def test_expressions(text: str, document: str, expected: Any) -> None:
    """What an expression gives; numbers are compared as numbers and never lose a digit."""
    assert evaluate(text, document) == expected


def test_functions_with_wrong_arguments_are_null() -> None:
    """A failing expression is null: the next place is tried."""
    for text in ("nest()", "json(a, b)", "format(a, b)", "pairs(@)", "sum(@)", "ceil(a)"):
        assert evaluate(text, '{"a": 1}') is None


@pytest.mark.parametrize(
    "text", ["", "a ||", "a[", "nope(a)", "a.nope(b)", "map(&nope(@), a)", "x" * 5000, "!" * 3000 + "a"]
)
def test_wrong_expressions_do_not_compile(text: str) -> None:
    """Syntax, unknown functions wherever they stand, length and depth are refused with a reason."""
    with pytest.raises(ValueError, match=r"\w"):
        Expression(text).compile()


def test_work_is_bounded() -> None:
    """An expression that multiplies its work ends in `TooManySteps`, however short it is."""
    doubling = Expression("@" + " | [@, @][]" * 40)
    with pytest.raises(expression.TooManySteps):
        Evaluation([1], budget=expression.Budget(1)).value(doubling, [1])


def test_a_string_is_parsed_once() -> None:
    """Every field of an event may look into the same JSON text; it costs its parsing once."""
    document = '{"a": ' + '"{' + ",".join(f'\\"{n}\\": 1' for n in range(500)) + '}"}'
    [root] = payload.read(document.encode(), max_bytes=10_000)
    evaluation = Evaluation(root, budget=expression.Budget(1))
    assert evaluation.value(Expression("json(a)"), root) is evaluation.value(Expression("json(a)"), root)


def test_payload_errors_inside_strings_are_null() -> None:
    """A contradiction inside a JSON text is no reason to refuse the delivery: the text is just no JSON."""
    with pytest.raises(problems.PayloadError):
        payload.read(b'{"b": 1, "b": 2}', max_bytes=100)
    assert evaluate("json(a)", '{"a": "{\\"b\\": 1, \\"b\\": 2}"}') is None
