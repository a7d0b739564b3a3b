"""Drivers: what carries out the contract, each in a file or folder of its own."""
