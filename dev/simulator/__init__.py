"""Microsoft Defender for Endpoint on this machine, with the rate limit, the faults and a log of every call.

May import `dev.stack`, for the server on loopback and the token endpoint, `dev.setup`, for Node.js and the parser of
KQL, and `shared.payload` and `shared.search`, for how times and NetBIOS names are written.
"""
