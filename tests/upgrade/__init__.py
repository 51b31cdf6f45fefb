"""What a release must not break: databases of the releases before it, with runs under way, and their GPU hosts.

    record      makes a recording of a commit: its database, its files, its host's code (`recorded/<commit>/`)
    recording   reads one
    scenario    what happens on the server that is recorded
    upgraded    a recorded database under the present code; world: with the present server and its hosts at work
    site        a server and who is around it
    release     runs the code of a commit, or ours, as processes of a server
    browser     a person at the pages
    apihost     a GPU host without an engine: speaks the hosts' API and runs the algorithm as it is
    databases   makes, fills, copies and asks databases
    algorithm/  what every image here holds

These tests know a release by what others hold: commands of manage.py, addresses, fields of the hosts' API, names of
tables and columns, `python -m containers`. They import next to nothing of the server.
"""
