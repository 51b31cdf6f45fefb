"""The worker of a GPU host: claims batches, runs each in the sandbox, reports, and goes on after a kill.

In reading order: `worker` (the Celery app, with `broker` and `config`), `agent` (the worker from start to end),
`attempt` (one batch from claim to report, with its `heartbeat`), `provision`, `image_cache`, `weights_cache` and
`blob_cache` (images, weights and volumes), `journal` and `leftovers` (what outlives a kill), `hello`, `engine_watch`,
`readiness`, `gpu_stock`, `slots` and `slot_backoff` (what is offered), `kernel_cover` (what a program sees of the
host's kernel), `client` (the server's API), `resources` (what the threads share).

May import everything else of `containers`; nothing imports it but `containers.__main__`.
"""
