"""The rule language of policy files: from text to a tree of checks."""

import re
from collections.abc import Iterator, Sequence

import msgspec

# Rules written by people nest three or four deep; the limit keeps every later walk over a tree,
# ours and SQLAlchemy's, far from the interpreter's stack limit.
MAX_DEPTH = 50


class PolicyError(ValueError):
    """A set of rules that cannot be used."""


class PolicySyntaxError(PolicyError):
    """A rule that cannot be read."""

    def __init__(self, problem: str, text: object, position: int = 0, rule: str | None = None):
        self.problem, self.text, self.position, self.rule = problem, text, position, rule
        where = f"policy rule {rule!r}: " if rule else "policy rule: "
        super().__init__(f"{where}{problem} at character {position + 1} of {_shortened(text)}")


class Constant(msgspec.Struct, frozen=True):
    """`@` and the empty rule allow everyone, `!` nobody."""

    allowed: bool


class HasRole(msgspec.Struct, frozen=True):
    """`role:NAME`; the name is kept in lower case, as roles compare without case."""

    role: str


class Reference(msgspec.Struct, frozen=True):
    """`rule:NAME`."""

    rule: str


class CredentialIs(msgspec.Struct, frozen=True):
    """`attribute:literal`."""

    path: tuple[str, ...]
    text: str


class CredentialIsTarget(msgspec.Struct, frozen=True):
    """`attribute:%(target.attribute)s`."""

    path: tuple[str, ...]
    attribute: str


class TargetIs(msgspec.Struct, frozen=True):
    """`'literal':%(target.attribute)s`; the text is None for the literal None."""

    attribute: str
    text: str | None


class Negation(msgspec.Struct, frozen=True):
    """`not CHECK`."""

    part: "Check"


class Every(msgspec.Struct, frozen=True):
    """`CHECK and CHECK ...`."""

    parts: tuple["Check", ...]


class Either(msgspec.Struct, frozen=True):
    """`CHECK or CHECK ...`."""

    parts: tuple["Check", ...]


Leaf = Constant | HasRole | Reference | CredentialIs | CredentialIsTarget | TargetIs
Check = Leaf | Negation | Every | Either


def parse(text: object) -> Check:
    """Read a rule: a text, or the lists of lists that old policy files hold."""
    if text == "":
        return Constant(True)
    if isinstance(text, str):
        return _Reader(text).whole()
    if isinstance(text, Sequence):
        return _read_lists(text)
    raise PolicySyntaxError('a rule is a text ("" allows everyone), not this,', text)


def leaves(check: Check, depth: int = 1) -> Iterator[tuple[Leaf, int]]:
    """Every leaf of a tree, with how deep it lies."""
    match check:
        case Every(parts) | Either(parts):
            for part in parts:
                yield from leaves(part, depth + 1)
        case Negation(part):
            yield from leaves(part, depth + 1)
        case _:
            yield check, depth


class _Token(msgspec.Struct, frozen=True):
    kind: str  # one of: ( ) and or not check end
    text: str
    position: int


class _Reader:
    """Recursive descent: `or` binds loosest, then `and`, then `not`."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = _tokens(text)
        self.token = next(self.tokens)
        self.depth = 0

    def whole(self) -> Check:
        check = self.either()
        if self.token.kind != "end":
            raise self.error(f"{_shortened(self.token.text)} follows a rule that is complete")
        return check

    def either(self) -> Check:
        parts = [self.every()]
        while self.skip("or"):
            parts.append(self.every())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def every(self) -> Check:
        parts = [self.single()]
        while self.skip("and"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def single(self) -> Check:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"the rule nests deeper than {MAX_DEPTH} levels")
        check = self.nested()
        self.depth -= 1
        return check

    def nested(self) -> Check:
        if self.skip("not"):
            return Negation(self.single())
        if self.skip("("):
            check = self.either()
            if not self.skip(")"):
                raise self.error("a closing parenthesis is missing")
            return check
        token = self.token
        if not self.skip("check"):
            found = token.text if token.kind != "end" else "the end"
            raise self.error(f"expected a check, found {_shortened(found)},")
        return _read_check(token.text, self.text, token.position)

    def skip(self, kind: str) -> bool:
        if self.token.kind != kind:
            return False
        self.token = next(self.tokens)
        return True

    def error(self, problem: str) -> PolicySyntaxError:
        return PolicySyntaxError(problem, self.text, self.token.position)


def _tokens(text: str) -> Iterator[_Token]:
    """Split at blanks, then take parentheses off both ends of a word: `%(name)s` keeps its own."""
    for found in re.finditer(r"\S+", text):
        position, stop = found.span()
        while position < stop and text[position] == "(":
            yield _Token("(", "(", position)
            position += 1
        word = text[position:stop].rstrip(")")
        if word:
            operator = word.lower()
            kind = operator if operator in {"and", "or", "not"} else "check"
            yield _Token(kind, word, position)
        for closing in range(position + len(word), stop):
            yield _Token(")", ")", closing)
    end = _Token("end", "", len(text))
    while True:
        yield end


_CHECK = re.compile(r"""("[^"]*"|'[^']*'|[^:]+):(.+)""", re.DOTALL)
_PLACEHOLDER = re.compile(r"%\(([^()%\s]+)\)s")
_LITERAL = re.compile(r"""True|False|None|[-+]?\d+(\.\d+)?|"[^"]*"|'[^']*'""")
_ATTRIBUTE = re.compile(r"[\w-]+(\.[\w-]+)*")


def _read_check(text: str, whole: object, position: int) -> Check:
    """Read one check, the part of a rule between its operators."""
    if text in {"@", "!"}:
        return Constant(text == "@")
    found = _CHECK.fullmatch(text)
    if found is None:
        raise PolicySyntaxError(f"{_shortened(text)} is not a check (kind:match)", whole, position)
    kind, match = found.groups()
    if kind in {"http", "https"}:
        raise PolicySyntaxError(f"{kind}: checks are not supported; found one", whole, position)
    placeholder = _PLACEHOLDER.fullmatch(match)
    if "%" in match and (placeholder is None or kind in {"role", "rule"}):
        problem = f"{_shortened(text)} may hold only kind:text or kind:%(attribute)s; found"
        raise PolicySyntaxError(problem, whole, position)
    if kind == "role":
        return HasRole(match.lower())
    if kind == "rule":
        return Reference(match)
    if _LITERAL.fullmatch(kind):
        literal = kind[1:-1] if kind[0] in "'\"" else kind
        if placeholder is None:
            return Constant(literal == match)
        return TargetIs(placeholder[1], None if kind == "None" else literal)
    if not _ATTRIBUTE.fullmatch(kind):
        problem = f"{_shortened(kind)} is neither a credential's name nor a literal"
        raise PolicySyntaxError(problem, whole, position)
    path = tuple(kind.split("."))
    return CredentialIsTarget(path, placeholder[1]) if placeholder else CredentialIs(path, match)


def _read_lists(rows: Sequence[object]) -> Check:
    """Read [["a", "b"], ["c"]]: (a and b) or c. Empty rows say nothing; no row at all allows."""
    if not rows:
        return Constant(True)
    return Either(tuple(_read_row(row, rows) for row in rows if row))


def _read_row(row: object, whole: object) -> Check:
    checks = [row] if isinstance(row, str) else row
    if not isinstance(checks, Sequence):
        raise PolicySyntaxError(f"{_shortened(row)} is not a list of checks", whole)
    parts = []
    for check in checks:
        if not isinstance(check, str):
            raise PolicySyntaxError(f"{_shortened(check)} is not a check", whole)
        parts.append(_read_check(check, whole, 0))
    return Every(tuple(parts))


def _shortened(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 200 else f"{shown[:150]}... ({len(shown)} characters)"
