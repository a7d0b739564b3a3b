"""What schemathesis asks of us: a token for every call, real ids, and the judgement.

Started by fuzz.py with SCHEMATHESIS_HOOKS; OS_* variables hold the real administrator's account.
"""

import atexit
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Lock, Timer
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import schemathesis
from fuzz_world import World, judge
from schemathesis.core import NOT_SET

from cloud import account_from_variables

SERVICE = os.environ["FUZZ_SERVICE"]
WORLD = World(account_from_variables(os.environ), SERVICE)
VERSIONED = json.loads(os.environ["FUZZ_VERSION"])  # a service's newest, as [major, minor]; or null
CHANCE = random.Random(int(os.environ["FUZZ_SEED"]))
STATUSES: Counter[int] = Counter()
TROUBLES: dict[str, list[str]] = {}
LOCK = Lock()
EXAMPLES_KEPT = 3
DOOMED, NEWEST, OLDER = 0.3, 0.6, 0.95

schemathesis.serializer.alias(
    [f"application/openstack-images-v2.{minor}-json-patch" for minor in (0, 1)], "application/json"
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Sign the request, and let it reach things that exist."""
    with LOCK:
        WORLD.keep_up()
        method, template = case.method.upper(), case.operation.path
        is_deleted = method == "DELETE"
        for values in (case.path_parameters, case.body):
            if isinstance(values, dict) and method not in {"GET", "HEAD"}:
                WORLD.spare(values, is_deleted)
        if isinstance(case.path_parameters, dict):
            if not is_deleted:
                WORLD.aim(template, case.path_parameters, CHANCE)
            elif CHANCE.random() < DOOMED:
                WORLD.doom(template, case.path_parameters)
        if not is_deleted:
            WORLD.fill(case.body, CHANCE)
            WORLD.fill(case.query, CHANCE)
        case.headers["X-Auth-Token"] = WORLD.token()
        version = some_version()
        if version:
            case.headers["OpenStack-API-Version"] = version


def some_version() -> str:
    """A microversion to ask in: mostly the newest, sometimes an older one, or none."""
    drawn = CHANCE.random()
    if VERSIONED is None or drawn > OLDER:
        return ""
    major, minor = VERSIONED
    return f"{SERVICE} {major}.{minor if drawn < NEWEST else CHANCE.randrange(minor + 1)}"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count and judge the answer."""
    verdict = judge(response.status_code, response.content, response.elapsed)
    with LOCK:
        STATUSES[response.status_code] += 1
        if not verdict.is_sound:
            found = TROUBLES.setdefault(f"{case.operation.label}: {verdict.problem}", [])
            sent = str(case.body)[:300] if case.body is not NOT_SET else ""
            version = case.headers.get("OpenStack-API-Version", "")
            found.append(f"{case.method} {case.formatted_path} {case.query} {version} {sent}")
        if response.status_code == 401:
            WORLD.check_token()
        if case.method.upper() == "POST" and response.status_code < 300:
            WORLD.note(case.formatted_path.partition("%23")[0].partition("#")[0], response.content)


@schemathesis.check
def answer_is_sound(context: Any, response: Any, case: Any) -> None:
    """Lets schemathesis shrink what the judge refuses."""
    verdict = judge(response.status_code, response.content, response.elapsed)
    if not verdict.is_sound:
        raise AssertionError(verdict.problem)


def stop() -> None:
    """End at the deadline: by itself, schemathesis stops only when it has thought out all cases of
    an operation."""
    with LOCK:
        finish()
        os._exit(0)


@atexit.register
def finish() -> None:
    """Write the sums where fuzz.py reads them, and leave nothing behind."""
    result = {
        "statuses": STATUSES,
        "troubles": {label: {"count": len(found), "examples": found[:EXAMPLES_KEPT]}
                     for label, found in TROUBLES.items()},
    }  # fmt: skip
    Path(os.environ["FUZZ_RESULT"]).write_text(json.dumps(result))
    WORLD.clean()


WATCH = Timer(max(0.0, float(os.environ["FUZZ_DEADLINE"]) - time.monotonic()), stop)
WATCH.daemon = True
WATCH.start()
