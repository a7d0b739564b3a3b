"""OpenLDAP's slapd in a temporary folder, with a small tree of people and groups."""

from types import TracebackType
from typing import Self
from urllib.parse import quote

from tests.servers.certificates import certificate_for
from tests.servers.install import program
from tests.servers.process import Folder, Process, answers, free_ports

SUFFIX = "dc=example,dc=org"
SETTINGS = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {authority}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
allow bind_anon_dn
database mdb
suffix "{suffix}"
rootdn "cn=admin,{suffix}"
rootpw {password}
directory {data}
maxsize 67108864
dbnosync
index objectClass,uid,cn,member eq
access to attrs=userPassword by self write by anonymous auth by * none
access to * by * read
"""
PEOPLE = {
    "alice": ("Alice", "Archer"),
    "bob": ("Bob", "Baker"),
    "carol": ("Carol", "Cooper"),
}
GROUPS = {"admins": ["alice"], "developers": ["alice", "bob"]}


class Slapd:
    """A directory of its own: ldap:// (with StartTLS), ldaps:// and ldapi://."""

    suffix = SUFFIX
    admin_dn = f"cn=admin,{SUFFIX}"
    admin_password = "admin-secret"
    users_dn = f"ou=Users,{SUFFIX}"
    groups_dn = f"ou=Groups,{SUFFIX}"

    def __init__(self, *hosts: str) -> None:
        """The certificate is for `hosts`; with none given it is the right one."""
        program("ldapsearch")
        slapd, slapadd = program("slapd"), program("slapadd")
        self.folder = Folder("slapd", "openldap")
        self.port, self.tls_port = free_ports(2)
        certificate = certificate_for(*(hosts or ("localhost", "127.0.0.1")))
        self.authority = self.folder.file("authority.pem", certificate.authority)
        settings = self.folder.file("slapd.conf", SETTINGS.format(
            folder=self.folder.path,
            data=self.folder.folder("data"),
            suffix=SUFFIX,
            password=self.admin_password,
            authority=self.authority,
            certificate=self.folder.file("certificate.pem", certificate.certificate),
            key=self.folder.file("key.pem", certificate.key),
        ))  # fmt: skip
        tree = self.folder.file("tree.ldif", tree_ldif())
        self.loading = Process([slapadd, "-q", "-f", settings, "-l", tree], self.folder)
        listeners = f"{self.url} {self.tls_url} {self.socket_url}"
        self.process = Process([slapd, "-f", settings, "-h", listeners, "-d", "0"], self.folder)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def socket_url(self) -> str:
        return f"ldapi://{quote(str(self.folder.path / 'socket'), safe='')}"

    def user_dn(self, name: str) -> str:
        return f"uid={name},{self.users_dn}"

    def password_of(self, name: str) -> str:
        return f"{name}-secret"

    def __enter__(self) -> Self:
        try:
            self.loading.run()
            self.process.start(lambda: answers(self.port) and answers(self.tls_port))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.process.stop()
        self.folder.remove()


def tree_ldif() -> str:
    """The tree that every directory starts with."""
    entries = [f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example"]
    entries += [
        f"dn: ou={ou},{SUFFIX}\nobjectClass: organizationalUnit" for ou in ("Users", "Groups")
    ]
    for uid, (first, last) in PEOPLE.items():
        entries.append(
            f"dn: uid={uid},ou=Users,{SUFFIX}\nobjectClass: inetOrgPerson\ncn: {first} {last}\n"
            f"sn: {last}\ngivenName: {first}\nmail: {uid}@example.org\n"
            f"description: {first} of Example\nuserPassword: {uid}-secret"
        )
    for name, members in GROUPS.items():
        lines = "\n".join(f"member: uid={uid},ou=Users,{SUFFIX}" for uid in members)
        entries.append(
            f"dn: cn={name},ou=Groups,{SUFFIX}\nobjectClass: groupOfNames\n"
            f"description: The {name} of Example\n{lines}"
        )
    return "\n\n".join(entries) + "\n"
