"""What is secret in the database is written with keys that are not in it."""

from cryptography.fernet import InvalidToken

from onestack.core.errors import InternalError
from onestack.identity.keys import KeyRepository


class BlobUnreadable(InternalError):
    message = "A credential was encrypted with a key that is not in the data folder any more."


class CredentialKeys:
    """Encrypts and decrypts the blobs of credentials."""

    def __init__(self, repository: KeyRepository) -> None:
        self.repository = repository

    def encrypt(self, blob: str) -> str:
        return self.repository.fernet.encrypt(blob.encode("utf-8", "surrogatepass")).decode()

    def decrypt(self, encrypted: str) -> str:
        try:
            content = self.repository.fernet.decrypt(encrypted)
        except InvalidToken:
            raise BlobUnreadable from None
        return content.decode("utf-8", "surrogatepass")
