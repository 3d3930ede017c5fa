"""The tests do not depend on where they run: terminal, locale, time zone, proxies, home, files of the user's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev import setup
from tests.checks import checkout

PROXY = "http://127.0.0.1:9"  # nobody listens there
PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "http_proxy", "https_proxy")
ANYWHERE = {
    "COLUMNS": "40",
    "HOME": os.devnull + "/home",  # nobody can make it, nor anything in it
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "7",
    "PYTHONUTF8": "0",
    "TZ": "Asia/Kathmandu",
    **dict.fromkeys(PROXIES, PROXY),
}
OWN_FILES = {
    "NOTES.md": "[gone](gone.md), `make tea`, `infra/nothing.tf`",
    "local.settings.json": "{}",
    "my-mappings/nightwatch.json": "{ not yet",
    "my-mappings/try.py": "import nowhere_to_be_found",
    "notes.txt": "…",
    "payload.json": "{}",
    "project_env/lib/thing/test_thing.py": "import nowhere_to_be_found",
    "venv/lib/thing/test_thing.py": "import nowhere_to_be_found",
}
PLAIN = {"CI": "true", "NO_COLOR": "1", "TERM": "dumb"}
COLOURED = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a checkout of the project in which somebody works."""
    root = tmp_path / "project"
    checkout.copy(root)
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)  # noqa: S603, S607 - git
    (root / ".tools").symlink_to(setup.TOOLS)
    for name, text in OWN_FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terminal", "names"),
    [
        (PLAIN, "bench docs loopback mapping_docs package senders setup simulator storage"),
        (COLOURED, "approved mapping_docs setup"),
    ],
    ids=["plain", "coloured"],
)
def test_a_part_of_the_tests_passes_anywhere(project: Path, terminal: dict[str, str], names: str) -> None:
    """In a company's network, in an old locale, far from UTC, without a home, among other files: all passes."""
    tests = [f"tests/unit/test_{name}.py" for name in names.split()]
    run = subprocess.run(  # noqa: S603 - our own tests
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=project,
        env={"PATH": os.environ.get("PATH", os.defpath)} | ANYWHERE | terminal,
        capture_output=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == 0, run.stdout + run.stderr
