"""What a payload contains: its JSON, the references of events, and the texts about them.

May import: `alerts`.
"""
