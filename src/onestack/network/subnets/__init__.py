"""Subnets: which addresses a network has, and what hosts are told by DHCP."""
