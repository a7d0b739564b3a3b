"""Identity: who one is, what one may do, and where everything answers."""

from onestack.core.api import Service
from onestack.identity import (
    access_rules,
    discovery,
    domain_config,
    domains,
    ec2,
    groups,
    legacy,
    oauth2,
    policies,
    revocation_events,
)
from onestack.identity.application_credentials import create as application_credential
from onestack.identity.application_credentials import keep as application_credentials
from onestack.identity.assignments import grant as grants
from onestack.identity.assignments import grant_on_system as system_grants
from onestack.identity.assignments import list as role_assignments
from onestack.identity.auth import scopes
from onestack.identity.bootstrap import Account, Offer, bootstrap, first_token
from onestack.identity.catalog import endpoint_groups, endpoints, filters, regions, services
from onestack.identity.credentials import operations as credentials
from onestack.identity.directory.directories import Directories
from onestack.identity.federation import (
    assertions,
    identity_providers,
    mappings,
    protocols,
    service_providers,
    sign_in,
)
from onestack.identity.key_rotation import (
    SecretsUnreadable,
    rotate_credential_keys,
    rotate_token_keys,
)
from onestack.identity.limits import limits
from onestack.identity.limits import registered as registered_limits
from onestack.identity.oauth1 import access_tokens as oauth1_access_tokens
from onestack.identity.oauth1 import consumers as oauth1_consumers
from onestack.identity.oauth1 import request_tokens as oauth1_request_tokens
from onestack.identity.projects import operations as projects
from onestack.identity.projects import tags as project_tags
from onestack.identity.roles import define as roles
from onestack.identity.roles import imply as implied_roles
from onestack.identity.rules import SHARED
from onestack.identity.settings import IdentitySettings
from onestack.identity.style import ROOT, IdentityStyle
from onestack.identity.tokens import issue, validate
from onestack.identity.trusts import create as lend
from onestack.identity.trusts import keep as trusts
from onestack.identity.upkeep import flows
from onestack.identity.users import change_password, reach
from onestack.identity.users import operations as users
from onestack.identity.wiring import unwire, wire

# Rules that an operation judges by in place of the one that it declares.
JUDGED_INSTEAD = (*roles.OF_DOMAIN, implied_roles.CHECK, role_assignments.LIST_FOR_TREE)

SERVICE = Service(
    name="identity",
    type="identity",
    title="Identity",
    root=ROOT,
    version="3.14",
    style=IdentityStyle(),
    topic="identity",
    shared_rules=SHARED | {rule.name: rule.check for rule in JUDGED_INSTEAD},
    nouns=(
        discovery.api,
        issue.api,
        validate.api,
        scopes.api,
        projects.api,
        project_tags.api,
        domains.api,
        domain_config.api,
        users.api,
        change_password.api,
        reach.api,
        groups.api,
        roles.api,
        implied_roles.api,
        grants.api,
        system_grants.api,
        role_assignments.api,
        lend.api,
        trusts.api,
        application_credential.api,
        application_credentials.api,
        access_rules.api,
        credentials.api,
        ec2.api,
        oauth1_consumers.api,
        oauth1_request_tokens.api,
        oauth1_access_tokens.api,
        oauth2.api,
        revocation_events.api,
        legacy.api,
        identity_providers.api,
        protocols.api,
        mappings.api,
        service_providers.api,
        sign_in.api,
        assertions.api,
        regions.api,
        services.api,
        endpoints.api,
        filters.api,
        endpoint_groups.api,
        policies.api,
        registered_limits.api,
        limits.api,
    ),
)

__all__ = [
    "SERVICE",
    "Account",
    "Directories",
    "IdentitySettings",
    "Offer",
    "SecretsUnreadable",
    "bootstrap",
    "first_token",
    "flows",
    "rotate_credential_keys",
    "rotate_token_keys",
    "unwire",
    "wire",
]
