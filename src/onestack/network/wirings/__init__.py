"""Wirings: what each host must have of networks, and whether it has it."""
