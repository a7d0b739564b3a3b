"""Keys are rotated: those for tokens by themselves, those for secrets at rest by an operator."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import insert, select, update

from onestack.core import clock
from onestack.core.db import Database
from onestack.core.engine import Engine
from onestack.core.flow_record import FlowRecord
from onestack.identity import key_rotation
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.credentials.record import CredentialRecord
from onestack.identity.domain_options import DomainConfigRecord, settings_for
from onestack.identity.key_rotation import (
    SECRETS,
    SecretsUnreadable,
    rotate_credential_keys,
    rotate_old_token_keys,
)
from onestack.identity.keys import KeyRepository
from onestack.identity.settings import IdentitySettings
from tests.cloud import Local
from tests.conftest import Clouds
from tests.identity.consumers import Consumer, authorize
from tests.identity.programs import Person, ec2

HOUR_S = 3600
WEEK_S = 7 * 24 * HOUR_S


class PowerCut(BaseException):
    """Stands for the machine going down: nothing may catch it and carry on."""


def numbers(folder: Path) -> set[int]:
    return {int(path.name) for path in folder.iterdir() if path.name.isdigit()}


def grow_older(folder: Path, seconds: float) -> None:
    """Let the last rotation have been that long ago."""
    then = (clock.now() - dt.timedelta(seconds=seconds)).replace(tzinfo=dt.UTC).timestamp()
    os.utime(folder / "0", (then, then))


@pytest.mark.parametrize(
    ("settings", "age_s", "is_rotated"),
    [
        ({}, WEEK_S - HOUR_S, False),
        ({}, WEEK_S + 1, True),
        ({"fernet_rotation_s": 60}, HOUR_S - 10, False),  # a token lives an hour
        ({"fernet_rotation_s": 60}, HOUR_S + 1, True),
        ({"fernet_rotation_s": 60, "fernet_keys_max": 12}, HOUR_S / 10 + 1, True),
        ({"fernet_rotation_s": 0}, 100 * WEEK_S, False),
        ({"token_provider": "jws"}, 100 * WEEK_S, False),
    ],
)
def test_old_token_keys_are_rotated(
    tmp_path: Path, settings: dict[str, object], age_s: float, is_rotated: bool
) -> None:
    keys = KeyRepository(tmp_path / "fernet", 3)
    staged = keys.all[-1]
    grow_older(tmp_path / "fernet", age_s)
    chosen = msgspec.convert(settings, IdentitySettings)
    rotate_old_token_keys(chosen, tmp_path)
    rotate_old_token_keys(chosen, tmp_path)
    assert numbers(tmp_path / "fernet") == ({0, 1, 2} if is_rotated else {0, 1})
    assert (keys.primary == staged) is is_rotated


def test_a_cloud_rotates_its_token_keys_by_itself(fresh: Local) -> None:
    before = fresh.token("admin")
    folder = fresh.data / "keys" / "fernet"
    grow_older(folder, 2 * WEEK_S)
    engine = fresh.cloud.get(Engine)
    engine.prepare()
    with engine.database.transaction() as session:
        session.execute(update(FlowRecord).values(due_at=clock.now()))
    engine.run_until_idle()
    assert numbers(folder) == {0, 1, 2}
    after = fresh.login("admin", fresh.accounts["admin"]["password"]).headers["x-subject-token"]
    encrypting = Fernet((folder / "2").read_bytes())
    assert encrypting.decrypt(after + "=" * (-len(after) % 4))
    with pytest.raises(InvalidToken):
        encrypting.decrypt(before + "=" * (-len(before) % 4))
    assert fresh.ask("GET", "/identity/v3/projects", token=before).status == 200


class Keeper:
    """A cloud that holds secrets of every kind."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.keys, self.folder = local.data / "keys", local.data / "keys" / "credential"
        self.database = local.cloud.get(Database)
        person = Person(local, "keeper", ("admin", "member"))
        made = local.admin.post("/credentials", {"credential": ec2(person, "kept")})["credential"]
        self.credential: str = made["id"]
        self.blob: str = made["blob"]
        self.acting = Consumer(local)
        self.acting.obtain(person, "member")
        self.waiting = Consumer(local)
        self.waiting.take(self.waiting.request(person.project))
        self.verifier = authorize(person.me, self.waiting.token["oauth_token"], "member")
        ldap = {"url": "ldap://127.0.0.1:1", "password": "kept"}
        local.admin.put("/domains/default/config", {"config": {"ldap": ldap}}, status=201)

    def rotate(self) -> int:
        return rotate_credential_keys(self.database, IdentitySettings(), self.keys)

    def secrets(self) -> list[str]:
        option = select(DomainConfigRecord.value).where(DomainConfigRecord.option == "password")
        with self.database.transaction(write=False) as session:
            return [session.scalars(option).one()["encrypted"]] + [
                each for column in SECRETS
                for each in session.scalars(select(column).where(column.is_not(None)))
            ]  # fmt: skip

    def check(self) -> None:
        """Everything can be used as before."""
        shown = self.local.admin.get(f"/credentials/{self.credential}")["credential"]
        assert shown["blob"] == self.blob
        self.acting.acting.get("/auth/projects")
        keys = self.local.cloud.get(CredentialKeys)
        with self.database.transaction(write=False) as session:
            assert settings_for(session, keys, "default")["ldap"]["password"] == "kept"


@pytest.fixture
def keeper(fresh: Local) -> Keeper:
    return Keeper(fresh)


def test_every_secret_gets_the_new_key(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 1)
    assert keeper.rotate() == len(keeper.secrets()) == 7
    assert numbers(keeper.folder) == {0, 1, 2}
    primary = Fernet((keeper.folder / "2").read_bytes())
    assert all(primary.decrypt(each) for each in keeper.secrets())
    keeper.check()
    keeper.waiting.take(keeper.waiting.exchange(keeper.verifier))
    keeper.rotate()
    assert numbers(keeper.folder) == {0, 2, 3}
    keeper.check()


@pytest.mark.parametrize("cut", [0, 1, 3, 5])
def test_it_may_be_cut_short_again_and_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    for _ in range(4):
        with monkeypatch.context() as patch:
            patch.setattr(key_rotation, "_replace", _until_power_fails(cut))
            with pytest.raises(PowerCut):
                keeper.rotate()
        keeper.check()
        KeyRepository(keeper.folder, 3)  # a process that starts must not drop what is needed
    keeper.check()
    keeper.rotate()
    assert len(numbers(keeper.folder)) == 3
    primary = Fernet((keeper.folder / str(max(numbers(keeper.folder)))).read_bytes())
    assert all(primary.decrypt(each) for each in keeper.secrets())


def test_a_process_that_starts_amid_a_rotation_drops_no_key(keeper: Keeper) -> None:
    repository = KeyRepository(keeper.folder, 3)
    for _ in range(3):
        repository.rotate(prune=False)
    (keeper.folder / "0").unlink()  # the power failed before the next key was staged
    KeyRepository(keeper.folder, 3)
    assert numbers(keeper.folder) == {0, 1, 2, 3, 4}
    keeper.check()


def test_a_secret_that_was_changed_meanwhile_stays_changed(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = key_rotation._replace

    def replace(*arguments: object) -> None:
        blob = {"access": "kept", "secret": "changed"}
        keeper.blob = msgspec.json.encode(blob).decode()
        path = f"/credentials/{keeper.credential}"
        keeper.local.admin.patch(path, {"credential": {"blob": keeper.blob}})
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(key_rotation, "_replace", replace)
    keeper.rotate()
    keeper.check()


def test_what_was_encrypted_just_before_a_rotation_stays_readable(keeper: Keeper) -> None:
    late = KeyRepository(keeper.folder, 3).fernet.encrypt(keeper.blob.encode()).decode()
    keeper.rotate()
    with keeper.database.transaction() as session:
        session.execute(update(CredentialRecord).values(encrypted_blob=late))
    keeper.check()
    keeper.rotate()
    keeper.check()


def test_no_key_goes_while_a_secret_fits_none(keeper: Keeper) -> None:
    lost = Fernet(Fernet.generate_key()).encrypt(b"lost").decode()
    with keeper.database.transaction() as session:
        owner = session.scalars(select(CredentialRecord.user_id)).one()
        row = {"id": "0" * 64, "user_id": owner, "type": "cert", "encrypted_blob": lost}
        session.execute(insert(CredentialRecord).values(extra={}, **row))
    for _ in range(3):
        with pytest.raises(SecretsUnreadable, match="1 secrets fit no key, of credentials 000"):
            keeper.rotate()
    assert numbers(keeper.folder) == {0, 1, 2, 3, 4}
    keeper.check()


def test_no_key_goes_while_a_directorys_password_fits_none(keeper: Keeper) -> None:
    lost = {"encrypted": Fernet(Fernet.generate_key()).encrypt(b"lost").decode()}
    password = update(DomainConfigRecord).where(DomainConfigRecord.option == "password")
    with keeper.database.transaction() as session:
        session.execute(password.values(value=lost))
    for _ in range(3):
        with pytest.raises(SecretsUnreadable, match="1 secrets fit no key, of domain_config def"):
            keeper.rotate()
    assert numbers(keeper.folder) == {0, 1, 2, 3, 4}


def test_a_secret_that_was_stored_readable_is_encrypted(keeper: Keeper) -> None:
    password = update(DomainConfigRecord).where(DomainConfigRecord.option == "password")
    with keeper.database.transaction() as session:
        session.execute(password.values(value={"value": "kept"}))
    keeper.check()
    assert keeper.rotate() == len(keeper.secrets())
    keeper.check()


@pytest.mark.parametrize("setting", ["FERNET_KEYS_MAX=2", "FERNET_ROTATION_S=-1"])
def test_settings_that_would_void_tokens_are_refused(another: Clouds, setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(Exception, match="identity"):
        another(**{f"ONESTACK_IDENTITY_{name}": value})


def _until_power_fails(count: int) -> Callable[..., None]:
    real, done = key_rotation._replace, [0]

    def replace(*arguments: object) -> None:
        if done[0] >= count:
            raise PowerCut
        done[0] += 1
        real(*arguments)  # type: ignore[arg-type]

    return replace
