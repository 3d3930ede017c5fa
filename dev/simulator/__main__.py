"""`python -m dev.simulator`: Defender on a free port, until SIGTERM or SIGINT."""

import argparse
import json
import signal

from dev.simulator.faults import Delay
from dev.simulator.simulator import Simulator


def _delay(text: str) -> Delay:
    """Read a delay of the command line: `0.2`, or `0.1,0.5` for a delay drawn between the two."""
    low, comma, high = text.partition(",")
    return (float(low), float(high)) if comma else float(low)


def main() -> None:
    """Serve until SIGTERM or SIGINT; say where in one line of JSON as soon as calls are taken."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulator", description=main.__doc__)
    add = parser.add_argument
    add("--calls", type=int, default=15, help="calls a window (default 15)")
    add("--window", type=float, default=60.0, help="seconds (default 60)")
    add("--latency", type=_delay, default=0.0, help="seconds, or LOW,HIGH, before an answer")
    add("--transit", type=_delay, default=0.0, help="seconds, or LOW,HIGH, before an arrival")
    add("--known-events", choices=("registered", "all"), default="registered")
    add("--client-id", action="append", dest="identities", help="of a user-assigned identity; repeatable")
    options = parser.parse_args()
    # Blocked for every thread and waited for: a handler could interrupt a lock that it then waits for itself.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        simulator = Simulator(**{name: value for name, value in vars(options).items() if value is not None})
    except ValueError as error:
        parser.exit(1, f"the simulator cannot start: {error}\n")
    with simulator:
        print(json.dumps({"url": simulator.url, "environment": simulator.environment}), flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
