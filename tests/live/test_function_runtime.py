"""Every function loads and answers under Python 3.13, through Microsoft's own azure-functions-runtime-v1."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "py313"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("*/function.json"))
ALERT = {
    "machineId": "1e5bc9d7e413ddd7902c2932e418702b84d0cc07",
    "eventTime": "2018-08-03T16:45:21.7115183Z",
    "reportId": "20776",
    "title": "Example",
    "description": "Example alert",
    "recommendedAction": "None",
    "severity": "Low",
    "category": "General",
}
EXAMPLES = {  # what a function is called with, where its function.json does not say enough
    "CreateAlertFunction": {"method": "POST", "query": {"dryRun": "true"}, "body": json.dumps(ALERT)},
}


def find_python() -> str | None:
    """Return a Python 3.13 that really runs: pyenv's shims exist for versions that are not switched on."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    pythons = [sys.executable, shutil.which("python3.13"), *map(str, pyenv.glob("versions/3.13*/bin/python"))]
    probe = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    for python in filter(None, pythons):
        answer = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)  # noqa: S603
        if answer.stdout.split() == ["3", "13"]:
            return python
    return None


@pytest.fixture(scope="session")
def runtime() -> str:
    """Return a Python 3.13 that has the app's requirements and the runtime; set up once, kept in .tools."""
    requirements = ROOT / "requirements.txt"
    stamp, wanted = TOOLS / "stamp", hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = str(TOOLS / "bin" / "python")
    if not (Path(python).exists() and stamp.is_file() and stamp.read_text() == wanted):
        base = find_python()
        if base is None:
            pytest.skip("no Python 3.13 on PATH or in pyenv, and Microsoft's runtime needs one")
        subprocess.run([base, "-m", "venv", "--clear", TOOLS], check=True)  # noqa: S603 - a Python we just ran
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        packages = ["-r", str(requirements), "azure-functions-runtime-v1"]
        subprocess.run(install + packages, check=True)  # noqa: S603 - its own pip
        stamp.write_text(wanted)
    return python


def call(runtime: str, root: Path, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the calls in a process of its own, without any setting, and return their results."""
    done = subprocess.run(  # noqa: S603
        [runtime, "-I", ROOT / "tests" / "checks" / "runtime_v1.py"],
        input=json.dumps({"root": str(root), "calls": calls}),
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def example(function: str, root: Path = ROOT) -> dict[str, Any]:
    """Make a call of the kind the function is for, as the platform would tell it to the worker."""
    config = json.loads((root / function / "function.json").read_text())
    trigger = next(each for each in config["bindings"] if each["type"].endswith("Trigger"))
    if trigger["type"] == "timerTrigger":
        return {"function": function, "timer": {"IsPastDue": False, "Schedule": {"AdjustForDST": True}}}
    method = trigger.get("methods", ["GET"])[0].upper()
    params = dict.fromkeys(re.findall(r"\{\**(\w+)", trigger.get("route", "")), "1")
    http = {"method": method, "headers": {"host": "soc.example"}, "query": {}, "params": params, "body": ""}
    http |= EXAMPLES.get(function, {})
    path = re.sub(r"\{.*?\}", "1", trigger.get("route", function))
    http["url"] = f"https://soc.example/api/{path}?" + "&".join(f"{k}={v}" for k, v in http["query"].items())
    return {"function": function, "http": http}


@pytest.fixture(scope="module")
def answers(runtime: str) -> dict[str, dict[str, Any]]:
    """Call every function of this app once, in one worker."""
    return {each["function"]: each for each in call(runtime, ROOT, [example(name) for name in FUNCTIONS])}


def test_the_runtime_tells_good_functions_from_bad_ones(runtime: str, tmp_path: Path) -> None:
    """One that answers, one that returns nothing, one that raises, one that cannot load."""
    sources = {
        "Answers": "def main(req: func.HttpRequest) -> func.HttpResponse: return func.HttpResponse('ok')",
        "Returns": "def main(req: func.HttpRequest) -> func.HttpResponse:\n    return None",
        "Raises": "def main(req: func.HttpRequest) -> func.HttpResponse:\n    raise KeyError('broken')",
        "Optional": "def main(req: func.HttpRequest) -> str | None:\n    return None",
        "Missing": "import no_such_package",
    }
    bindings = [
        {"name": "req", "type": "httpTrigger", "direction": "in", "methods": ["get"]},
        {"name": "$return", "type": "http", "direction": "out"},
    ]
    for name, source in sources.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "function.json").write_text(json.dumps({"bindings": bindings}))
        (tmp_path / name / "__init__.py").write_text(f"import azure.functions as func\n\n{source}\n")
    results = call(runtime, tmp_path, [example(name, tmp_path) for name in sources])
    errors = {each["function"]: (each["error"] or "").partition("\n")[0] for each in results}
    assert (results[0]["status"], results[0]["body"]) == ("200", "ok")
    assert errors["Answers"] == ""
    assert errors["Returns"].startswith("TypeError: unable to encode outgoing TypedData")
    assert errors["Raises"] == "KeyError: 'broken'"
    assert errors["Optional"].startswith("FunctionLoadError: cannot load the Optional function")
    assert errors["Missing"].startswith("ModuleNotFoundError: No module named 'no_such_package'")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_function_loads_and_answers(answers: dict[str, dict[str, Any]], function: str) -> None:
    """Nothing is configured here: a function may say that, and nothing else."""
    answer = answers[function]
    if (
        answer["error"] is not None
    ):  # a timer's run has no answer to put it into: the platform shows it as failed
        assert "timer" in example(function)
        assert "SettingsError" in answer["error"]
        assert "AzureWebJobsStorage" in answer["error"]
    if answer.get("status") == "500":
        problem = json.loads(answer["body"])
        assert problem["type"].endswith(":settings"), problem
        assert "AzureWebJobsStorage" in problem["detail"]


def test_a_dry_run_is_valid(answers: dict[str, dict[str, Any]]) -> None:
    """`POST /api/alerts?dryRun=true` with the eight fields answers 200 without any storage."""
    answer = answers["CreateAlertFunction"]
    assert answer["status"] == "200", answer["body"]
    delivery = json.loads(answer["body"])
    assert (delivery["status"], delivery["alerts"][0]["request"]) == ("valid", ALERT)


def test_health_is_answered_in_its_own_media_type(answers: dict[str, dict[str, Any]]) -> None:
    """`GET /api/health` answers pass or fail as `application/health+json`."""
    answer = answers["HealthFunction"]
    assert answer["headers"]["content-type"].partition(";")[0] == "application/health+json"
    assert (answer["status"], json.loads(answer["body"])["status"]) in {("200", "pass"), ("503", "fail")}
