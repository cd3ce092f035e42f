"""Many machines: one run in PostgreSQL, cut into shards that workers on any number of hosts carry out.

The ledger, the leases and the rate limit are ours and live in one database; an engine only hands out shards. It needs
the extra `fleet`, and nothing outside this package imports what that brings.
"""
