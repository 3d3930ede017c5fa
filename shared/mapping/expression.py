"""JMESPath, with what mapping files need beyond it. Pure, and bounded in length and work.

Numbers are text (`payload.Number`), so that no digit is lost: comparisons take them as numbers, functions as
strings; `to_number(x)` where arithmetic is wanted. An expression that fails (a wrong type, say) is null.

Beyond JMESPath's own functions:
    root()                    the document the event is from
    has(object, 'a', 'b')     true if all these keys are there, whatever their values
    has_any(object, 'a', 'b') true if one of these keys is there
    json(text)                the JSON value in a string, also one encoded several times, or null; what is no
                              string stays as it is
    nest(object)              {"a.b": 1} as {"a": {"b": 1}}, beside what was there
    pairs(array, 'k', 'v')    [{"k": "x", "v": 1}] as {"x": 1}; different values of one name as an array
    rows(table)               {"columns": [{"name": "x"}], "rows": [[1]]} as [{"x": 1}]; also a list of tables
    zip(object)               {"a": [1, 2], "b": "x"} as [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]; arrays of
                              different length stay as they are, in one object
    fields(text)              'a=1, b="x y"' as {"a": "1", "b": "x y"}; also the extensions of CEF and LEEF
    embedded(text)            the first JSON object within a text, a log line's, say; null if none
    pick(object, 'a', 'b')    the first value that is not empty under these names in any case and punctuation;
                              machineId, eventTime and reportId mean all known names (tables/keys.json)
    record(a, b, …)           the object among these, or in arrays of them, that carries the most of device
                              id, time and report id
    format('{} on {}', a, b)  text with its gaps filled; null if one of the values is empty
    split(text, '|')          the parts of a text, trimmed; null if it is none
    lines(a, b, …)            the texts that are not empty, one a line; null if there is none
    lower(text)               the text in small letters; null if it is none
    base64(text)              the text that is encoded so; null if it is none
    unquote(text)             the text without URL encoding: %20 and + become blanks
    labelled(object)          {"cs1Label": "x", "cs1": 1} as {"x": 1}: CEF's custom fields, in any spelling
    unpack(text)              "DeviceId|ReportId|Timestamp" as an object with these three keys, null if it has not three
                              parts; an array of such as an array, with {"incomplete": text} for what is none
    find(value)               the events anywhere in a value, at least one, as `sightings.py` tells: each with the
                              entries of its row, and `found`: {machineId, eventTime, reportId, title, description,
                              recommendedAction, severity, category, device, link, at: {…}, differ: {…}}
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from jmespath import exceptions, functions, parser
from jmespath.functions import signature
from jmespath.visitor import Options, TreeInterpreter

from shared.mapping import hallmark
from shared.payload import body as payload
from shared.payload import scan, shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MAX_LENGTH = 4_000
"""Characters of one expression."""
STEPS = 80_000
STEPS_PER_EVENT = 2_500
"""What a delivery may cost, in nodes of expressions visited and the like: a million take about a second."""

_CALL = 5  # steps of a function call: arguments are checked
_CHEAP = frozenset(
    {"format", "has", "has_any", "json", "lines", "not_null", "pick", "record", "root", "type"}
)
_MAX_TEXT = 4_096
_FAILURES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_ANY: Any = {"types": []}
_TEXT: Any = {"types": ["string"]}
_REST: Any = {"types": [], "variadic": True}


class TooManySteps(Exception):
    """The expressions would cost more than a delivery may."""


class Budget:
    """The steps that are left for a delivery of up to `events` events."""

    __slots__ = ("left",)

    def __init__(self, events: int) -> None:
        self.left = STEPS + STEPS_PER_EVENT * events

    def spend(self, steps: int = 1) -> None:
        """Count work. Raises `TooManySteps`."""
        self.left -= steps
        if self.left < 0:
            raise TooManySteps


class Expression:
    """A JMESPath expression, compiled when it is first used. `text` is how it was written."""

    __slots__ = ("_alternatives", "_tree", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._tree: Any = None
        self._alternatives: list[tuple[hallmark.Words, Any]] = []

    def compile(self) -> Any:
        """Return the syntax tree. Raises `ValueError` with what is wrong."""
        if self._tree is None:
            if len(self.text) > MAX_LENGTH:
                raise ValueError(f"an expression has at most {MAX_LENGTH:,} characters")
            try:
                tree = parser.Parser().parse(self.text).parsed
                unknown = sorted(_called(tree) - set(_Functions.FUNCTION_TABLE))
            except exceptions.JMESPathError as error:
                raise ValueError(" ".join(str(error).split())) from None
            except RecursionError:
                raise ValueError("the expression is nested too deeply") from None
            if unknown:
                raise ValueError(f"there is no function {unknown[0]}()")
            self._alternatives = [(hallmark.of(one), one) for one in _alternatives(tree)]
            self._tree = tree
        return self._tree

    def alternatives(self, words: "Collection[str]") -> list[Any]:
        """Return the trees of a condition's `||` that can hold for an object with keys of these words.

        Raises `ValueError` as `compile`.
        """
        self.compile()
        found = []
        for needs, tree in self._alternatives:
            for needed in needs:
                if needed.isdisjoint(words):
                    break
            else:
                found.append(tree)
        return found


class Evaluation:
    """Evaluates expressions on one document. What one of them parsed, the next one finds."""

    def __init__(self, root: Any, *, budget: Budget) -> None:
        self._functions = _Functions(root, budget)
        self._interpreter = _Interpreter(self._functions, budget)

    def value(self, expression: Expression, of: Any) -> Any:
        """Return what the expression gives; null if it fails. Raises `TooManySteps`."""
        try:
            return self._interpreter.visit(expression.compile(), of)
        except _FAILURES:
            return None

    def holds(self, expression: Expression, of: Any, words: "Collection[str] | None" = None) -> bool:
        """Say whether the expression gives anything but null, false, "", [] and {}.

        `words` are those of the object's keys: what cannot hold for them is not evaluated.
        """
        try:
            trees = [expression.compile()] if words is None else expression.alternatives(words)
            values = (self._interpreter.visit(tree, of) for tree in trees)
            return any(
                value is not None and value is not False and value not in ("", [], {}) for value in values
            )
        except _FAILURES:
            return False

    def look(self, at: Any) -> scan.Seen:
        """Look for the keys of an event wherever they stand. Raises `TooManySteps`."""
        return self._functions.look(at)


class _Interpreter(TreeInterpreter):
    def __init__(self, functions: "_Functions", budget: Budget) -> None:
        super().__init__(Options(custom_functions=functions))
        self._budget = budget
        self._methods: dict[str, Callable[[Any, Any], Any]] = {}

    def visit(self, node: Any, value: Any = None, *_: Any, **__: Any) -> Any:
        self._budget.left -= 1  # as `spend`, which is called too often here
        if self._budget.left < 0:
            raise TooManySteps
        kind = node["type"]
        method = self._methods.get(kind)
        if method is None:
            method = self._methods[kind] = getattr(self, "visit_" + kind)
        return method(node, value)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        operator = node["value"]
        compare = self.COMPARATOR_FUNC[operator]
        if _is_number(left) and _is_number(right):
            return compare(Decimal(str(left)), Decimal(str(right)))
        if operator in ("eq", "ne"):
            return compare(left, right)
        return compare(left, right) if isinstance(left, str) and isinstance(right, str) else None


class _Functions(functions.Functions):
    def __init__(self, root: Any, budget: Budget) -> None:
        self._root = root
        self._spend = budget.spend
        self._parsed: dict[str, Any] = {}
        self._spelled: dict[int, tuple[Any, dict[str, Any]]] = {}  # by id(); what is kept here keeps its id
        self._seen: dict[int, tuple[Any, scan.Seen]] = {}  # the same

    def look(self, at: Any) -> scan.Seen:
        """Return what is seen in a value; looked at once."""
        if id(at) not in self._seen:
            self._seen[id(at)] = at, scan.look(at, self._spend)
        return self._seen[id(at)][1]

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        self._spend(_CALL)
        # Work that is not seen as nodes: by the size of what is read to its end, and what that costs in C.
        for value in () if function_name in _CHEAP else resolved_args:
            if isinstance(value, list | dict):
                self._spend(len(value) >> 3)
            elif isinstance(value, str):
                self._spend(len(value) >> 10)
        return super().call_function(function_name, resolved_args)

    # JMESPath goes by the names of types, without their bases. To it, a Number is a string.
    def _convert_to_jmespath_type(self, name: str) -> Any:
        known = "str" if name == payload.Number.__name__ else name
        return super()._convert_to_jmespath_type(known)  # type: ignore[misc]  # the stubs leave it out

    def _get_allowed_pytypes(self, types: list[str]) -> Any:
        known = super()._get_allowed_pytypes(types)  # type: ignore[misc]  # the stubs leave it out
        return _with_number(known[0]), [_with_number(names) for names in known[1]]

    @signature()
    def _func_root(self) -> Any:
        return self._root

    @signature(_ANY, _REST)
    def _func_has(self, where: Any, *keys: Any) -> Any:
        return isinstance(where, dict) and all(isinstance(key, str) and key in where for key in keys)

    @signature(_ANY, _REST)
    def _func_has_any(self, where: Any, *keys: Any) -> Any:
        return isinstance(where, dict) and any(isinstance(key, str) and key in where for key in keys)

    @signature(_ANY)
    def _func_json(self, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        if text not in self._parsed:
            self._spend(len(text) >> 4)
            self._parsed[text] = payload.opened(text)
        return self._parsed[text]

    @signature(_ANY)
    def _func_nest(self, flat: Any) -> Any:
        if not isinstance(flat, dict):
            return None
        self._spend(len(flat) << 3)
        return shapes.nest(flat)

    @signature(_ANY, _TEXT, _TEXT)
    def _func_pairs(self, items: Any, key: str, value: str) -> Any:
        return shapes.pairs(items, key, value)

    @signature(_ANY)
    def _func_rows(self, table: Any) -> Any:
        found = shapes.rows(table)
        self._spend(sum(map(len, found or ())) >> 3)
        return found

    @signature(_ANY)
    def _func_zip(self, columns: Any) -> Any:
        if not isinstance(columns, dict):
            return None
        self._spend(sum(len(value) for value in columns.values() if isinstance(value, list)))
        return shapes.zipped(columns)

    @signature(_ANY)
    def _func_fields(self, text: Any) -> Any:
        if not isinstance(text, str):
            return None
        self._spend(len(text) >> 6)
        return shapes.assigned(text)

    @signature(_ANY)
    def _func_embedded(self, text: Any) -> Any:
        if not isinstance(text, str) or "{" not in text:
            return None
        self._spend(len(text) >> 4)
        return payload.embedded(text)

    @signature(_ANY, _REST)
    def _func_pick(self, where: Any, *names: Any) -> Any:
        if not isinstance(where, dict):
            return None
        if id(where) not in self._spelled:
            self._spend(1 + (len(where) >> 1))
            self._spelled[id(where)] = where, shapes.spelled(where)
        tolerant = self._spelled[id(where)][1]
        found = (shapes.pick(where, name, tolerant) for name in names)
        return next((value for value in found if not shapes.empty(value)), None)

    @signature(_REST)
    def _func_record(self, *candidates: Any) -> Any:
        for candidate in candidates:
            several = candidate if isinstance(candidate, list) else [candidate]
            self._spend(sum(8 + (len(one) >> 1) for one in several if isinstance(one, dict)))
        return shapes.record(candidates)

    @signature(_TEXT, _REST)
    def _func_format(self, template: str, *values: Any) -> Any:
        texts = [shapes.text(value, _MAX_TEXT) for value in values]
        if not all(texts):
            return None
        start, *pieces = template.split("{}")
        return start + "".join(text + piece for text, piece in zip(texts, pieces, strict=False))

    @signature(_ANY, _TEXT)
    def _func_split(self, text: Any, separator: str) -> Any:
        return [part.strip() for part in text.split(separator)] if isinstance(text, str) else None

    @signature(_REST)
    def _func_lines(self, *values: Any) -> Any:
        texts = (shapes.text(value, _MAX_TEXT) for value in values)
        return "\n".join(text for text in texts if text) or None

    @signature(_ANY)
    def _func_lower(self, text: Any) -> Any:
        return text.lower() if isinstance(text, str) else None

    @signature(_ANY)
    def _func_base64(self, text: Any) -> Any:
        return payload.from_base64(text) if isinstance(text, str) else None

    @signature(_ANY)
    def _func_unquote(self, text: Any) -> Any:
        return unquote_plus(text) if isinstance(text, str) else None

    @signature(_ANY)
    def _func_labelled(self, where: Any) -> Any:
        return shapes.labelled(where) if isinstance(where, dict) else None

    @signature(_ANY)
    def _func_unpack(self, packed: Any) -> Any:
        return shapes.unpack(packed)

    @signature(_ANY)
    def _func_find(self, value: Any) -> Any:
        return self.look(value).events


def _with_number(names: Any) -> tuple[str, ...]:
    return (*names, payload.Number.__name__) if "str" in names else tuple(names)


def _is_number(value: Any) -> bool:
    return isinstance(value, payload.Number | int | float) and not isinstance(value, bool)


def _called(tree: Any) -> set[str]:
    found = {tree["value"]} if tree["type"] == "function_expression" else set()
    return found.union(*(_called(child) for child in tree["children"] if isinstance(child, dict)))


def _alternatives(tree: Any) -> list[Any]:
    if tree["type"] != "or_expression":
        return [tree]
    return [one for child in tree["children"] for one in _alternatives(child)]
