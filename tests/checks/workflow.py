"""Runs a workflow of Logic Apps or Power Automate on this machine, as far as its own actions go.

    run = Workflow(definition, parameters).run(trigger_body, call)
    run.status, run.actions["Answer"].outputs, run.found

`call(name, inputs)` stands for the world: it gets the inputs of an action that leaves the workflow (HTTP, a
connector) and returns its answer, after any polling. From Microsoft's "Schema reference guide for the Workflow
Definition Language" and "Schema reference guide for trigger and action types"; an action of another type than those
below is an error.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tests.checks import wdl
from tests.checks.wdl import ExpressionError

Status = Literal["Succeeded", "Failed", "TimedOut", "Skipped"]
_OUT = ("Http", "ApiConnection", "OpenApiConnection")
_PLAIN = ("Compose", "Response", "Terminate")
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the world said to an action: HTTP status, content type, and the body as it came over the wire."""

    status: int
    content_type: str = "application/json"
    body: bytes = b""

    def outputs(self) -> dict[str, Any]:
        """Return what the workflow sees. A content type that the engine does not know stays binary content."""
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
    """One action: how it ended, what it got, what it gave."""

    status: Status
    inputs: Any = None
    outputs: Any = None


Call: TypeAlias = Callable[[str, Any], Answer | None]
"""The world. None: nobody answered in time."""


@dataclass
class Run:
    """What became of one run. `found` are the accesses, as written, that met a member that is there."""

    status: Status = "Succeeded"
    actions: dict[str, Ran] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)


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
        return {node.text for node in wdl.nodes(self.definition["actions"]) if isinstance(node, wdl.Access)}

    def run(self, trigger_body: Any, call: Call) -> Run:
        """Run the actions once."""
        run = Run()
        _Runner(self, trigger_body, call, run).scope(self.definition["actions"])
        return run


class _Runner:
    def __init__(self, workflow: Workflow, trigger_body: Any, call: Call, run: Run) -> None:
        self._call = call
        self._run = run
        self._item: Any = None
        self._own: wdl.Functions = {
            "body": lambda name: (self._outputs(name) or {}).get("body"),
            "item": lambda: self._item,
            "outputs": self._outputs,
            "parameters": workflow.parameters.__getitem__,
            "triggerBody": lambda: trigger_body,
        }

    def scope(self, actions: Mapping[str, Any]) -> Status:
        """Run actions in the order of their `runAfter`; a failure after which nothing runs fails the whole."""
        waiting = dict(actions)
        while waiting:
            name = next(
                (one for one in waiting if not waiting[one].get("runAfter", {}).keys() & waiting), None
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
            if kind == "If":
                holds = self._holds(action["expression"])
                return Ran(self.scope(action["actions"] if holds else action["else"]["actions"]))
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

    def _selected(self, inputs: Mapping[str, Any]) -> list[Any]:
        made = []
        for item in self._value(inputs["from"]):
            self._item = item
            made.append(self._value(inputs["select"]))
        return made

    def _holds(self, expression: Mapping[str, Any]) -> bool:
        ((operator, operands),) = expression.items()
        if operator == "and":
            return all(self._holds(one) for one in operands)
        return bool(wdl.FUNCTIONS[operator](*self._value(operands)))

    def _value(self, template: Any) -> Any:
        return wdl.value(template, self._own, self._run.found.add)

    def _outputs(self, name: str) -> Any:
        if name not in self._run.actions:
            raise ValueError(f"no action {name} has run before")
        ran = self._run.actions[name]
        return None if ran.status in ("Skipped", "TimedOut") else ran.outputs
