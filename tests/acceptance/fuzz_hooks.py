"""What schemathesis asks of us: a token for every call, real ids, and the judgement.

Started by fuzz.py with SCHEMATHESIS_HOOKS; OS_* variables hold the real administrator's account.
"""

import atexit
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import schemathesis
from fuzz_world import World, judge

from cloud import account_from_variables

WORLD = World(account_from_variables(os.environ))
CHANCE = random.Random(int(os.environ["FUZZ_SEED"]))
STATUSES: Counter[int] = Counter()
TROUBLES: dict[str, list[str]] = {}
LOCK = Lock()
EXAMPLES_KEPT = 3


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Sign the request, and let it reach things that exist."""
    with LOCK:
        is_deleted = case.method.upper() == "DELETE"
        for values in (case.path_parameters, case.body):
            if isinstance(values, dict) and case.method.upper() not in {"GET", "HEAD"}:
                WORLD.spare(values, is_deleted)
            if isinstance(values, dict) and not is_deleted:
                WORLD.fill(values, CHANCE)
        case.headers["X-Auth-Token"] = WORLD.token()


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count and judge the answer."""
    verdict = judge(response.status_code, response.content, response.elapsed)
    with LOCK:
        STATUSES[response.status_code] += 1
        if not verdict.is_sound:
            found = TROUBLES.setdefault(f"{case.operation.label}: {verdict.problem}", [])
            found.append(f"{case.method} {case.formatted_path} {str(case.body)[:300]}")
        if response.status_code == 401:
            WORLD.check_token()


@schemathesis.check
def answer_is_sound(context: Any, response: Any, case: Any) -> None:
    """Lets schemathesis shrink what the judge refuses."""
    verdict = judge(response.status_code, response.content, response.elapsed)
    if not verdict.is_sound:
        raise AssertionError(verdict.problem)


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
