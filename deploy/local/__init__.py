"""What `./dev` runs: one clone's own PostgreSQL, broker, engine and server processes under one supervisor.

Reading order: `commands` (what the user types), `stack` (which parts there are, in which environment),
`supervisor` (start, watch, restart, stop), then one module per service. Everything written lies in the
clone's state folder (`paths`), never in the clone, so two clones share nothing and `./dev reset` is the
removal of one folder.
"""


class LocalError(Exception):
    """Something the developer has to put right; the message is one line that says what and how."""
