"""The log of usage audits: there are none here, for usage is a question to the rows; it says so."""

import datetime as dt

from onestack.compute import rules, services
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape

api = Operations("usage audits")

PATH = "/v2.1/os-instance_usage_audit_log"
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")


class BadMoment(BadRequest):
    message = "Invalid timestamp for date {text}"


class AuditView(Shape):
    """How far an audit of a month has come."""

    period_beginning: str
    period_ending: str
    num_hosts: int
    hosts_not_run: list[str]
    num_hosts_not_run: int
    overall_status: str
    num_hosts_done: int = 0
    num_hosts_running: int = 0
    total_instances: int = 0
    total_errors: int = 0
    log: dict[str, str] = {}


@api.get(
    PATH,
    rules.rule("os-instance-usage-audit-log:list"),
    key="instance_usage_audit_logs",
    kept=False,
)
def index(ctx: Context) -> AuditView:
    """Show the audit of the last month."""
    return _view(ctx, clock.now())


@api.get(
    f"{PATH}/{{before}}",
    rules.rule("os-instance-usage-audit-log:show"),
    key="instance_usage_audit_log",
    kept=False,
)
def show(ctx: Context, before: str) -> AuditView:
    """Show the audit of the last month before a moment."""
    for each in FORMATS:
        try:
            # In UTC, as everywhere in this API.
            return _view(ctx, dt.datetime.strptime(before, each))
        except ValueError:
            continue
    raise BadMoment(text=before[:80])


def _view(ctx: Context, before: dt.datetime) -> AuditView:
    ending = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    beginning = (ending - dt.timedelta(days=1)).replace(day=1)
    hosts = [each.node.host for each in services.computes(ctx.session)]
    return AuditView(
        period_beginning=str(beginning),
        period_ending=str(ending),
        num_hosts=len(hosts),
        hosts_not_run=hosts,
        num_hosts_not_run=len(hosts),
        overall_status=f"0 of {len(hosts)} hosts done. 0 errors.",
    )
