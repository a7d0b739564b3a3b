"""OSSA-2024-003 (CVE-2024-44082): malformed images reach a program that trusts them.

No program is ever started for an upload: the inspection is our own, and ends whatever comes. That
it holds for hundreds of malformed images is tests/image/test_inspection.py; here some go through
the whole service.
"""

import random
import subprocess
from typing import Any

import pytest

from tests.cloud import Local
from tests.image import actors, disks

IMAGES = 60


def test_no_program_is_started_for_an_upload(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*arguments: Any, **_: Any) -> None:
        pytest.fail(f"a program was started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr("os.posix_spawn", started)
    monkeypatch.setattr("os.fork", started)
    demo = actors.demo(local)
    chance = random.Random(20240903)
    samples = [(name, disk) for name, known in disks.SOUND.items() for disk in known]
    ends = set()
    for _ in range(IMAGES):
        disk_format, disk = chance.choice(samples)
        broken = bytearray(disk)
        for _ in range(chance.randrange(6)):
            if broken:
                broken[chance.randrange(min(len(broken), 1024))] = chance.randrange(256)
        image = demo.make(disk_format=disk_format)
        headers = {"content-type": "application/octet-stream"}
        answer = demo.ask("PUT", f"/images/{image['id']}/file", bytes(broken), **headers)
        ends.add(answer.status)
        demo.delete(f"/images/{image['id']}")
    assert ends == {204, 400}
