"""`python -m containers`: the sandbox worker of a GPU host."""

from containers.host.worker import main

main()
