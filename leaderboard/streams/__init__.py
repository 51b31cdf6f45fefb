"""Live progress as server-sent events, from an asynchronous process of its own.

    app         the addresses: who may follow which submission, and how many at once
    following   what one reader is told: that what is shown to them has changed, and never what
    hub         one subscription to the broker for all readers of the process

A stream says when to ask again, as of the very instant and in the very rounding in which the page would answer
(board.disclosure): on hidden cases at full minutes only. Pages and scripts that get no stream ask by themselves, every
few seconds: a stream that breaks costs freshness and nothing else.

It may import progress and all below it, and no page.
"""
