"""One container.

    run             an order's way from staged input to a report
    spec            the exact configuration of every container and volume, pure
    image_settings  what an image says about how to run it
    kernel_view     what its container sees of the kernel that it shares
    launcher        the first program of its container: makes the home, becomes the image's program
    staging         the batch's folder on the host
    watch           following a container until it ends, with its `case_clock`
    harvest         what it left in /output, handed over by the `holder`
    judge           from all that was found to the report, pure
    capabilities    whether the engine can do all this
    gpus            whether a GPU is well and empty, by the driver's tool (`nvidia_smi`), and whether its driver has
                    what an image needs (`gpu_requirements`)
    images          a checked archive becomes an image of the engine
    engine          the one module that knows Docker's SDK

May import `intake` and `protocol`. Knows no server, no broker and nothing of the worker (`host`), so that it can be
used without one.
"""
