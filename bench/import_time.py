"""Cold start, in CPU seconds: the import of all functions, and from there to the first dry run's answer.

The floor is the import of the four Azure packages that the app needs, alone. Each side runs in fresh
interpreters by turns; the interpreter's own start is not counted. CPU seconds, because a new instance has its
processor for itself, and this machine may not.
"""

import json
import sys
from statistics import median

from bench.figure import Figure, Goal, Report
from bench.ground import Form, fields, inside

PACKAGES = ("azure.core", "azure.data.tables", "azure.functions", "azure.identity")
_SIDES = ("floor", "import", "answer")


def measure(form: Form) -> Report:
    """Measure fifteen interpreters a side, by turns."""
    rounds = [{side: inside(__name__, side, settings={}) for side in _SIDES} for _ in range(form.pick(16, 4))]
    # Without the first round, which compiles what is not compiled yet.
    times = {side: [seconds[side] for seconds in rounds[1:]] for side in _SIDES}
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

    body = json.dumps(fields(1)).encode()
    url = "http://127.0.0.1/api/alerts?dryRun=true"
    request = func.HttpRequest("POST", url, body=body, params={"dryRun": "true"}, headers={})
    answer = CreateAlertFunction.main(request)
    assert answer.status_code == 200, answer.get_body()  # noqa: PLR2004 - HTTP


if __name__ == "__main__":
    print(main(sys.argv[1]))
