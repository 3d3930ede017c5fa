"""The use cases of the webhook: a payload is received, mapped, accepted, and its status answered.

It imports all packages but `operations`.
"""
