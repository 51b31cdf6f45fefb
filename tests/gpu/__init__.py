"""What only a machine with an NVIDIA GPU can prove. Everywhere else it is skipped, with the reason.

    ./dev test tests/gpu -n0 -rs

It needs the driver (nvidia-smi answers), NVIDIA's container toolkit for the engine (`./dev`'s own finds its hook on
PATH; DOCKER_HOST names another engine), idle GPUs, and nothing from the network: the program calls the CUDA driver's
library, which the toolkit brings into the container. What cannot be had is skipped one by one: CDI without a
specification (`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`) or below Docker 25, isolation with one GPU.
"""
