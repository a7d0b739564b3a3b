"""Authentication: the methods by which a user proves who it is."""
