"""Network: who can talk to whom, and under which address."""

from onestack.core.api import Service
from onestack.core.flow import Flow
from onestack.network import extensions, quotas, rbac, service_providers, tags
from onestack.network.floating_ips import record as _floating_ips  # noqa: F401 - records
from onestack.network.routers import record as _routers  # noqa: F401 - records
from onestack.network.rules import SHARED
from onestack.network.security_groups import groups as security_groups
from onestack.network.security_groups import rules as security_group_rules
from onestack.network.settings import NetworkSettings
from onestack.network.style import ROOT, NetworkStyle
from onestack.network.switch import Switch
from onestack.network.wiring import host_reported, wire

SERVICE = Service(
    name="network",
    type="network",
    title="Network",
    root=ROOT,
    version="2.0",
    style=NetworkStyle(),
    topic="network",
    shared_rules=SHARED,
    nouns=(
        quotas.api,
        rbac.api,
        security_groups.api,
        security_group_rules.api,
        tags.api,
        extensions.api,
        service_providers.api,
    ),
)

FLOWS: tuple[type[Flow[object]], ...] = ()

__all__ = ["FLOWS", "SERVICE", "NetworkSettings", "Switch", "host_reported", "wire"]
