"""How each verb is used, as its help shows it."""

EXAMPLES = {
    "up": (
        "onestack up",
        "onestack up --ephemeral --port 5001",
        "onestack up --data /srv/cloud --listen 10.0.0.1 --drivers none",
    ),
    "down": ("onestack down", "onestack down --all"),
    "launch": ("onestack launch web", "onestack launch db --image debian-12 --flavor m1.small"),
    "ssh": ("onestack ssh web", "onestack ssh web -- uname -a"),
    "console": ("onestack console web --follow", "onestack console web --url"),
    "explain": ("onestack explain web", "onestack explain --dry-run --flavor m1.xlarge"),
    "status": ("onestack status", "onestack status -o json"),
    "doctor": ("onestack doctor", "onestack doctor --data /srv/cloud"),
    "logs": ("onestack logs --follow --level warning", "onestack logs --request req-..."),
    "serve": ("onestack serve --role api --role worker", "onestack serve --role agent"),
    "db": ("onestack db current", "onestack db upgrade", "onestack db downgrade -1"),
    "policy": ("onestack policy list",),
    "openapi": ("onestack openapi compute --version 2.60",),
    "trace": ("onestack trace req-...",),
    "events": ("onestack events --follow", "onestack events --resource ID --limit 100"),
    "join": ("onestack join --print --url http://10.0.0.1:5000", "onestack join eyJ..."),
    "keys": ("onestack keys list", "onestack keys rotate"),
    "version": ("onestack version",),
}


def shown(verb: str) -> str:
    """A verb's examples, for the end of its help."""
    return "\n  ".join(("\b\nExamples:", *EXAMPLES[verb]))
