"""Simulated time: many hosts run the real code in virtual time, over a network with faults.

The real code blocks (on the table, on Defender, on sleep). Here each of these calls switches to a scheduler that
runs one greenlet at a time and moves the clock to the next event. So minutes of many hosts take milliseconds, and
the same seed always gives the same run.

    World     ── the true time, which the table's server and Defender use
    Defender  ── creates every alert, and records every call
    Partition ── how busy the table's server is
    Host      ── a function host: its own wall clock (wrong), monotonic clock, table client, Defender client

The table's server serves a limited number of entities a second (`Partition`). What goes wrong with requests, other
services and answers, and the choice among the events that could be next, are the tests': `tests/checks/virtual.py`.
"""
