"""Scoring in child processes with limits, so that no prediction file can hurt more than its own case.

In reading order: `scorer` (one case after the other, and whose fault it is when there is no result), `child` (one
process: asked, timed, killed), `fork_server` (where children come from), `forking` (the process that forks them),
`interpreter` (how a Python of ours is started), `worker` (what a child does), `messages` (what goes through its pipes).
`plain` has children without limits, for systems that cannot give any; only the command line uses it. May import
`evaluation.metrics`, `evaluation.masks` and what lies directly in `evaluation`.
"""
