"""What answers and bodies look like. Instants are in UTC, sizes in bytes, scores between 0 and 1 and as they are shown.

What is null is not there, or not shown to the reader. What parts share is in `base`.
"""
