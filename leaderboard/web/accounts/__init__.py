"""Signing in, registering, addresses, passwords: allauth's, with what differs here.

    clients                          from where a request comes, and whether the device signed in here before
    adapter                          who may try a password, who is let in, which messages are sent
    notices                          what one is told by mail, and what links of messages lead to
    urls, forms, views               limits by network address; answers that say how long to wait

The rules themselves are in `people`.
"""
