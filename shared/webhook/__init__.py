"""The use cases of the webhook: receive, map and accept a payload, answer its status, dispatch, health.

It imports all packages but `operations`.
"""
