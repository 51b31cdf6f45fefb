"""What the server, the GPU hosts and the teams agree on: the container contract, orders, reports, verdicts.

Pure: knows no engine, no broker and no other room.
"""
