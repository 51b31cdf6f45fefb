"""The GPU hosts as the server sees them.

    registry                         which hosts there are, their tokens, and what organisers decide about them
    slots                            what living hosts offer, and what of it is free
    gpus                             what hosts say of their GPUs
    orders                           what a host is told about a batch

May import `challenge`, `core` and below.
"""
