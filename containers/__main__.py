"""`python -m containers`: the sandbox worker of a GPU host."""

from containers.worker import main

main()
