"""The challenge server: one Django app, one label. Each of its packages imports only from lines below its own.

web | processes | demo           pages; host API, sweeper and tasks; the demonstration
operations                       health, Prometheus, alarms, retention, backup
progress                         what a team sees of its own run
board                            the leaderboard, and what a reader may see (disclosure)
journey                          what a submission goes through: pipeline, lifecycle, scheduling, faults, decisions
submissions | hosts | scores     what a team hands in; GPU hosts; masks to numbers
people | challenge               teams and rules; phases, categories, case sets
charts                           pictures as SVG, from plain data
core                             clock, locks, files, text, disk space, events, task queue, audit
models, states                   the rows that hold the truth; every state and legal transition, as data
certainty                        how sure a ranking is: statistics of arrays, without Django
"""
