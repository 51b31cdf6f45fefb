"""What operators watch and do.

    health/                          facts, read at one instant, and what they mean
    host_states, waiting_runs        what each host does now; the queue, with the reason for each place
    capacity/                        whether all teams' runs will fit until the deadline
    prometheus, alarms               the same for Prometheus, and by mail
    equal_entries/                   what entries of different teams have in common
    retention, backup                what is kept and for how long; backup and restore

May import `progress` and below.
"""
