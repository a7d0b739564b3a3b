"""Real servers from Debian's packages, started on loopback for the length of a test run."""
