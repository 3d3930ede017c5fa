"""The calls to Microsoft's APIs, and what each answer means.

Imports no other package. A call knows nothing of what it is made for.
"""
