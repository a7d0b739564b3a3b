"""What this cloud asserts about its users: signed, on time, and safe from hostile names."""

import base64
import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree
from signxml.exceptions import InvalidDigest, InvalidInput, InvalidSignature
from signxml.verifier import XMLVerifier

from onestack.core import clock
from onestack.identity.federation.mapping_rules import MappedDomain, evaluate, validate
from onestack.identity.federation.saml import (
    Contact,
    Entity,
    NotExpressible,
    Organization,
    SamlKeys,
    Subject,
    generate_ecp,
    metadata,
    response,
    to_xml,
)

NAMES = {
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "ecp": "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp",
}
ISSUER = "https://cloud.example/v3/OS-FEDERATION/saml2/idp"
RECIPIENT = "https://other.example/Shibboleth.sso/SAML2/ECP"
JANE = Subject(
    user="jane",
    user_domain="Default",
    roles=("member", "reader"),
    project="development",
    project_domain="Acme",
    groups=(("ops", "Default"),),
)
HOSTILE = '"><evil xmlns="x">&amp;<!-- ]]> <![CDATA[ &xxe; \' {0} é 李'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SamlKeys:
    return SamlKeys(tmp_path_factory.mktemp("saml"))


def read(xml: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(xml, parser)


def texts(root: etree._Element, path: str) -> list[str]:
    found = root.xpath(path, namespaces=NAMES)
    return [item if isinstance(item, str) else item.text for item in found]


def attributes(root: etree._Element) -> dict[str, list[str]]:
    return {
        attribute.get("Name"): [value.text for value in attribute]
        for attribute in root.xpath("//saml:Attribute", namespaces=NAMES)
    }


def verified(xml: bytes, keys: SamlKeys) -> etree._Element:
    result = XMLVerifier().verify(read(xml), x509_cert=keys.certificate, id_attribute="ID")
    assert not isinstance(result, list)
    assert result.signed_xml is not None
    return result.signed_xml


def test_the_signature_covers_the_whole_assertion(keys: SamlKeys) -> None:
    signed = verified(to_xml(response(keys, ISSUER, RECIPIENT, JANE)), keys)
    assert etree.QName(signed).localname == "Assertion"
    assert attributes(signed) == {
        "openstack_user": ["jane"],
        "openstack_user_domain": ["Default"],
        "openstack_roles": ["member", "reader"],
        "openstack_project": ["development"],
        "openstack_project_domain": ["Acme"],
        "openstack_groups": ['JSON:{"name":"ops","domain":{"name":"Default"}}'],
    }
    assert texts(signed, "./saml:Subject/saml:NameID") == ["jane"]
    assert texts(signed, "./saml:Issuer") == [ISSUER]
    assert texts(signed, ".//@Recipient") == [RECIPIENT]


def test_the_signature_survives_the_soap_envelope(keys: SamlKeys) -> None:
    plain = response(keys, ISSUER, RECIPIENT, JANE)
    xml = to_xml(generate_ecp(plain, "ss:mem:"))
    assert attributes(verified(xml, keys))["openstack_user"] == ["jane"]
    root = read(xml)
    (state,) = root.xpath("/soap:Envelope/soap:Header/ecp:RelayState", namespaces=NAMES)
    assert state.text.startswith("ss:mem:")
    assert len(state.text) == len("ss:mem:") + 32
    assert state.get(f"{{{NAMES['soap']}}}mustUnderstand") == "1"
    assert state.get(f"{{{NAMES['soap']}}}actor") == "http://schemas.xmlsoap.org/soap/actor/next"
    (body,) = root.xpath("/soap:Envelope/soap:Body/samlp:Response", namespaces=NAMES)
    assert body.get("Destination") == RECIPIENT


def test_the_parts_stand_in_the_order_of_the_schema(keys: SamlKeys) -> None:
    root = response(keys, ISSUER, RECIPIENT, JANE)
    assert [etree.QName(part).localname for part in root] == ["Issuer", "Status", "Assertion"]
    assert [etree.QName(part).localname for part in root[2]] == [
        "Issuer",
        "Signature",
        "Subject",
        "Conditions",
        "AuthnStatement",
        "AttributeStatement",
    ]
    assert texts(root, "./samlp:Status/samlp:StatusCode/@Value") == [
        "urn:oasis:names:tc:SAML:2.0:status:Success"
    ]


def test_a_user_without_groups_has_no_attribute_for_them(keys: SamlKeys) -> None:
    alone = Subject("jane", "Default", ("member",), "p", "Default")
    assert "openstack_groups" not in attributes(response(keys, ISSUER, RECIPIENT, alone))


def test_times_are_those_of_the_clock(keys: SamlKeys) -> None:
    before = clock.now().replace(microsecond=0)
    root = response(keys, ISSUER, RECIPIENT, JANE, lifetime_s=600)
    after = clock.now()
    (issued,) = set(texts(root, "//@IssueInstant | //@AuthnInstant | //@NotBefore"))
    (expiry,) = set(texts(root, "//@NotOnOrAfter | //@SessionNotOnOrAfter"))
    begins = dt.datetime.strptime(issued, "%Y-%m-%dT%H:%M:%SZ")
    ends = dt.datetime.strptime(expiry, "%Y-%m-%dT%H:%M:%SZ")
    assert before <= begins <= after
    assert ends - begins == dt.timedelta(seconds=600)
    assert len(texts(root, "//@NotOnOrAfter")) == 2


def test_every_response_has_ids_of_its_own(keys: SamlKeys) -> None:
    found = [
        identifier
        for _ in range(2)
        for identifier in texts(response(keys, ISSUER, RECIPIENT, JANE), "//@ID | //@SessionIndex")
    ]
    assert len(found) == len(set(found)) == 6
    assert all(identifier[0] == "_" for identifier in found)


@pytest.mark.parametrize(
    ("honest", "forged"),
    [
        (b">jane<", b">root<"),
        (b">member<", b">admin<"),
        (b">Acme<", b">Evil<"),
        (RECIPIENT.encode(), b"https://evil.example/Shibboleth.sso/SAML2/ECP_"),
        (b'Name="openstack_user"', b'Name="openstack_role"'),
        (b'NotOnOrAfter="2', b'NotOnOrAfter="9'),
    ],
)
def test_tampering_is_found(keys: SamlKeys, honest: bytes, forged: bytes) -> None:
    xml = to_xml(response(keys, ISSUER, RECIPIENT, JANE))
    assert honest in xml
    assert verified(xml, keys) is not None
    with pytest.raises((InvalidDigest, InvalidSignature)):
        verified(xml.replace(honest, forged), keys)


def test_a_signature_that_is_changed_or_gone_is_found(keys: SamlKeys) -> None:
    xml = to_xml(response(keys, ISSUER, RECIPIENT, JANE))
    assert verified(xml, keys) is not None
    root = read(xml)
    (value,) = root.xpath("//ds:SignatureValue", namespaces=NAMES)
    honest = base64.b64decode(value.text)
    value.text = base64.b64encode(honest[:-1] + bytes([honest[-1] ^ 1])).decode()
    with pytest.raises(InvalidSignature):
        verified(etree.tostring(root), keys)
    signature = value.getparent()
    signature.getparent().remove(signature)
    with pytest.raises(InvalidInput):
        verified(etree.tostring(root), keys)


def test_another_clouds_key_is_not_accepted(keys: SamlKeys, tmp_path: Path) -> None:
    theirs = SamlKeys(tmp_path)
    xml = to_xml(response(theirs, ISSUER, RECIPIENT, JANE))
    assert verified(xml, theirs) is not None
    with pytest.raises(InvalidSignature):
        verified(xml, keys)


def test_hostile_names_stay_names(keys: SamlKeys) -> None:
    subject = Subject(HOSTILE, HOSTILE, (HOSTILE,), HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),))
    xml = to_xml(generate_ecp(response(keys, HOSTILE, HOSTILE, subject), HOSTILE))
    signed = verified(xml, keys)
    found = attributes(signed)
    for name in ("user", "user_domain", "roles", "project", "project_domain"):
        assert found[f"openstack_{name}"] == [HOSTILE]
    (group,) = found["openstack_groups"]
    assert json.loads(group.removeprefix("JSON:")) == {
        "name": HOSTILE,
        "domain": {"name": HOSTILE},
    }
    assert read(xml).xpath("//*[local-name()='evil']") == []


@pytest.mark.parametrize("name", ["a\0b", "a\x01b", "a\x1fb", "a\ufffeb", "a\ud800b"])
def test_names_that_xml_cannot_hold_are_refused(keys: SamlKeys, name: str) -> None:
    with pytest.raises(NotExpressible):
        response(keys, ISSUER, RECIPIENT, Subject(name, "d", ("r",), "p", "d"))
    with pytest.raises(NotExpressible):
        response(keys, ISSUER, name, JANE)


def test_a_group_name_does_not_become_two_groups_at_the_receiver(keys: SamlKeys) -> None:
    sly = 'x;JSON:{"name":"admins","domain":{"id":"default"}}'
    subject = Subject("jane", "Default", ("r",), "p", "d", ((sly, "D;1"), ("ops", "Default")))
    asserted = {
        name: ";".join(values)
        for name, values in attributes(response(keys, ISSUER, RECIPIENT, subject)).items()
    }
    rules = validate(
        [
            {
                "local": [{"user": {"name": "{0}"}}, {"groups": "{1}"}],
                "remote": [{"type": "openstack_user"}, {"type": "openstack_groups"}],
            }
        ]
    )
    groups = evaluate(rules, asserted, "k2k").group_names
    assert [(group.name, group.domain) for group in groups] == [
        (sly, MappedDomain(name="D;1")),
        ("ops", MappedDomain(name="Default")),
    ]


def test_metadata_publish_the_certificate(keys: SamlKeys) -> None:
    entity = Entity(
        ISSUER,
        "https://cloud.example/sso?a=1&b=2",
        organization=Organization("acme", 'Acme <"&"> Inc', "https://acme.example"),
        contact=Contact("Acme", "Jane", "Doe", "jane@acme.example", "+1", "technical"),
    )
    root = read(to_xml(metadata(entity, keys)))
    assert root.tag == f"{{{NAMES['md']}}}EntityDescriptor"
    assert root.get("entityID") == ISSUER
    (provider,) = root
    assert [etree.QName(part).localname for part in provider] == [
        "KeyDescriptor",
        "Organization",
        "ContactPerson",
        "NameIDFormat",
        "SingleSignOnService",
    ]
    assert provider[4].get("Location") == "https://cloud.example/sso?a=1&b=2"
    assert texts(root, "//md:OrganizationDisplayName") == ['Acme <"&"> Inc']
    assert texts(root, "//md:ContactPerson/@contactType") == ["technical"]
    (published,) = texts(root, "//md:KeyDescriptor[@use='signing']//ds:X509Certificate")
    armoured = f"-----BEGIN CERTIFICATE-----\n{published}\n-----END CERTIFICATE-----\n"
    xml = to_xml(response(keys, ISSUER, RECIPIENT, JANE))
    verifier = XMLVerifier()
    assert verifier.verify(read(xml), x509_cert=armoured, id_attribute="ID")


def test_metadata_need_no_organization_and_no_contact(keys: SamlKeys) -> None:
    root = metadata(Entity(ISSUER, "https://cloud.example/sso"), keys)
    assert [etree.QName(part).localname for part in root[0]] == [
        "KeyDescriptor",
        "NameIDFormat",
        "SingleSignOnService",
    ]


def test_keys_last_and_belong_to_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = SamlKeys(folder).certificate
    again = SamlKeys(folder)
    assert again.certificate == first
    assert again.key.public_key() == first.public_key()
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    now = clock.now().replace(tzinfo=dt.UTC)
    assert first.not_valid_before_utc < now
    assert first.not_valid_after_utc > now + dt.timedelta(days=3000)


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: SamlKeys(tmp_path).certificate, range(3)))
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1
