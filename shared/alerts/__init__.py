"""The eight fields of an alert: what Defender allows in them, other products' words for them, and all their problems.

Imports no other package.
"""
