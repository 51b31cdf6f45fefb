"""The connection that a thread works with."""

from django.db import connection


def let_go() -> None:
    """Give the connection back to the pool, before a wait for somebody slow: there are more threads than connections.

    The next question takes one again. Inside a transaction nothing happens.
    """
    if not connection.in_atomic_block:
        connection.close()
