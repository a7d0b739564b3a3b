"""Tokens: what they hold, how they are issued, validated and revoked."""
