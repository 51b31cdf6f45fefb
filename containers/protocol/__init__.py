"""What the server, the GPU hosts and the teams agree on.

    contract      what a team may rely on inside its container
    orders        what a host is told about one container, parsed without trust
    verdicts      whose doing a container's end is, with the closed lists of codes
    reports       what a host answers
    faults        the exceptions of a host, each with the code under which it is reported
    task_queue    the message that wakes hosts
    sizes         sizes in words

Pure: imports no other package, no engine, and (but for `task_queue`) no broker.
"""
