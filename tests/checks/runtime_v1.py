"""Loads and calls functions through Microsoft's own azure-functions-runtime-v1, which needs Python 3.13.

    python3.13 -I tests/checks/runtime_v1.py < calls.json

It says what the platform's host says to the worker (init, load, invocation), without gRPC: the messages are
plain objects with the names and fields of FunctionRpc.proto. stdin holds

    {"root": "<folder of the app>", "calls": [{"function": "CreateAlertFunction", "http": {"method": "POST",
     "url": "https://…", "headers": {…}, "query": {…}, "params": {…}, "body": "…"}},
     {"function": "DispatchAlertsFunction", "timer": {…}}]}

and stdout gets a list with one object for each call: `error` (null, or what the worker reports, with its
stack trace), and for HTTP also `status`, `headers` and `body`.
"""

import asyncio
import contextlib
import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Message(SimpleNamespace):
    """A protobuf message: its fields, and which of them is set."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        """Return the name of the one field that is set."""
        return next(iter(vars(self)), None)


class Messages:
    """The module of generated messages: every name is one of them; two hold constants as well."""

    class StatusResult(Message):
        """How it went."""

        Failure, Success = range(2)

    class BindingInfo(Message):
        """One entry of `bindings`."""

        undefined = 0
        out = 1
        inout = 2

    def __getattr__(self, name: str) -> type[Message]:
        return Message


def metadata(folder: Path) -> Message:
    """Return function.json as the host tells it to the worker."""
    config = json.loads((folder / "function.json").read_text("utf-8"))
    bindings = {
        each["name"]: Messages.BindingInfo(
            type=each["type"], direction=int(each.get("direction") == "out"), data_type=0
        )
        for each in config["bindings"]
    }
    return Message(
        name=folder.name,
        directory=str(folder),
        script_file=str(folder / config.get("scriptFile", "__init__.py")),
        entry_point=config.get("entryPoint", ""),
        bindings=bindings,
    )


def trigger_data(call: dict[str, Any]) -> Message:
    """Return what triggered the call as the host tells it to the worker."""
    if "timer" in call:
        return Message(json=json.dumps(call["timer"]))
    http = call["http"]
    return Message(http=Message(**{**http, "body": Message(bytes=http["body"].encode())}))


async def converse(root: Path, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Load and call the functions, one after the other."""
    runtime, messages = importlib.import_module("azure_functions_runtime_v1"), Messages()

    async def say(name: str, **fields: Any) -> Any:
        request = Message(**{name: Message(**fields)})
        properties = {"host": "127.0.0.1", "protos": messages}
        return await getattr(runtime, name)(Message(name=name, request=request, properties=properties))

    def failure(response: Any) -> str | None:
        if response.result.status == messages.StatusResult.Success:
            return None
        return f"{response.result.exception.message}\n{response.result.exception.stack_trace}"

    results: list[dict[str, Any]] = []
    runtime.start_threadpool_executor()
    await say("worker_init_request", capabilities={})
    for number, call in enumerate(calls):
        described, result = metadata(root / call["function"]), {"function": call["function"]}
        results.append(result)
        response = await say("function_load_request", function_id=call["function"], metadata=described)
        if result.setdefault("error", failure(response)):
            continue
        trigger = next(name for name, each in described.bindings.items() if each.type.endswith("Trigger"))
        response = await say(
            "invocation_request",
            invocation_id=f"call-{number}",
            function_id=call["function"],
            input_data=[Message(data=trigger_data(call), name=trigger)],
            trigger_metadata={},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        result["error"] = failure(response)
        if "http" in call and not result["error"]:
            http = response.return_value.http
            result |= {"status": http.status_code, "headers": http.headers, "body": http.body.bytes.decode()}
    runtime.stop_threadpool_executor()
    return results


def main() -> None:
    """Read the calls, make them, write the results; what functions print goes to stderr."""
    plan = json.load(sys.stdin)
    root = Path(plan["root"]).resolve()
    os.chdir(root)
    sys.path.append(str(root))  # as the worker does
    with contextlib.redirect_stdout(sys.stderr):
        results = asyncio.run(converse(root, plan["calls"]))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
