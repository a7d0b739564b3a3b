"""This cloud as a SAML identity provider: it tells other clouds who its users are.

Nothing here reads XML, and all of it is built as a tree, so names cannot become markup.
"""

import base64
import datetime as dt

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from onestack.core import clock
from onestack.identity.federation.saml_keys import SamlKeys

__all__ = [
    "Contact",
    "Entity",
    "NotExpressible",
    "Organization",
    "SamlKeys",
    "Subject",
    "generate_ecp",
    "metadata",
    "response",
    "to_xml",
]

_SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_ECP = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_XML = "http://www.w3.org/XML/1998/namespace"

_ENTITY_NAME = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
_TRANSIENT_NAME = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_BY_PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"  # noqa: S105 - a SAML name
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BY_URI = "urn:oasis:names:tc:SAML:2.0:bindings:URI"
_NEXT_ACTOR = "http://schemas.xmlsoap.org/soap/actor/next"


class Subject(msgspec.Struct, frozen=True):
    """A user in a project, as another cloud shall see them; groups are (name, domain name)."""

    user: str
    user_domain: str
    roles: tuple[str, ...]
    project: str
    project_domain: str
    groups: tuple[tuple[str, str], ...] = ()


class Organization(msgspec.Struct, frozen=True):
    """Who runs the identity provider."""

    name: str
    display_name: str
    url: str


class Contact(msgspec.Struct, frozen=True):
    """Whom to ask about the identity provider."""

    company: str
    given_name: str
    surname: str
    email: str
    telephone: str
    type: str = "other"


class Entity(msgspec.Struct, frozen=True):
    """What the identity provider's metadata say."""

    entity_id: str
    sso_endpoint: str
    language: str = "en"
    organization: Organization | None = None
    contact: Contact | None = None


class NotExpressible(ValueError):
    """A text with characters that XML has no way to write."""


def response(
    keys: SamlKeys, issuer: str, recipient: str, subject: Subject, lifetime_s: int = 3600
) -> etree._Element:
    """A SAML response for `recipient` with one signed assertion about `subject`."""
    now = clock.now()
    root = etree.Element(
        etree.QName(_PROTOCOL, "Response"), nsmap={"samlp": _PROTOCOL, "saml": _SAML}
    )
    _set(root, ID=_new_id(), Version="2.0", IssueInstant=_instant(now), Destination=recipient)
    _add_issuer(root, issuer)
    status = _add(root, _PROTOCOL, "Status")
    _add(status, _PROTOCOL, "StatusCode", Value=_SUCCESS)
    expiry = now + dt.timedelta(seconds=lifetime_s)
    root.append(_sign(keys, _assertion(issuer, recipient, subject, (now, expiry))))
    return root


def generate_ecp(saml_response: etree._Element, relay_state_prefix: str) -> etree._Element:
    """The response in the SOAP envelope of the enhanced client or proxy profile."""
    envelope = etree.Element(etree.QName(_SOAP, "Envelope"), nsmap={"soap": _SOAP, "ecp": _ECP})
    header = _add(envelope, _SOAP, "Header")
    relay_state = _add(header, _ECP, "RelayState", relay_state_prefix + clock.new_id())
    relay_state.set(etree.QName(_SOAP, "actor"), _NEXT_ACTOR)
    relay_state.set(etree.QName(_SOAP, "mustUnderstand"), "1")
    _add(envelope, _SOAP, "Body").append(saml_response)
    return envelope


def metadata(entity: Entity, keys: SamlKeys) -> etree._Element:
    """What a service provider needs to know to trust this identity provider."""
    root = etree.Element(
        etree.QName(_METADATA, "EntityDescriptor"), nsmap={"md": _METADATA, "ds": _SIGNATURE}
    )
    _set(root, entityID=entity.entity_id)
    provider = _add(root, _METADATA, "IDPSSODescriptor", protocolSupportEnumeration=_PROTOCOL)
    key_info = _add(
        _add(provider, _METADATA, "KeyDescriptor", use="signing"), _SIGNATURE, "KeyInfo"
    )
    certificate = base64.b64encode(keys.certificate.public_bytes(Encoding.DER)).decode()
    _add(_add(key_info, _SIGNATURE, "X509Data"), _SIGNATURE, "X509Certificate", certificate)
    if entity.organization is not None:
        _add_organization(provider, entity.organization, entity.language)
    if entity.contact is not None:
        _add_contact(provider, entity.contact)
    _add(provider, _METADATA, "NameIDFormat", _TRANSIENT_NAME)
    _add(provider, _METADATA, "SingleSignOnService", Binding=_BY_URI, Location=entity.sso_endpoint)
    return root


def to_xml(root: etree._Element) -> bytes:
    """The document as it goes over the wire. Not indented: that would break the signature."""
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return text


def _assertion(
    issuer: str, recipient: str, subject: Subject, valid: tuple[dt.datetime, dt.datetime]
) -> etree._Element:
    issued, expiry = _instant(valid[0]), _instant(valid[1])
    # Every prefix is declared here: one that is made up later changes what was signed.
    prefixes = {"saml": _SAML, "ds": _SIGNATURE, "xs": _SCHEMA, "xsi": _INSTANCE}
    root = etree.Element(etree.QName(_SAML, "Assertion"), nsmap=prefixes)
    _set(root, ID=_new_id(), Version="2.0", IssueInstant=issued)
    _add_issuer(root, issuer)
    # The schema wants the signature right here; the signer looks for this element.
    _add(root, _SIGNATURE, "Signature", Id="placeholder")
    who = _add(root, _SAML, "Subject")
    _add(who, _SAML, "NameID", subject.user)
    confirmation = _add(who, _SAML, "SubjectConfirmation", Method=_BEARER)
    _add(
        confirmation,
        _SAML,
        "SubjectConfirmationData",
        NotOnOrAfter=expiry,
        Recipient=recipient,
    )
    _add(root, _SAML, "Conditions", NotBefore=issued, NotOnOrAfter=expiry)
    login = _add(
        root,
        _SAML,
        "AuthnStatement",
        AuthnInstant=issued,
        SessionIndex=_new_id(),
        SessionNotOnOrAfter=expiry,
    )
    context = _add(login, _SAML, "AuthnContext")
    _add(context, _SAML, "AuthnContextClassRef", _BY_PASSWORD)
    _add(context, _SAML, "AuthenticatingAuthority", issuer)
    _add_attributes(root, subject)
    return root


def _add_attributes(assertion: etree._Element, subject: Subject) -> None:
    attributes = {
        "openstack_user": (subject.user,),
        "openstack_roles": subject.roles,
        "openstack_project": (subject.project,),
        "openstack_project_domain": (subject.project_domain,),
        "openstack_user_domain": (subject.user_domain,),
        "openstack_groups": tuple(_group(*group) for group in subject.groups),
    }
    statement = _add(assertion, _SAML, "AttributeStatement")
    for name, values in attributes.items():
        if not values:
            continue
        attribute = _add(statement, _SAML, "Attribute", Name=name)
        for value in values:
            element = _add(attribute, _SAML, "AttributeValue", value)
            element.set(etree.QName(_INSTANCE, "type"), "xs:string")


def _group(name: str, domain: str) -> str:
    described = msgspec.json.encode({"name": name, "domain": {"name": domain}}).decode()
    # Whoever receives this splits lists at semicolons: in a name one would end the group there
    # and begin another, of the name's choosing.
    return "JSON:" + described.replace(";", "\\u003b")


def _sign(keys: SamlKeys, assertion: etree._Element) -> etree._Element:
    # Slow to import, and most clouds never assert anything.
    from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
    from signxml.signer import XMLSigner

    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    signed: etree._Element = signer.sign(
        assertion,
        key=keys.key,
        cert=[keys.certificate],
        reference_uri=assertion.get("ID"),
        id_attribute="ID",
    )
    return signed


def _add_issuer(parent: etree._Element, issuer: str) -> None:
    _add(parent, _SAML, "Issuer", issuer, Format=_ENTITY_NAME)


def _add_organization(provider: etree._Element, organization: Organization, language: str) -> None:
    parent = _add(provider, _METADATA, "Organization")
    for tag, text in (
        ("OrganizationName", organization.name),
        ("OrganizationDisplayName", organization.display_name),
        ("OrganizationURL", organization.url),
    ):
        _add(parent, _METADATA, tag, text).set(etree.QName(_XML, "lang"), language)


def _add_contact(provider: etree._Element, contact: Contact) -> None:
    parent = _add(provider, _METADATA, "ContactPerson", contactType=contact.type)
    for tag, text in (
        ("Company", contact.company),
        ("GivenName", contact.given_name),
        ("SurName", contact.surname),
        ("EmailAddress", contact.email),
        ("TelephoneNumber", contact.telephone),
    ):
        _add(parent, _METADATA, tag, text)


def _add(
    parent: etree._Element, namespace: str, tag: str, text: str | None = None, /, **attributes: str
) -> etree._Element:
    element = etree.SubElement(parent, etree.QName(namespace, tag))
    _set(element, **attributes)
    try:
        element.text = text
    except ValueError as error:
        raise NotExpressible(f"{text!r} cannot be written as XML") from error
    return element


def _set(element: etree._Element, /, **attributes: str) -> None:
    for name, value in attributes.items():
        try:
            element.set(name, value)
        except ValueError as error:
            raise NotExpressible(f"{value!r} cannot be written as XML") from error


def _new_id() -> str:
    # An XML id must not begin with a digit.
    return "_" + clock.new_id()


def _instant(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
