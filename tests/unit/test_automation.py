"""What GitHub runs: it can be read, it runs our commands, and nothing in it changes without us."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import lock, setup

ROOT = setup.ROOT
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
COMMAND = re.compile(r"\bmake ([a-z-]+)")


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    """Yield the steps of a workflow's jobs."""
    for job in yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_named_by_its_commit(workflow: Path) -> None:
    """A tag can be moved to other code; a commit cannot. The job may do nothing else than it says."""
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []
    document = yaml.safe_load(workflow.read_text("utf-8"))
    assert document["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in document["jobs"].values())


def test_what_runs_there_runs_here() -> None:
    """Workflows and the container have no command of their own: ours are there, and can be run."""
    commands = [step["run"] for workflow in WORKFLOWS for step in steps(workflow) if "run" in step]
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    asked = COMMAND.findall("\n".join([*commands, container["postCreateCommand"]]))
    assert {"audit", "package", "setup"} <= set(asked) <= TARGETS
    assert commands.count(".ci/run") == len(WORKFLOWS)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_python_is_tested_and_every_package_released() -> None:
    """CI runs on each Python that pyproject.toml names, and a release has a package for each that Azure offers."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    ci, release = (ROOT / ".github" / "workflows" / name for name in ("ci.yml", "release.yml"))
    matrix = yaml.safe_load(ci.read_text("utf-8"))["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == [each.split(" :: ")[-1] for each in named]
    built = re.findall(
        r"make package .*--python ([\d.]+)", "\n".join(step.get("run", "") for step in steps(release))
    )
    assert sorted(built) == sorted(lock.PYTHONS)


def test_dependencies_are_looked_after_where_they_are() -> None:
    """Each folder that is watched has the file that is watched in it."""
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    watched = {each["package-ecosystem"]: ROOT / each["directory"].strip("/") for each in updates}
    assert (watched["npm"] / "package-lock.json").is_file()
    assert (watched["pip"] / "requirements-dev.txt").is_file()
    assert "github-actions" in watched


@pytest.mark.parametrize("form", ["payload", "problem"])
def test_a_form_for_issues_asks_for_something(form: str) -> None:
    """GitHub takes a form that has a name, a description, and at least one field with an id and a label."""
    document = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text("utf-8"))
    assert document["name"]
    assert document["description"]
    fields = [each for each in document["body"] if each["type"] != "markdown"]
    assert fields
    assert len({each["id"] for each in fields}) == len(fields)
    assert all(each["attributes"]["label"] for each in fields)
