"""Users: their life, their passwords, and what they may ask about themselves."""
