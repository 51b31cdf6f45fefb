"""What a release must not break: databases of the releases before it, with runs under way, and their GPU hosts.

    record      makes a recording of a commit: its database, its files, its host's code (`recorded/<commit>/`)
    recording   reads one
    release     runs the code of a commit, or ours, as processes of a server
    apihost     a GPU host without an engine: speaks the hosts' API and runs the algorithm as it is
    databases   makes, fills, copies and asks databases
    algorithm/  what every image here holds

These tests know a release by what others hold: commands of manage.py, addresses, fields of the hosts' API, names of
tables and columns, `python -m containers`. They import next to nothing of the server.
"""
