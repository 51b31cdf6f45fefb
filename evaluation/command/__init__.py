"""`python -m evaluation`: what the command line reads, says and writes.

May import everything else of the evaluation; nothing imports it but `evaluation.__main__`.
"""
