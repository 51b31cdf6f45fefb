"""A hasher that counts how often it was at work."""

from django.contrib.auth.hashers import MD5PasswordHasher


class CountingHasher(MD5PasswordHasher):
    """Each hash of a password costs the same; how many were made is what an answer's time tells."""

    times = 0

    def encode(self, password, salt):
        CountingHasher.times += 1
        return super().encode(password, salt)

    def must_update(self, encoded):
        return False
