"""Who may do what with a project, and the one at which they may."""

from onestack.core.context import Context
from onestack.identity import rules
from onestack.identity.projects.record import ProjectNotFound, ProjectRecord

DOMAIN = "target.project.domain_id"
READ = rules.either(rules.READ, rules.domain_reader(DOMAIN), "project_id:%(target.project.id)s")
WRITE = rules.either(rules.ADMIN, rules.domain_manager(DOMAIN))


def permitted(ctx: Context, project_id: str) -> ProjectRecord:
    """The project with this id, if the operation's rule lets the caller at it.

    Who may not see a project does not learn whether it is there.
    """
    record = ctx.session.get(ProjectRecord, project_id)
    ctx.allow(project={} if record is None else record)
    if record is None:
        raise ProjectNotFound(project_id=project_id)
    return record
