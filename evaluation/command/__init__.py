"""`python -m evaluation`: what the command line reads, says and writes.

In reading order: `cli` (all of it, in one page), `arguments`, `dataset` (the cases), `names` (what is conspicuous about
the files), `parallel` (cases and hints shared out among children), `report` (JSON, CSV, table), `files`, `progress`.
May import everything of the evaluation; only `evaluation.__main__` and `evaluation.rexg` import it.
"""
