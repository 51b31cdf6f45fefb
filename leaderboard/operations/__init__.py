"""What operators watch and do: health, Prometheus, alarms, retention, backup.

May import `progress` and below.
"""
