"""Trusts: a user lends some of its roles on a project to another."""
