"""The directory in LDAP: read with a service account, passwords checked by binding as the user."""

import re
import ssl
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from ldap3 import (
    BASE,
    DEREF_ALWAYS,
    DEREF_BASE,
    DEREF_NEVER,
    DEREF_SEARCH,
    LEVEL,
    NONE,
    SUBTREE,
    Connection,
    Server,
    Tls,
)
from ldap3.core.exceptions import LDAPException, LDAPStartTLSError
from ldap3.core.results import (
    RESULT_BUSY,
    RESULT_NO_SUCH_OBJECT,
    RESULT_SUCCESS,
    RESULT_UNAVAILABLE,
)

from onestack.core import clock
from onestack.identity.directory.contract import (
    DirectoryFailed,
    DirectoryGroup,
    DirectoryUnreachable,
    DirectoryUser,
    Found,
)
from onestack.identity.drivers.ldap_entry import GUID, Entry, escaped, normal_dn

TIMEOUT_S = 5
READING_S = 60.0  # for all pages of a list together
PAGES = "1.2.840.113556.1.4.319"
NAME_MAX = 255
SCOPES = {"one": LEVEL, "sub": SUBTREE, "base": BASE}
ALIASES = {
    "default": DEREF_NEVER,
    "never": DEREF_NEVER,
    "searching": DEREF_SEARCH,
    "finding": DEREF_BASE,
    "always": DEREF_ALWAYS,
}
TRUE_WORDS = frozenset(("true", "1", "yes", "on"))
OURS = frozenset(("id", "name", "domain_id", "enabled", "password", "links", "options"))


class LdapOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a domain's `ldap` group that concern us, under upstream's names."""

    url: str
    user: str | None = None
    password: str | None = None
    suffix: str
    query_scope: Literal["one", "sub", "base"]
    page_size: int
    alias_dereferencing: Literal["default", "never", "searching", "finding", "always"]
    use_tls: bool
    tls_cacertfile: str | None = None
    tls_cacertdir: str | None = None
    tls_req_cert: Literal["demand", "allow", "never"]
    user_tree_dn: str | None = None
    user_filter: str | None = None
    user_objectclass: str
    user_id_attribute: str
    user_name_attribute: str
    user_mail_attribute: str | None = None
    user_description_attribute: str | None = None
    user_default_project_id_attribute: str | None = None
    user_enabled_attribute: str | None = None
    user_enabled_invert: bool
    user_enabled_mask: int
    user_enabled_default: str | int | bool
    user_enabled_emulation: bool
    user_enabled_emulation_dn: str | None = None
    user_enabled_emulation_use_group_config: bool
    user_attribute_ignore: list[str] | str | None = None
    user_additional_attribute_mapping: list[str] | str | None = None
    group_tree_dn: str | None = None
    group_filter: str | None = None
    group_objectclass: str
    group_id_attribute: str
    group_name_attribute: str
    group_desc_attribute: str | None = None
    group_member_attribute: str
    group_members_are_ids: bool
    group_attribute_ignore: list[str] | str | None = None
    group_additional_attribute_mapping: list[str] | str | None = None


class LdapDirectory:
    """One directory, asked over connections that last as long as a question does."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        try:
            self.options = msgspec.convert(given, LdapOptions, strict=False)
        except msgspec.ValidationError as error:
            raise DirectoryFailed(f"the configuration: {error}") from None
        self.urls = _words(self.options.url)
        self.user_tree = self.options.user_tree_dn or f"ou=Users,{self.options.suffix}"
        self.group_tree = self.options.group_tree_dn or f"ou=UserGroups,{self.options.suffix}"
        self.ignored = {name.lower() for name in _words(self.options.user_attribute_ignore)}
        self.group_ignored = {name.lower() for name in _words(self.options.group_attribute_ignore)}
        self.mapping = _mapping(self.options.user_additional_attribute_mapping)
        self.group_mapping = _mapping(self.options.group_additional_attribute_mapping)

    def users(self) -> list[DirectoryUser]:
        """Every user of the directory."""
        with self._reading() as search:
            emulated = search.enabled_members() if self.options.user_enabled_emulation else None
            found = (self._user(entry, emulated) for entry in search.users())
            return [user for user in found if user is not None]

    def groups(self) -> list[DirectoryGroup]:
        """Every group of the directory, with its members."""
        with self._reading() as search:
            found = (self._group(entry) for entry in search.groups(with_members=True))
            return [group for group in found if group is not None]

    def find_user(self, name: str) -> Found | None:
        """The user of this name, and its groups."""
        return self._found(self.options.user_name_attribute, name.encode())

    def get_user(self, key: str) -> Found | None:
        """The user with this key, and its groups."""
        attribute = self.options.user_id_attribute
        raw = uuid.UUID(key).bytes_le if attribute.lower() == GUID else key.encode()
        return self._found(attribute, raw)

    def authenticate(self, address: str | None, password: str) -> bool:
        """Whether a bind as this user succeeds; an empty password would bind anybody as nobody."""
        if not password:
            return False
        nobody = f"cn={clock.new_id()},{self.user_tree}"
        with _told(), self._connected(address or nobody, password) as connection:
            return connection is not None and address is not None

    def _found(self, attribute: str, value: bytes) -> Found | None:
        with self._reading() as search:
            entries = search.users(f"({attribute}={escaped(value)})")
            if len(entries) != 1 or not self._is_alone(search, entries[0]):
                return None  # of several, none can be told to be the right one
            emulated = None
            if self.options.user_enabled_emulation:
                emulated = search.enabled_members(entries[0])
            user = self._user(entries[0], emulated)
            if user is None:
                return None
            member = user.key if self.options.group_members_are_ids else entries[0].dn
            condition = f"({self.options.group_member_attribute}={escaped(member.encode())})"
            groups = (self._group(entry) for entry in search.groups(condition))
            return Found(user, [group for group in groups if group is not None])

    def _is_alone(self, search: "Search", entry: Entry) -> bool:
        """Whether no other user has the same key, so that nobody is taken for another."""
        attribute = self.options.user_id_attribute
        raw = entry.attributes.get(attribute.lower(), [])
        same = "".join(f"({attribute}={escaped(value)})" for value in raw)
        return bool(raw) and len(search.users(f"(|{same})")) == 1

    def _user(self, entry: Entry, emulated: set[str] | None) -> DirectoryUser | None:
        options = self.options
        key = entry.key(options.user_id_attribute)
        name = entry.value(options.user_name_attribute)
        if not key or not name or len(name) > NAME_MAX:
            return None
        listed_as = self._listed_as(entry, key)
        is_enabled = self._is_enabled(entry) if emulated is None else listed_as in emulated
        shown = {
            "email": options.user_mail_attribute,
            "description": options.user_description_attribute,
        }
        project = options.user_default_project_id_attribute
        is_told = project is not None and "default_project_id" not in self.ignored
        return DirectoryUser(
            key=key,
            name=name,
            enabled=is_enabled,
            address=entry.dn,
            listed_as=listed_as,
            default_project_id=entry.value(project) if is_told else None,
            attributes=_attributes(entry, shown | self.mapping, self.ignored),
        )

    def _group(self, entry: Entry) -> DirectoryGroup | None:
        options = self.options
        key = entry.key(options.group_id_attribute)
        name = entry.value(options.group_name_attribute)
        if not key or not name or len(name) > NAME_MAX:
            return None
        is_told = "description" not in self.group_ignored
        members = entry.values(options.group_member_attribute)
        if not options.group_members_are_ids:
            members = [normal_dn(member) for member in members]
        return DirectoryGroup(
            key=key,
            name=name,
            description=(entry.value(options.group_desc_attribute) or "") if is_told else "",
            members=members,
            attributes=_attributes(entry, self.group_mapping, self.group_ignored),
        )

    def _listed_as(self, entry: Entry, key: str) -> str:
        return key if self.options.group_members_are_ids else normal_dn(entry.dn)

    def _is_enabled(self, entry: Entry) -> bool:
        options = self.options
        found = None if "enabled" in self.ignored else entry.value(options.user_enabled_attribute)
        text = str(options.user_enabled_default) if found is None else found
        if options.user_enabled_mask:
            try:
                return int(text) & options.user_enabled_mask != options.user_enabled_mask
            except ValueError:
                return False  # what cannot be read lets nobody in
        is_true = text.strip().lower() in TRUE_WORDS
        return is_true != options.user_enabled_invert

    @contextmanager
    def _reading(self) -> Iterator["Search"]:
        """A search over a connection of the service account, or of nobody."""
        user, password = self.options.user, self.options.password
        if user and not password:
            raise DirectoryFailed("the configuration: user without password")
        with _told(), self._connected(user, password) as connection:
            if connection is None:
                raise DirectoryFailed("the directory refuses the user of the configuration")
            yield Search(self, connection)

    @contextmanager
    def _connected(self, user: str | None, password: str | None) -> Iterator[Connection | None]:
        """A connection bound as somebody, or nothing when that is refused."""
        connection = self._open()
        try:
            # Bytes: text would be changed before it is sent, down to nothing if it comes to that.
            secret = None if password is None else password.encode()
            is_bound = connection.rebind(user, secret) if user else connection.bind()
            code = connection.result["result"]
            if not is_bound and code in (RESULT_BUSY, RESULT_UNAVAILABLE):
                raise DirectoryUnreachable(_result(connection))
            yield connection if is_bound else None
        finally:
            connection.unbind()

    def _open(self) -> Connection:
        """A connection to the first server that takes one."""
        failures = []
        for url in self.urls:
            try:
                return self._open_one(url)
            except (LDAPException, OSError) as error:
                failures.append(f"{re.sub('//.*@', '//', url)}: {error}")
        raise DirectoryUnreachable("; ".join(failures) or "the configuration has no url")

    def _open_one(self, url: str) -> Connection:
        server = Server(url, get_info=NONE, connect_timeout=TIMEOUT_S, tls=self._tls())
        connection = Connection(
            server, receive_timeout=TIMEOUT_S, auto_referrals=False, check_names=False,
            read_only=True,
        )  # fmt: skip
        try:
            connection.open()
            if self.options.use_tls and not server.ssl and not connection.start_tls():
                raise LDAPStartTLSError("StartTLS is refused")
        except BaseException:
            connection.strategy.close()
            raise
        return connection

    def _tls(self) -> Tls:
        demanded = self.options.tls_req_cert == "demand"
        return Tls(
            validate=ssl.CERT_REQUIRED if demanded else ssl.CERT_NONE,
            ca_certs_file=self.options.tls_cacertfile,
            ca_certs_path=self.options.tls_cacertdir,
        )


class Search:
    """What is looked for over one connection."""

    def __init__(self, directory: LdapDirectory, connection: Connection) -> None:
        self.directory, self.options, self.connection = directory, directory.options, connection
        self.deadline = clock.monotonic() + READING_S

    def users(self, condition: str = "") -> list[Entry]:
        """The users that fit a condition."""
        options = self.options
        wanted = [
            options.user_id_attribute,
            options.user_name_attribute,
            options.user_mail_attribute,
            options.user_description_attribute,
            options.user_enabled_attribute,
            options.user_default_project_id_attribute,
            *self.directory.mapping.values(),
        ]
        chosen = _all_of(options.user_objectclass, options.user_filter, condition)
        return self._found(self.directory.user_tree, chosen, wanted)

    def groups(self, condition: str = "", *, with_members: bool = False) -> list[Entry]:
        """The groups that fit a condition."""
        options = self.options
        wanted = [
            options.group_id_attribute,
            options.group_name_attribute,
            options.group_desc_attribute,
            *self.directory.group_mapping.values(),
        ]
        if with_members:
            wanted.append(options.group_member_attribute)
        chosen = _all_of(options.group_objectclass, options.group_filter, condition)
        return self._found(self.directory.group_tree, chosen, wanted)

    def enabled_members(self, only: Entry | None = None) -> set[str]:
        """Who is in the group that stands for being enabled, or whether just this one is."""
        options = self.options
        as_groups = options.user_enabled_emulation_use_group_config
        member = options.group_member_attribute if as_groups else "member"
        are_ids = as_groups and options.group_members_are_ids
        base = options.user_enabled_emulation_dn or f"cn=enabled_users,{self.directory.user_tree}"
        condition = "(objectClass=*)"
        listed: set[str] = set()
        if only is not None:
            key = only.key(options.user_id_attribute) or ""
            name = key if are_ids else only.dn
            listed = {key if options.group_members_are_ids else normal_dn(only.dn)}
            condition = f"({member}={escaped(name.encode())})"
        self.connection.search(base, condition, BASE, attributes=[member])
        if self.connection.result["result"] == RESULT_NO_SUCH_OBJECT:
            return set()
        entries = self._entries()
        if only is not None:
            return listed if entries else set()
        names = [name for entry in entries for name in entry.values(member)]
        return set(names) if are_ids else {normal_dn(name) for name in names}

    def _found(self, base: str, condition: str, wanted: list[str | None]) -> list[Entry]:
        """Every entry below a place; a part of them is an error, for the rest would seem gone."""
        page_size = max(0, self.options.page_size) or None
        found: list[Entry] = []
        cookie: bytes | None = None
        while True:
            self.connection.search(
                base,
                condition,
                SCOPES[self.options.query_scope],
                ALIASES[self.options.alias_dereferencing],
                attributes=sorted({name for name in wanted if name}),
                paged_size=page_size,
                paged_cookie=cookie,
            )
            found += self._entries()
            controls = self.connection.result.get("controls") or {}
            cookie = controls.get(PAGES, {}).get("value", {}).get("cookie")
            if page_size is None or not cookie:
                return found
            if clock.monotonic() > self.deadline:
                raise DirectoryUnreachable(f"the directory took more than {READING_S:.0f} s")

    def _entries(self) -> list[Entry]:
        if self.connection.result["result"] != RESULT_SUCCESS:
            raise DirectoryFailed(_result(self.connection))
        return [
            Entry(each["dn"], each["raw_attributes"])
            for each in self.connection.response or []
            if each["type"] == "searchResEntry"
        ]


def _words(given: list[str] | str | None) -> list[str]:
    """A list of words, or the same with commas between them."""
    words = given.split(",") if isinstance(given, str) else given or []
    return [word.strip() for word in words if word.strip()]


def _mapping(given: list[str] | str | None) -> dict[str, str]:
    """More of a user's or group's attributes, by the LDAP attributes that hold them."""
    pairs = (word.partition(":") for word in _words(given))
    return {ours: theirs for theirs, _, ours in pairs if ours and theirs and ours not in OURS}


def _attributes(entry: Entry, shown: Mapping[str, str | None], ignored: set[str]) -> dict[str, Any]:
    found = {name: entry.value(attribute) for name, attribute in shown.items()}
    return {
        name: value for name, value in found.items() if value is not None and name not in ignored
    }


def _all_of(objectclass: str, chosen: str | None, condition: str) -> str:
    chosen = (chosen or "").strip()
    if chosen and not chosen.startswith("("):
        chosen = f"({chosen})"
    return f"(&(objectClass={objectclass}){chosen}{condition})"


def _result(connection: Connection) -> str:
    result = connection.result
    return f"{result['description']}: {result['message'] or result['dn']}"


@contextmanager
def _told() -> Iterator[None]:
    """Say the library's many errors in the contract's two."""
    try:
        yield
    except (LDAPException, OSError) as error:
        raise DirectoryUnreachable(f"{type(error).__name__}: {error}") from None
