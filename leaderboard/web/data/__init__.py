"""The pages of case sets that can be downloaded, their lists and files, and the script that fetches them.

What a reader may see is board/disclosure.py's to decide; who allows it, challenge/downloads.py's.
"""
