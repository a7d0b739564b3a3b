"""Identity: who one is, what one may do, and where everything answers."""

from onestack.core.api import Service
from onestack.identity import discovery, domain_config, domains, groups, policies
from onestack.identity.bootstrap import Account, Offer, bootstrap
from onestack.identity.catalog import endpoint_groups, endpoints, filters, regions, services
from onestack.identity.keys import JwsKeys, KeyRepository
from onestack.identity.passwords import Hashing
from onestack.identity.projects import operations as projects
from onestack.identity.projects import tags as project_tags
from onestack.identity.rules import SHARED
from onestack.identity.settings import IdentitySettings
from onestack.identity.style import ROOT, IdentityStyle
from onestack.identity.tokens import issue, validate
from onestack.identity.tokens.codec import FernetCodec, JwsCodec
from onestack.identity.tokens.validation import Tokens

SERVICE = Service(
    name="identity",
    type="identity",
    title="Identity",
    root=ROOT,
    version="3.14",
    style=IdentityStyle(),
    shared_rules=SHARED,
    nouns=(
        discovery.api,
        issue.api,
        validate.api,
        projects.api,
        project_tags.api,
        domains.api,
        domain_config.api,
        groups.api,
        regions.api,
        services.api,
        endpoints.api,
        filters.api,
        endpoint_groups.api,
        policies.api,
    ),
)

__all__ = [
    "SERVICE",
    "Account",
    "FernetCodec",
    "Hashing",
    "IdentitySettings",
    "JwsCodec",
    "JwsKeys",
    "KeyRepository",
    "Offer",
    "Tokens",
    "bootstrap",
]
