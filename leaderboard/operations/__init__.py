"""What operators watch and do.

    health/                          facts, read at one instant, and what they mean
    prometheus, alarms               the same for Prometheus, and by mail
    equal_entries/                   what entries of different teams have in common
    retention, backup                what is kept and for how long; backup and restore

May import `progress` and below.
"""
