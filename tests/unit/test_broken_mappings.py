"""A source file of the user's that is broken is reported once at start, and takes nothing down."""

import json
import logging
from pathlib import Path

import pytest

from shared import app, settings


def test_a_broken_mapping_is_logged_with_file_line_and_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The app starts with our own source of that name; the log says which file is broken, where and why."""
    (tmp_path / "splunk.json").write_text('{\n  "title": "Mine",\n  "recognise": "a & "\n}', "utf-8")
    (tmp_path / "good.json").write_text('{"title": "Good", "recognise": "good"}', "utf-8")
    environ = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "MAPPINGS_PATH": str(tmp_path)}
    with caplog.at_level(logging.WARNING, "defender-alert-webhook"):
        webhook = app.assemble(settings.read(environ), workers=2)
    [record] = caplog.records
    line = json.loads(record.getMessage())
    assert line["step"].startswith("mapping broken")
    assert line["detail"].startswith("splunk.json: line 3: recognise: 'a & ' has nothing before or after a &")
    assert [problem.field for problem in webhook.mappings.broken] == ["splunk.json"]
    assert webhook.mappings.sources["splunk"].title != "Mine"
    assert "good" in webhook.mappings.names()
