"""Cold start, in CPU seconds: the import of all functions, and from there to the first dry run's answer.

The floor is the import of the four Azure packages that the app needs, alone. Each side runs in fresh
interpreters by turns; the interpreter's own start is not counted. CPU seconds, because a new instance has its
processor for itself, and this machine may not.
"""

import sys
from statistics import median

from bench.figure import Figure, Goal, Report
from bench.ground import Form, inside

PACKAGES = ("azure.core", "azure.data.tables", "azure.functions", "azure.identity")
_SIDES = ("floor", "import", "answer")


def measure(form: Form) -> Report:
    """Measure fifteen interpreters a side, by turns."""
    times: dict[str, list[float]] = {side: [] for side in _SIDES}
    for side in _SIDES:
        inside(__name__, side, settings={})  # compiles what is not compiled yet
    for _ in range(form.pick(15, 3)):
        for side, seconds in times.items():
            seconds.append(inside(__name__, side, settings={}))
    floor = median(times["floor"]) * 1000
    note = f"median of {len(times['floor'])}"
    figures = (
        Figure(name, median(times[side]) * 1000, "ms CPU", floor, Goal("at most", bound, of_floor=True), note)
        for name, side, bound in (
            ("cold start, import of all functions", "import", 1.10),
            ("cold start, import to first dry run", "answer", 1.25),
        )
    )
    return Report(tuple(figures), times)


def main(side: str) -> float:
    """Return the CPU seconds of one side, in this fresh interpreter."""
    import importlib  # noqa: PLC0415 - all that is imported here counts, so as late as can be
    import time  # noqa: PLC0415 - as above
    from pathlib import Path  # noqa: PLC0415 - as above

    folders = [path.parent.name for path in Path().glob("*Function/function.json")]
    began = time.process_time()
    for name in PACKAGES if side == "floor" else folders:
        importlib.import_module(name)
    if side == "answer":
        _dry_run()
    return time.process_time() - began


def _dry_run() -> None:
    import azure.functions as func  # noqa: PLC0415 - the functions have imported it

    import CreateAlertFunction  # noqa: PLC0415 - as above

    body = (
        b'{"machineId": "e858afbbdcee1a68d1eef96f4b4f732a89ea313d", "eventTime": "2026-03-04T05:00:01.7115184Z",'
        b' "reportId": "20777", "severity": "High", "category": "Execution", "title": "Encoded PowerShell",'
        b' "description": "On pc-001.contoso.example.", "recommendedAction": "Ask the user of the device."}'
    )
    url = "http://127.0.0.1/api/alerts?dryRun=true"
    request = func.HttpRequest("POST", url, body=body, params={"dryRun": "true"}, headers={})
    answer = CreateAlertFunction.main(request)
    assert answer.status_code == 200, answer.get_body()  # noqa: PLR2004 - HTTP


if __name__ == "__main__":
    print(main(sys.argv[1]))
