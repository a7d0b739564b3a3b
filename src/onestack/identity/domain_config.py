"""Domain configuration: where a domain's users live, and how they are reached."""

from typing import Annotated, Any

import msgspec
from sqlalchemy import delete
from sqlalchemy.orm import Session

from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.policy import Rule
from onestack.core.shapes import Meta
from onestack.identity import domain_options, events, rules
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.domain_options import DomainConfigRecord, is_secret, shown, stored
from onestack.identity.projects.record import DEFAULT_DOMAIN, find_domain
from onestack.identity.settings import IdentitySettings

api = Operations("domain configuration")

Group = dict[str, Any]
Config = dict[str, Any]

WHOLE = "/v3/domains/{domain_id}/config"
COMPLIANCE = "/v3/domains/{domain_id}/config/security_compliance"
COMPLIANCE_OPTIONS = ("password_regex", "password_regex_description")

GET = Rule("identity:get_domain_config", rules.READ, scopes=rules.ABOVE)
GET_COMPLIANCE = Rule("identity:get_security_compliance_domain_config", rules.ANYONE)
GET_DEFAULT = Rule("identity:get_domain_config_default", rules.READ, scopes=rules.ABOVE)
CREATE = Rule("identity:create_domain_config", rules.ADMIN, scopes=rules.ABOVE)
UPDATE = Rule("identity:update_domain_config", rules.ADMIN, scopes=rules.ABOVE)
DELETE = Rule("identity:delete_domain_config", rules.ADMIN, scopes=rules.ABOVE)

# Every option that a domain may set, with what holds where none does.
DEFAULTS: dict[str, dict[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost",
        "user": None,
        "suffix": "cn=example,cn=com",
        "query_scope": "one",
        "page_size": 0,
        "alias_dereferencing": "default",
        "debug_level": None,
        "chase_referrals": None,
        "user_tree_dn": None,
        "user_filter": None,
        "user_objectclass": "inetOrgPerson",
        "user_id_attribute": "cn",
        "user_name_attribute": "sn",
        "user_mail_attribute": "mail",
        "user_description_attribute": "description",
        "user_pass_attribute": "userPassword",
        "user_enabled_attribute": "enabled",
        "user_enabled_invert": False,
        "user_enabled_mask": 0,
        "user_enabled_default": "True",
        "user_attribute_ignore": ["default_project_id"],
        "user_default_project_id_attribute": None,
        "user_enabled_emulation": False,
        "user_enabled_emulation_dn": None,
        "user_enabled_emulation_use_group_config": False,
        "user_additional_attribute_mapping": [],
        "group_tree_dn": None,
        "group_filter": None,
        "group_objectclass": "groupOfNames",
        "group_id_attribute": "cn",
        "group_name_attribute": "ou",
        "group_members_are_ids": False,
        "group_member_attribute": "member",
        "group_desc_attribute": "description",
        "group_attribute_ignore": [],
        "group_additional_attribute_mapping": [],
        "tls_cacertfile": None,
        "tls_cacertdir": None,
        "use_tls": False,
        "tls_req_cert": "demand",
        "use_pool": True,
        "pool_size": 10,
        "pool_retry_max": 3,
        "pool_retry_delay": 0.1,
        "pool_connection_timeout": -1,
        "pool_connection_lifetime": 600,
        "use_auth_pool": True,
        "auth_pool_size": 100,
        "auth_pool_connection_lifetime": 60,
    },
}

Text = Annotated[str, Meta(max_length=4096)]
Number = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Value = Text | Number | float | bool | list[Text] | None


class InvalidDomainConfig(Forbidden):
    message = "Invalid domain specific configuration: {reason}."


class DomainConfigNotFound(NotFound):
    message = "Could not find {what} in domain configuration for domain {domain_id}."


@api.get("/v3/domains/config/default", GET_DEFAULT, key="config")
def show_defaults(ctx: Context) -> Config:
    """Show what holds for domains without a configuration."""
    ctx.allow()
    return DEFAULTS


@api.get("/v3/domains/config/{group}/default", GET_DEFAULT, key="config")
def show_group_defaults(ctx: Context, group: str) -> Config:
    """Show a group of what holds for domains without a configuration."""
    ctx.allow()
    _check_name(group)
    return {group: DEFAULTS[group]}


@api.get("/v3/domains/config/{group}/{option}/default", GET_DEFAULT, key="config")
def show_option_default(ctx: Context, group: str, option: str) -> Config:
    """Show one option of what holds for domains without a configuration."""
    ctx.allow()
    _check_name(group, option)
    if option not in DEFAULTS[group]:
        reason = f"Reading the default for option {option} in group {group} is not supported"
        raise InvalidDomainConfig(reason=reason)
    return {option: DEFAULTS[group][option]}


@api.put(WHOLE, CREATE, key="config")
def create(ctx: Context, domain_id: str, body: Config) -> Reply:
    """Set a domain's configuration, in place of any that it had."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check(body)
    had_one = bool(stored(ctx.session, domain_id))
    ctx.session.execute(delete(DomainConfigRecord).where(DomainConfigRecord.domain_id == domain_id))
    _write(ctx, domain_id, body, "updated" if had_one else "created")
    return Reply(shown(ctx.session, domain_id), status=200 if had_one else 201)


@api.get(WHOLE, GET, key="config")
def show(ctx: Context, domain_id: str) -> Config:
    """Show a domain's configuration."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    return _found(shown(ctx.session, domain_id), domain_id)


@api.patch(WHOLE, UPDATE, key="config")
def update(ctx: Context, domain_id: str, body: Config) -> Config:
    """Change options of a domain's configuration; the others stay."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check(body)
    _write(ctx, domain_id, body)
    return shown(ctx.session, domain_id)


@api.delete(WHOLE, DELETE)
def delete_all(ctx: Context, domain_id: str) -> None:
    """Delete a domain's configuration."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _remove(ctx.session, domain_id)


@api.get(COMPLIANCE, GET_COMPLIANCE, key="config")
def show_compliance(ctx: Context, domain_id: str) -> Config:
    """Show what a password of the default domain must look like."""
    return {"security_compliance": _compliance(ctx, domain_id)}


@api.get(COMPLIANCE + "/{option}", GET_COMPLIANCE, key="config")
def show_compliance_option(ctx: Context, domain_id: str, option: str) -> Config:
    """Show one option of what a password of the default domain must look like."""
    options = _compliance(ctx, domain_id)
    if option not in options:
        raise InvalidDomainConfig(
            reason="Reading security compliance values other than password_regex and "
            "password_regex_description is not allowed"
        )
    return {option: options[option]}


@api.get(WHOLE + "/{group}", GET, key="config")
def show_group(ctx: Context, domain_id: str, group: str) -> Config:
    """Show a group of a domain's configuration."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check_name(group)
    options = shown(ctx.session, domain_id).get(group, {})
    return {group: _found(options, domain_id, group)}


@api.patch(WHOLE + "/{group}", UPDATE, key="config")
def update_group(ctx: Context, domain_id: str, group: str, body: Config) -> Config:
    """Change options of a group that the domain's configuration has."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check(body)
    _check_name(group)
    if set(body) != {group}:
        reason = f"Trying to update group {group}, so that, and only that, group must be specified"
        raise InvalidDomainConfig(reason=f"{reason} in the config")
    _found(stored(ctx.session, domain_id).get(group), domain_id, group)
    _write(ctx, domain_id, body)
    return shown(ctx.session, domain_id)


@api.delete(WHOLE + "/{group}", DELETE)
def delete_group(ctx: Context, domain_id: str, group: str) -> None:
    """Delete a group of a domain's configuration."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check_name(group)
    _found(stored(ctx.session, domain_id).get(group), domain_id, group)
    _remove(ctx.session, domain_id, group)


@api.get(WHOLE + "/{group}/{option}", GET, key="config")
def show_option(ctx: Context, domain_id: str, group: str, option: str) -> Config:
    """Show an option of a domain's configuration; what is secret is never shown."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check_name(group, option)
    options = shown(ctx.session, domain_id).get(group, {})
    return {option: _found(options, domain_id, group, option)[option]}


@api.patch(WHOLE + "/{group}/{option}", UPDATE, key="config")
def update_option(ctx: Context, domain_id: str, group: str, option: str, body: Config) -> Config:
    """Change an option that the domain's configuration has."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check_name(group, option)
    _check({group: body})
    if set(body) != {option}:
        reason = f"Trying to update option {option} in group {group}, so that, and only that"
        raise InvalidDomainConfig(reason=f"{reason}, option must be specified in the config")
    _found(stored(ctx.session, domain_id).get(group), domain_id, group, option)
    _write(ctx, domain_id, {group: body})
    return shown(ctx.session, domain_id)


@api.delete(WHOLE + "/{group}/{option}", DELETE)
def delete_option(ctx: Context, domain_id: str, group: str, option: str) -> None:
    """Delete an option of a domain's configuration."""
    ctx.allow()
    find_domain(ctx.session, domain_id)
    _check_name(group, option)
    _found(stored(ctx.session, domain_id).get(group), domain_id, group, option)
    _remove(ctx.session, domain_id, group, option)


def _compliance(ctx: Context, domain_id: str) -> Group:
    ctx.allow()
    if domain_id != DEFAULT_DOMAIN:
        raise InvalidDomainConfig(
            reason="Reading security compliance information for any domain other than the "
            "default domain is not allowed or supported"
        )
    settings = ctx.cloud.get(IdentitySettings)
    return {name: getattr(settings, name) or None for name in COMPLIANCE_OPTIONS}


def _check(config: Config) -> None:
    """Refuse groups, options and values that no domain may set."""
    if not config:
        raise InvalidDomainConfig(reason="No options specified")
    for group, options in config.items():
        _check_name(group)
        if not isinstance(options, dict) or not options:
            raise InvalidDomainConfig(
                reason=f"The value of group {group[:64]} specified in the config should be a "
                "dictionary of options"
            )
        for option, value in options.items():
            _check_name(group, option)
            try:
                msgspec.convert(value, Value)
            except msgspec.ValidationError as error:
                raise BadRequest(f"Invalid value for {option} of {group}: {error}") from None


def _check_name(group: str, option: str | None = None) -> None:
    if group not in DEFAULTS:
        reason = f"Group {group[:64]} is not supported for domain specific configurations"
        raise InvalidDomainConfig(reason=reason)
    if option is not None and option not in DEFAULTS[group] and not is_secret(group, option):
        raise InvalidDomainConfig(
            reason=f"Option {option[:64]} in group {group} is not supported for domain specific "
            "configurations"
        )


def _found(
    options: Any, domain_id: str, group: str | None = None, option: str | None = None
) -> Config:
    """The options, or that there are none such."""
    if not options or (option is not None and option not in options):
        what = f"option {option} in group {group}" if option else f"group {group}"
        raise DomainConfigNotFound(
            what=what if group is not None else "any options", domain_id=domain_id
        )
    found: Config = options
    return found


def _write(ctx: Context, domain_id: str, config: Config, what: str = "updated") -> None:
    domain_options.put(ctx.session, ctx.cloud.get(CredentialKeys), domain_id, config)
    events.emit(ctx.session, f"domain_config.{what}", domain_id)


def _remove(
    session: Session, domain_id: str, group: str | None = None, option: str | None = None
) -> None:
    statement = delete(DomainConfigRecord).where(DomainConfigRecord.domain_id == domain_id)
    if group is not None:
        statement = statement.where(DomainConfigRecord.group == group)
    if option is not None:
        statement = statement.where(DomainConfigRecord.option == option)
    session.execute(statement)
    events.emit(session, f"domain_config.{'updated' if group else 'deleted'}", domain_id)
