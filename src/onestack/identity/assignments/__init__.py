"""Assignments: who has which role on what."""
