"""What only tests use: readers of ARM templates, workflows and KQL, judges of answers, a conversation with the worker.

May import `shared` and `dev`; nothing but tests imports it.
"""
