"""An alert that has no event, as Graph's `createAlert` takes it: on the entities that a payload names.

May import: `payload`, `alerts`. Nothing here makes a call.
"""
