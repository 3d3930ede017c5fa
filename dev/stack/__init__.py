"""The local stack and its parts: processes, Azurite, a proxy, the token endpoint, a host for the functions.

May import `dev.setup`. It starts the simulator as a process, and does not import it.
"""
