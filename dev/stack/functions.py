"""The functions of an app: loading and checking them, their requests and their answers.

All as the platform's Python worker does it, by the converters of `azure.functions`.
"""

import importlib
import inspect
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions.http import HttpRequestConverter, HttpResponseConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter

_EVERY = re.compile(r"\*/([1-9]\d?) \* \* \* \* \*")
_PARAMETER = re.compile(r"\{(?P<all>\*{0,2})(?P<name>[A-Za-z]\w*)\}")

Answer = tuple[int, list[tuple[str, str]], bytes]  # status, headers, body


class LoadError(Exception):
    """A folder that the platform would not run. The text names the function and what is wrong with it."""


@dataclass(frozen=True)
class Function:
    """One folder: its code, its trigger (as in function.json), and a route, or the seconds between ticks."""

    name: str
    call: Callable[..., Any]
    trigger: Mapping[str, Any]
    route: re.Pattern[str] | None
    every: int | None
    running: threading.Lock = field(default_factory=threading.Lock)

    def match(self, method: str, path: str) -> re.Match[str] | None:
        """Return how the route fits, or None. No methods in function.json means all of them."""
        methods = self.trigger.get("methods") or [method]
        declared = method.lower() in [each.lower() for each in methods]
        return self.route.fullmatch(path) if self.route and declared else None


def route_pattern(template: str) -> re.Pattern[str]:
    """Turn a route template (`deliveries/{id}`, `operations/{*rest}`) into a pattern of the whole path."""
    pattern = ""
    for segment in filter(None, template.split("/")):
        parameter = _PARAMETER.fullmatch(segment)
        if "{" not in segment:
            pattern += "/" + re.escape(segment)
        elif not parameter:
            raise ValueError(f"the local host does not know how to route {segment!r}")
        elif parameter["all"]:
            pattern += f"(?:/(?P<{parameter['name']}>.*))?"
        else:
            pattern += f"/(?P<{parameter['name']}>[^/]+)"
    return re.compile(pattern + "/?", re.IGNORECASE)


def seconds_between(schedule: str) -> int:
    """Return the seconds between the ticks of a schedule `*/n * * * * *`. Raise `ValueError` for any other."""
    every = _EVERY.fullmatch(schedule)
    if not every or 60 % int(every[1]):  # so that a minute begins with a tick
        raise ValueError(
            f"the local host knows the schedule of every n seconds of a minute, not {schedule!r}"
        )
    return int(every[1])


def load(root: Path) -> list[Function]:
    """Load every folder of `root` with a function.json, in the order of their names, or raise LoadError."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "__app__"]:
        del sys.modules[name]  # of another root, loaded by an earlier host of this process
    sys.modules["__app__"] = package = ModuleType("__app__")
    package.__path__ = [str(root)]
    importlib.invalidate_caches()
    path, functions = root / "host.json", []
    try:
        config = json.loads(path.read_text("utf-8"))
        prefix = config.get("extensions", {}).get("http", {}).get("routePrefix", "api")
        for path in sorted(root.glob("*/function.json")):
            functions.append(_load_folder(root, path.parent, prefix))
    except Exception as error:
        raise LoadError(f"{path.parent.name}: {type(error).__name__}: {error}") from error
    return functions


def _load_folder(root: Path, folder: Path, prefix: str) -> Function:
    config = json.loads((folder / "function.json").read_text("utf-8"))
    script = (folder / config.get("scriptFile", "__init__.py")).resolve().relative_to(root)
    module = ".".join(("__app__", *script.with_suffix("").parts)).removesuffix(".__init__")
    call = getattr(importlib.import_module(module), config.get("entryPoint") or "main")
    trigger = _check_bindings(call, config["bindings"])
    route, every = None, None
    if trigger["type"] == "httpTrigger":
        route = route_pattern(f"{prefix}/{trigger.get('route') or folder.name}")
    else:
        every = seconds_between(trigger["schedule"])
    return Function(folder.name, call, trigger, route, every)


def _check_bindings(call: Callable[..., Any], bindings: list[dict[str, Any]]) -> dict[str, Any]:
    """Check the parameters against function.json as the Python worker does, and return the trigger."""
    trigger = next(each for each in bindings if each["type"].endswith("Trigger"))
    returned = {"httpTrigger": [("$return", "http")], "timerTrigger": []}[trigger["type"]]
    if [(each["name"], each["type"]) for each in bindings if each is not trigger] != returned:
        raise ValueError(f"beside an {trigger['type']} the local host knows just the bindings {returned}")
    if set(inspect.signature(call).parameters) != {trigger["name"]}:
        raise ValueError(
            f"the parameters do not fit the binding {trigger['name']!r}; there is no context here"
        )
    if inspect.iscoroutinefunction(call):
        raise ValueError("the local host does not run asynchronous functions")
    return trigger


def timer_request() -> Any:
    """Return what a timer function is called with. No status is kept, so it is never past due."""
    info = {"IsPastDue": False, "Schedule": {"AdjustForDST": True}, "ScheduleStatus": None}
    return TimerRequestConverter.decode(Datum(json.dumps(info), "json"), trigger_metadata=None)


def http_request(method: str, url: str, body: bytes, **texts: Mapping[str, str]) -> Any:
    """Return what an HTTP function is called with. `texts` are its `headers`, `query` and `params`."""
    http: dict[str, Any] = {
        "method": Datum(method, "string"),
        "url": Datum(url, "string"),
        "body": Datum(body, "bytes"),
    }
    for kind, values in texts.items():
        http[kind] = {name: Datum(value, "string") for name, value in values.items()}
    return HttpRequestConverter.decode(Datum(http, "http"), trigger_metadata=None)


def http_answer(returned: object) -> Answer:
    """Return what the client gets for what an HTTP function returned. Raise what the worker would raise."""
    datum = HttpResponseConverter.encode(returned, expected_type=None)
    if datum.type == "string":
        return 200, [("content-type", "text/plain; charset=utf-8")], datum.value.encode()
    http = datum.value
    cookies = [cookie for jar in http["cookies"] or () for cookie in jar.values()]
    headers = [(name, value.value) for name, value in http["headers"].items()]
    headers += [("set-cookie", cookie.OutputString()) for cookie in cookies]
    for header in headers:
        if not "".join(header).isascii() or not "".join(header).isprintable():
            raise ValueError(f"the header {header[0]!r} holds what no header may")
    return int(http["status_code"].value), headers, http["body"].value
