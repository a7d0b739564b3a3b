"""Credentials: secrets of users that identity keeps, for signatures and one-time passwords."""
