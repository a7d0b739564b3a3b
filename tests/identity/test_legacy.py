"""What is gone."""

import pytest

from tests.cloud import As, Local


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/OS-SIMPLE-CERT/ca", "/OS-SIMPLE-CERT/certificates"])
def test_certificates_are_gone(local: Local, method: str, path: str) -> None:
    for who in (As(local, None), local.demo, local.admin):
        assert who.ask(method, path).status == 410
    text = "This API is no longer available due to the removal of support for PKI tokens."
    assert local.admin.ask("GET", path).message == text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_list_of_revoked_tokens_is_gone(local: Local, method: str) -> None:
    path = "/auth/tokens/OS-PKI/revoked"
    assert local.admin.ask(method, path).status == 410
    assert local.demo.ask(method, path).status == 403
    assert As(local, None).ask(method, path).status == 401
