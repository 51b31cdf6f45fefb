"""`python -m evaluation`: what the command line reads, says and writes.

In reading order: `cli` (all of it, in one page), `arguments`, `dataset` (the cases; `json_file` and `ct` read for it),
`names` (what is conspicuous about the files), `parallel` (cases and hints shared out among children), `journal` (what
is kept of a run that goes on), `report` (JSON, CSV, table), `rexrank` (the organisers' JSON), `files`, `progress`.
May import everything of the evaluation; only `evaluation.__main__` and `evaluation.rexg` import it.
"""
