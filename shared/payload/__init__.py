"""What a payload holds: its JSON, the references of events in it, and the texts said of them.

Imports `alerts` and `errors`.
"""
