"""`make chaos`: every part fails, one after the other, and nothing may be lost."""

import argparse
import sys
import time
from dataclasses import fields

from dev.chaos.campaign import STAGES, rehearse
from dev.chaos.verdict import Verdict

_COUNTS = [field.name for field in fields(Verdict) if field.type is int]
_WIDTH = 42


def main() -> None:
    """Run every fault on real processes; print the outcomes, exit 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=main.__doc__)
    parser.add_argument("--only", choices=[stage.name for stage in STAGES], help="just this stage")
    parser.add_argument("--short", action="store_true", help="a few faults of each stage")
    given = parser.parse_args()
    print("".join([f"{'fault':{_WIDTH}}", *(f"{name:>11}" for name in _COUNTS)]), flush=True)
    verdicts: list[Verdict] = []
    for stage in STAGES:
        if given.only not in (None, stage.name):
            continue
        started = time.monotonic()
        for verdict in rehearse(stage, short=given.short):
            verdicts.append(verdict)
            counts = (f"{getattr(verdict, name):>11}" for name in _COUNTS)
            print("".join([f"{verdict.fault:{_WIDTH}}", *counts]), flush=True)
            for wrong in verdict.wrong:
                print(f"    {wrong}", flush=True)
        print(f"  ({stage.name}: {time.monotonic() - started:.0f} s)", flush=True)
    broken = [verdict.fault for verdict in verdicts if not verdict.holds]
    if broken:
        sys.exit(f"Not everything holds: {'; '.join(broken)}")
    print("Nothing was lost, and no call was one too many.")


if __name__ == "__main__":
    main()
