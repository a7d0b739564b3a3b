"""What identity keeps in the cloud besides its rows: keys, codec, and threads that hash."""

from collections.abc import Mapping
from pathlib import Path

from onestack.core.context import AuthenticatorSlot, Cloud
from onestack.core.db import Database
from onestack.identity.auth.receipts import ReceiptKeys
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.directory.directories import Directories, Driver
from onestack.identity.federation.saml_keys import SamlKeys
from onestack.identity.keys import JwsKeys, KeyRepository
from onestack.identity.passwords import Hashing
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.codec import Codec, FernetCodec, JwsCodec
from onestack.identity.tokens.validation import Tokens


def wire(cloud: Cloud, keys: Path, directories: Mapping[str, Driver]) -> None:
    """Put identity's parts into the cloud; the keys are made when they are not there.

    `directories` opens the directories of domains, by the driver that their configurations name.
    """
    settings = cloud.get(IdentitySettings)
    tokens = Tokens(cloud.get(Database), _codec(settings, keys))
    cloud.put(tokens)
    cloud.put(AuthenticatorSlot(tokens))
    cloud.put(Hashing())
    kept = settings.fernet_keys_max
    secrets = CredentialKeys(KeyRepository(keys / "credential", kept))
    cloud.put(secrets)
    cloud.put(Directories(cloud.get(Database), secrets, directories))
    cloud.put(ReceiptKeys(KeyRepository(keys / "receipt", kept)))
    cloud.put(SamlKeys(keys / "saml"))


def unwire(cloud: Cloud) -> None:
    """Give back what `wire` took."""
    cloud.get(Hashing).close()


def _codec(settings: IdentitySettings, keys: Path) -> Codec:
    if settings.token_provider == "jws":  # noqa: S105 - a kind of token, no secret
        return JwsCodec(JwsKeys(keys / "jws"))
    return FernetCodec(KeyRepository(keys / "fernet", settings.fernet_keys_max))
