"""Limits: how much of a resource a project or domain may use."""
