"""Subnet pools and address scopes: where subnets get their prefixes from."""
