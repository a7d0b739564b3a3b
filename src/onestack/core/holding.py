"""Whether a step of a flow holds the database at this moment; nothing may wait while it does."""

from contextvars import ContextVar

holding: ContextVar[bool] = ContextVar("holding", default=False)
