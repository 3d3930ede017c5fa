"""The calls to Microsoft's APIs, and what each answer means.

It imports the errors and the loopback: a call knows nothing of what it is made for.
"""
