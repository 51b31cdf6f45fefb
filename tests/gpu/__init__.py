"""What only a machine with an NVIDIA GPU can prove. Everywhere else it is skipped, with the reason.

    ./dev test tests/gpu -n0 -rs

It needs the driver (nvidia-smi answers), an engine that hands GPUs over (`./dev`'s own finds the hook of NVIDIA's
container toolkit on PATH; DOCKER_HOST names another engine), idle GPUs, and nothing from the network: the programs call
the CUDA driver's library, which comes from the host, or the PyTorch of the Python that runs the tests. What cannot be
had is skipped one by one: CDI without a specification (`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, or the
stand-in cdi.py here) or below Docker 25, PyTorch where this Python has none, isolation with one GPU.

On a GPU host, with no server's packages, the worker's (deploy/requirements/worker.txt) and pytest are enough:

    python -m pytest -c /dev/null --rootdir . --confcutdir tests/gpu tests/gpu -rs
"""
