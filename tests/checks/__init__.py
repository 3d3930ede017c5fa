"""What works with the tests' data: readers of ARM templates, workflows and KQL, judges of answers, pairs, a browser.

May import `shared` and `dev`; tests import it, and those benchmarks and commands that measure or show the same data.
"""
