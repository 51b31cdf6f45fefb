"""One container: its exact configuration (`spec`), its life (`run`, `watch`), and what it left (`harvest`).

May import `intake` and `protocol`. Asks the engine through `engine` alone; knows no server and no broker.
"""
