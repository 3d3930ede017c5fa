"""Runs a workflow of Logic Apps or Power Automate on this machine; calls to other services are passed in.

    run = Workflow(definition, parameters).run(trigger_body, call)
    run.status, run.actions["Answer"].outputs, run.accessed

`call(name, inputs)` stands for the world: it gets the inputs of an action that leaves the workflow (HTTP, a
connector) and returns its answer, after any polling. From Microsoft's "Schema reference guide for the Workflow
Definition Language" and "Schema reference guide for trigger and action types"; an action of another type than those
below is an error.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tests.checks.expressions import (
    WORKFLOW,
    Access,
    ExpressionError,
    Functions,
    Node,
    below,
    evaluate,
    parse,
    replaced,
    strings,
    text,
)

Status = Literal["Succeeded", "Failed", "TimedOut", "Skipped"]
_OUT = ("Http", "ApiConnection", "OpenApiConnection")
_PLAIN = ("Compose", "Response", "Terminate")
_SUCCESS = range(200, 300)
NOW = "2026-03-04T05:06:07.0000000Z"
"""The time of every run."""
_PIECES = re.compile(r"@\{((?:[^'}]|'(?:[^']|'')*')*)\}")  # quotes in an expression may hold braces


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an action: HTTP status, content type, and the body as bytes."""

    status: int
    content_type: str = "application/json"
    body: bytes = b""

    def outputs(self) -> dict[str, Any]:
        """Return the outputs as the workflow sees them. A content type unknown to the engine stays binary content."""
        kind = self.content_type.partition(";")[0]
        body: Any = None
        if self.body and kind == "application/json":
            body = json.loads(self.body)
        elif self.body and kind == "text/plain":
            body = self.body.decode()
        elif self.body:
            body = {"$content-type": kind, "$content": base64.b64encode(self.body).decode()}
        return {"statusCode": self.status, "headers": {"Content-Type": self.content_type}, "body": body}


@dataclass(frozen=True, slots=True)
class Ran:
    """One action: its status, inputs and outputs."""

    status: Status
    inputs: Any = None
    outputs: Any = None


Call: TypeAlias = Callable[[str, Any], Answer | None]
"""The world. None: nobody answered in time."""


@dataclass
class Run:
    """The result of one run. `accessed` are the accesses, as written, that found an existing member."""

    status: Status = "Succeeded"
    actions: dict[str, Ran] = field(default_factory=dict)
    accessed: set[str] = field(default_factory=set)


class Workflow:
    """A workflow's definition with the values of its parameters. Raise `ExpressionError` if these do not fit."""

    def __init__(self, definition: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self.definition = definition
        self.parameters = {
            name: declared["defaultValue"]
            for name, declared in definition["parameters"].items()
            if "defaultValue" in declared
        } | dict(parameters)
        if self.parameters.keys() != definition["parameters"].keys():
            raise ExpressionError(f"the parameters are {sorted(definition['parameters'])}")

    def accesses(self) -> set[str]:
        """Return every access in the expressions of the actions, as written."""
        return {node.text for node in nodes(self.definition["actions"]) if isinstance(node, Access)}

    def run(self, trigger_body: Any, call: Call, trigger: Mapping[str, Any] | None = None) -> Run:
        """Run the actions once; `trigger` are the trigger's outputs besides a body."""
        run = Run()
        _Runner(self, trigger_body, call, run, trigger or {}).scope(self.definition["actions"])
        return run


def value(template: Any, own: Functions, accessed: Callable[[str], None] = lambda _: None) -> Any:
    """Return a part of a definition with its expressions evaluated, as `evaluate` does it."""

    def evaluated(written: str) -> Any:
        if written.startswith("@@"):
            return written[1:]
        if _is_whole(written):
            return evaluate(parse(written[1:], WORKFLOW), WORKFLOW, own, accessed)
        parts = _PIECES.split(written)
        parts[1::2] = [text(evaluate(parse(part, WORKFLOW), WORKFLOW, own, accessed)) for part in parts[1::2]]
        return "".join(parts)

    return replaced(template, evaluated)


def nodes(template: Any) -> Iterator[Node]:
    """Yield every part of every expression in a part of a definition; descriptions are no templates."""
    for written in strings(_without_descriptions(template)):
        pieces = [written[1:]] if _is_whole(written) else _PIECES.split(written)[1::2]
        for piece in () if written.startswith("@@") else pieces:
            yield from below(parse(piece, WORKFLOW))


def _without_descriptions(template: Any) -> Any:
    if isinstance(template, dict):
        return {
            name: _without_descriptions(inner) for name, inner in template.items() if name != "description"
        }
    return [_without_descriptions(inner) for inner in template] if isinstance(template, list) else template


def _is_whole(written: str) -> bool:
    return written.startswith("@") and not written.startswith("@{")


class _Runner:
    def __init__(
        self, workflow: Workflow, trigger_body: Any, call: Call, run: Run, trigger: Mapping[str, Any]
    ) -> None:
        self._call = call
        self._run = run
        self._item: Any = None
        self._own: Functions = {
            "body": lambda name: (self._outputs(name) or {}).get("body"),
            "item": lambda: self._item,
            "outputs": self._outputs,
            "parameters": workflow.parameters.__getitem__,
            "trigger": lambda: {"outputs": trigger},
            "triggerBody": lambda: trigger_body,
            "utcNow": lambda: NOW,
        }

    def scope(self, actions: Mapping[str, Any]) -> Status:
        """Run actions in the order of their `runAfter`; a failure after which nothing runs fails the whole."""
        waiting = dict(actions)
        while waiting:
            name = next(
                (each for each in waiting if not waiting[each].get("runAfter", {}).keys() & waiting), None
            )
            if name is None:
                raise ExpressionError(f"{sorted(waiting)} wait for each other")
            action = waiting.pop(name)
            if unknown := action.get("runAfter", {}).keys() - actions.keys():
                raise ExpressionError(f"{name} runs after {unknown}, which is not there")
            ran = self._run.actions[name] = self._action(name, action)
            if action["type"] == "Terminate" and ran.status == "Succeeded":
                self._run.status = ran.inputs["runStatus"]
                return self._run.status
        failed = {name for name in actions if self._run.actions[name].status in ("Failed", "TimedOut")}
        handled = {
            before
            for name, action in actions.items()
            if self._run.actions[name].status != "Skipped"
            for before in action.get("runAfter", {})
        }
        if failed - handled:
            self._run.status = "Failed"
        return self._run.status

    def _action(self, name: str, action: Mapping[str, Any]) -> Ran:
        after = action.get("runAfter", {}).items()
        if any(self._run.actions[before].status not in statuses for before, statuses in after):
            return Ran("Skipped")
        kind = action["type"]
        try:
            if kind in ("If", "Foreach"):
                return Ran(self._chosen(action) if kind == "If" else self._repeated(action))
            if kind == "Select":
                return Ran("Succeeded", outputs={"body": self._selected(action["inputs"])})
            inputs = self._value(action["inputs"])
        except ExpressionError as error:
            return Ran("Failed", outputs={"error": str(error)})
        if kind in _PLAIN:
            return Ran("Succeeded", inputs, inputs)
        if kind not in _OUT:
            raise ExpressionError(f"{name}: the action type {kind} is not known here")
        return self._ask(name, inputs)

    def _ask(self, name: str, inputs: Any) -> Ran:
        answer = self._call(name, inputs)
        if answer is None:
            return Ran("TimedOut", inputs)
        return Ran("Succeeded" if answer.status in _SUCCESS else "Failed", inputs, answer.outputs())

    def _chosen(self, action: Mapping[str, Any]) -> Status:
        holds = self._holds(action["expression"])
        return self.scope(action["actions"] if holds else action["else"]["actions"])

    def _repeated(self, action: Mapping[str, Any]) -> Status:
        """Run the actions for each item, one after the other; the last item's outcomes are those that are seen."""
        statuses = []
        for item in self._value(action["foreach"]):
            self._item = item
            statuses.append(self.scope(action["actions"]))
        return "Failed" if "Failed" in statuses else "Succeeded"

    def _selected(self, inputs: Mapping[str, Any]) -> list[Any]:
        made = []
        for item in self._value(inputs["from"]):
            self._item = item
            made.append(self._value(inputs["select"]))
        return made

    def _holds(self, expression: Mapping[str, Any]) -> bool:
        ((operator, operands),) = expression.items()
        if operator == "and":
            return all(self._holds(operand) for operand in operands)
        return bool(WORKFLOW.functions[operator](*self._value(operands)))

    def _value(self, template: Any) -> Any:
        return value(template, self._own, self._run.accessed.add)

    def _outputs(self, name: str) -> Any:
        if name not in self._run.actions:
            raise ValueError(f"no action {name} has run before")
        ran = self._run.actions[name]
        return None if ran.status in ("Skipped", "TimedOut") else ran.outputs
