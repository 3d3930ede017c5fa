"""ARM templates on a machine without Azure: their expressions are evaluated as far as a file can tell.

    template = Template(json.loads(text), {"location": "westeurope"})
    for resource in template.resources():  # those whose condition holds, every expression replaced by its value

What only Azure knows stands as a `Mark`: `reference(id).clientId` becomes `<id>.clientId`, `uniqueString(…)`
thirteen letters that no reader takes for real.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.checks.expressions import (
    ARM,
    GROUP,
    Call,
    ExpressionError,
    Node,
    below,
    evaluate,
    parse,
    replaced,
    resource_id,
    strings,
)

CLOUDS = {"AzureCloud": "core.windows.net", "AzureUSGovernment": "core.usgovcloudapi.net"}

LOGINS = {"AzureCloud": "login.microsoftonline.com", "AzureUSGovernment": "login.microsoftonline.us"}


def read(text: str) -> Node:
    """Read one string of a template: a literal, or in brackets an expression. Raise `ExpressionError`."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    return text[1:] if text.startswith("[[") else parse(text[1:-1], ARM)


def nodes(document: Any) -> Iterator[Node]:
    """Yield every part of every expression in a template, keys included."""
    for text in strings(document):
        yield from below(read(text))


def calls(document: Any, name: str) -> Iterator[tuple[Node, ...]]:
    """Yield the arguments of every call of a function in a template."""
    yield from (node.arguments for node in nodes(document) if isinstance(node, Call) and node.name == name)


class Template:
    """A template with the `given` values of its parameters, in a resource group of one of `CLOUDS`.

    `link` is where Azure read the template, if it was not given a file.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        given: Mapping[str, Any] | None = None,
        *,
        cloud: str = "AzureCloud",
        link: str = "",
    ) -> None:
        self._document = document
        self._given = dict(given or {})
        self._own: dict[str, Callable[..., Any]] = {
            "parameters": self.parameter,
            "variables": self.variable,
            "deployment": lambda: {"properties": {"templateLink": {"uri": link}} if link else {}},
            "environment": lambda: {
                "name": cloud,
                "suffixes": {"storage": CLOUDS[cloud]},
                "authentication": {"loginEndpoint": f"https://{LOGINS[cloud]}/"},
            },
        }
        if unknown := self._given.keys() - document["parameters"].keys():
            raise ExpressionError(f"no such parameter: {', '.join(unknown)}")

    def value(self, part: Any) -> Any:
        """Return any part of the template with its expressions evaluated."""
        return replaced(part, lambda text: evaluate(read(text), ARM, self._own))

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources that would be deployed, each with its resource id as `id`.

        A nested template is left as it is: its expressions are evaluated with parameters of its own.
        """
        loops: dict[str, list[str]] = {}  # the ids that the name of a loop in `dependsOn` stands for
        resources = []
        for declared in self._document["resources"]:
            ids = loops.setdefault(declared.get("copy", {}).get("name", ""), [])
            for resource in self._copies(declared) if self.value(declared.get("condition", True)) else ():
                ids.append(_id_of(resource))
                resources.append({**resource, "id": ids[-1]})
        for resource in resources:
            if needs := resource.get("dependsOn"):
                resource["dependsOn"] = [each for name in needs for each in loops.get(name, [name])]
        return resources

    def _copies(self, resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a resource as often as its loop says; `copyIndex()` counts."""
        loop = resource.get("copy")
        plain = {name: value for name, value in resource.items() if name != "copy"}
        for index in range(self.value(loop["count"]) if loop else 1):
            self._own["copyIndex"] = lambda at=index: at
            yield self._resource(plain)

    def _resource(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        inner = resource.get("properties", {}).get("template")
        if inner is None:
            evaluated: dict[str, Any] = self.value(resource)
            return evaluated
        outer = {name: value for name, value in resource["properties"].items() if name != "template"}
        nested: dict[str, Any] = self.value({**resource, "properties": outer})
        nested["properties"]["template"] = inner
        return nested

    def parameter(self, name: str) -> Any:
        """Return a parameter's value: as given, else its default."""
        declared = self._document["parameters"].get(name)
        if declared is None or ("defaultValue" not in declared and name not in self._given):
            raise ExpressionError(f"the parameter {name!r} is not declared, or has no value")
        value = self._given[name] if name in self._given else self.value(declared["defaultValue"])
        if value not in declared.get("allowedValues", [value]):
            raise ExpressionError(f"{value!r} is no allowed value of the parameter {name!r}")
        return value

    def variable(self, name: str) -> Any:
        """Return a variable's value."""
        if name not in self._document["variables"]:
            raise ExpressionError(f"the variable {name!r} is not defined")
        return self.value(self._document["variables"][name])


def _id_of(resource: Mapping[str, Any]) -> str:
    own = resource_id(resource["type"], *resource["name"].split("/"))
    if "scope" not in resource:
        return own
    return f"{GROUP}/providers/{resource['scope']}{own.removeprefix(GROUP)}"
