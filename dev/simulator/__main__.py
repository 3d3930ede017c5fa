"""python -m dev.simulator."""

from dev.simulator.simulator import main

main()
