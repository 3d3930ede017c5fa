"""Health of a process that cannot even begin: asked in a process of its own, because settings are read once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASK = """
import azure.functions as func
import HealthFunction
answer = HealthFunction.main(func.HttpRequest(method="GET", url="https://app.example/api/health", body=b""))
print(answer.status_code, answer.mimetype, answer.get_body().decode())
"""


@pytest.mark.parametrize(
    "wrong",
    [{"RATE_LIMIT_CALLS": "99"}, {"DEFENDER_API_URL": "https://user:secret@api.example"}, {}],
    ids=str,
)
def test_wrong_settings_fail_without_detail(wrong: dict[str, str]) -> None:
    """Where a setting is wrong, or the table's is missing, anybody learns that it fails, and nothing else."""
    others = {name: value for name, value in os.environ.items() if "Storage" not in name}
    asked = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", ASK], cwd=ROOT, env=others | wrong, capture_output=True, text=True, check=True
    )
    assert asked.stdout.strip() == '503 application/health+json {"status": "fail"}'
    assert "secret" not in asked.stderr
