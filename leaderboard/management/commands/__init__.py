"""The commands of manage.py: each reads its arguments, makes one call, and prints."""
