"""Conditions on a list of values that is one parameter, however long it is."""

from typing import Any

from sqlalchemy import JSON, ColumnElement, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import SQLColumnExpression
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Listed(FunctionElement[Any]):
    """The values of a parameter that is a list of texts."""

    name = "listed"
    inherit_cache = True


def among(column: SQLColumnExpression[Any], parameter: str) -> ColumnElement[bool]:
    """Whether a column of text has one of the values of a parameter.

    Beside `IN` with a parameter for each value, the statement stays the same: it is put together
    once, and a thousand values cost a tenth.
    """
    return column.op("IN", is_comparison=True)(_Listed(bindparam(parameter, type_=JSON)))


@compiles(_Listed, "sqlite")
def _sqlite(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"  # noqa: S608


@compiles(_Listed, "postgresql")
def _postgresql(element: _Listed, compiler: SQLCompiler, **options: Any) -> str:
    given = compiler.process(element.clauses, **options)
    return f"(SELECT jsonb_array_elements_text(CAST({given} AS JSONB)))"
