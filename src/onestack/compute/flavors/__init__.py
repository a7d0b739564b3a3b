"""Flavours: the sizes that servers come in, who may use them, and what they ask of hosts."""
