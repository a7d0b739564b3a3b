"""Regular expressions that answer in linear time, for patterns and texts that nobody vouches for.

Python's own engine backtracks: a few characters of pattern can keep it busy for years. Here all
readings of a text advance together, one character at a time, so the cost is at most the size of
the pattern times the length of the text. What that method cannot do (looking around, referring
back, possessive repeats) is refused when the pattern is read.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import lru_cache

import msgspec

LONGEST_PATTERN = 512
DEEPEST_NESTING = 20
MOST_STATES = 500
_CACHED_STEPS = 2000


class PatternRefused(ValueError):
    """A regular expression that is malformed, too big, or needs backtracking."""


class Place(Enum):
    """A position in a text that a pattern may insist on."""

    START = "\\A"
    END = "\\Z"
    LINE_END = "$"
    BOUNDARY = "\\b"
    NO_BOUNDARY = "\\B"


Test = Callable[[str], object]


class Character(msgspec.Struct, frozen=True):
    """One character that passes a test."""

    test: Test


class At(msgspec.Struct, frozen=True):
    """No character, at a certain place."""

    place: Place


class Sequence(msgspec.Struct, frozen=True):
    """One part after the other."""

    parts: tuple["Node", ...]


class Choice(msgspec.Struct, frozen=True):
    """Any one of the branches."""

    branches: tuple["Node", ...]


class Repeat(msgspec.Struct, frozen=True):
    """A part, several times."""

    part: "Node"
    least: int
    most: int | None


Node = Character | At | Sequence | Choice | Repeat


class State(msgspec.Struct):
    """A point in a pattern: what it needs to go on, and where it goes then."""

    test: Test | None = None
    place: Place | None = None
    following: tuple[int, ...] = ()


class Pattern:
    """A regular expression, ready to search texts."""

    def __init__(self, source: str) -> None:
        program = _Program()
        self._start = program.add(_Reader(source).read(), program.accept)
        self._states = program.states
        self._accept = program.accept
        self._steps: dict[tuple[frozenset[int], frozenset[Place], str], frozenset[int] | None] = {}

    @property
    def size(self) -> int:
        return len(self._states)

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text, as `re.search` would say."""
        reached: frozenset[int] = frozenset()
        for index in range(len(text) + 1):
            places = _places(text, index)
            character = text[index : index + 1]
            key = (reached, places, character)
            if key not in self._steps:
                if len(self._steps) >= _CACHED_STEPS:
                    self._steps.clear()
                self._steps[key] = self._step(*key)
            after = self._steps.get(key, frozenset())
            if after is None:
                return True
            reached = after
        return False

    def _step(
        self, reached: frozenset[int], places: frozenset[Place], character: str
    ) -> frozenset[int] | None:
        """The states after one more character; None once the pattern has matched."""
        seen = {self._start, *reached}
        waiting = list(seen)
        after: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number == self._accept:
                return None
            state = self._states[number]
            if state.test is not None:
                if character and state.test(character):
                    after.update(state.following)
            elif state.place is None or state.place in places:
                fresh = [other for other in state.following if other not in seen]
                seen.update(fresh)
                waiting.extend(fresh)
        return frozenset(after)


@lru_cache(maxsize=256)
def compiled(source: str) -> Pattern:
    """The pattern of a source text; PatternRefused when there can be none."""
    return Pattern(source)


class _Program:
    """States under construction, built from the end of a pattern to its start."""

    def __init__(self) -> None:
        self.states: list[State] = [State()]
        self.accept = 0
        self._work = 0

    def add(self, node: Node, then: int) -> int:
        """The number of the state where `node` begins, if `then` is where it leads."""
        self._spend()
        match node:
            case Character(test):
                return self._new(State(test=test, following=(then,)))
            case At(place):
                return self._new(State(place=place, following=(then,)))
            case Sequence(parts):
                for part in reversed(parts):
                    then = self.add(part, then)
                return then
            case Choice(branches):
                starts = tuple(self.add(branch, then) for branch in branches)
                return self._new(State(following=starts))
            case Repeat(part, least, most):
                return self._repeat(part, least, most, then)

    def _repeat(self, part: Node, least: int, most: int | None, then: int) -> int:
        start = then
        if most is None:
            start = self._new(State())
            self.states[start].following = (self.add(part, start), then)
        else:
            for _ in range(most - least):
                start = self._new(State(following=(self.add(part, start), then)))
        for _ in range(least):
            start = self.add(part, start)
        return start

    def _new(self, state: State) -> int:
        self._spend()
        self.states.append(state)
        return len(self.states) - 1

    def _spend(self) -> None:
        # Parts without states cost too: nested repeats of nothing would otherwise be free.
        self._work += 1
        if len(self.states) >= MOST_STATES or self._work > 4 * MOST_STATES:
            raise PatternRefused("the regular expression is too big")


_REPEAT = re.compile(r"[*+?]|\{(?P<least>[0-9]*)(?P<comma>,?)(?P<most>[0-9]*)\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_CODE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_OPENING = re.compile(r"\((?:\?:|\?P<[A-Za-z_][A-Za-z0-9_]*>|(?!\?))")
_FLAGS = re.compile(r"\(\?([is]+)\)")
_PLACES = {
    "\\A": Place.START,
    "\\Z": Place.END,
    "\\b": Place.BOUNDARY,
    "\\B": Place.NO_BOUNDARY,
}
_CHARACTER_ESCAPES = "dDsSwWnrtfva"


class _Reader:
    """Reads a pattern's text into nodes; what one character may be is still left to `re`."""

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_PATTERN:
            raise PatternRefused(f"it is longer than {LONGEST_PATTERN} characters")
        self._source = source
        self._index = 0
        self._depth = 0
        self._flags = re.NOFLAG

    def read(self) -> Node:
        if flags := _FLAGS.match(self._source):
            self._index = flags.end()
            for letter in flags[1]:
                self._flags |= re.IGNORECASE if letter == "i" else re.DOTALL
        node = self._choice()
        if self._index < len(self._source):
            raise PatternRefused("there is a ) without its (")
        try:
            re.compile(self._source)
        except (re.error, OverflowError) as error:
            raise PatternRefused(str(error)) from None
        return node

    def _choice(self) -> Node:
        branches = [self._sequence()]
        while self._next() == "|":
            self._index += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, atom: Node) -> Node:
        found = _REPEAT.match(self._source, self._index)
        if found is None or found[0] == "{}":
            return atom
        self._index = found.end()
        if self._next() == "+":
            raise PatternRefused("possessive repeats are not supported")
        if self._next() == "?":
            # A lazy repeat finds another match, never another answer to "is there one".
            self._index += 1
        least, most = _bounds(found)
        if max(least, most or 0) > MOST_STATES or (most is not None and most < least):
            raise PatternRefused(f"it repeats {found[0]} times")
        return Repeat(atom, least, most)

    def _atom(self) -> Node:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._character(_CLASS.match(self._source, self._index), "a [ lacks its ]")
        if character == "\\":
            return self._escape()
        self._index += 1
        if character == "^":
            return At(Place.START)
        if character == "$":
            return At(Place.LINE_END)
        return Character(self._test(character if character == "." else re.escape(character)))

    def _group(self) -> Node:
        opening = _OPENING.match(self._source, self._index)
        if opening is None:
            raise PatternRefused("looking around, referring back and local flags are not supported")
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise PatternRefused(f"its groups nest deeper than {DEEPEST_NESTING}")
        self._index = opening.end()
        node = self._choice()
        if self._next() != ")":
            raise PatternRefused("there is a ( without its )")
        self._index += 1
        self._depth -= 1
        return node

    def _escape(self) -> Node:
        escape = self._source[self._index : self._index + 2]
        if escape in _PLACES:
            self._index += 2
            return At(_PLACES[escape])
        if code := _CODE.match(self._source, self._index):
            return self._character(code, "")
        letter = escape[1:]
        named = letter.isascii() and letter.isalnum()
        if not letter or (named and letter not in _CHARACTER_ESCAPES):
            raise PatternRefused(f"the escape {escape} is not supported")
        self._index += 2
        return Character(self._test(escape))

    def _character(self, found: re.Match[str] | None, otherwise: str) -> Node:
        if found is None:
            raise PatternRefused(otherwise)
        self._index = found.end()
        return Character(self._test(found[0]))

    def _test(self, source: str) -> Test:
        try:
            return re.compile(source, self._flags).fullmatch
        except re.error as error:
            raise PatternRefused(str(error)) from None

    def _next(self) -> str:
        return self._source[self._index : self._index + 1]


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    match found[0][0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
    least = int(found["least"] or 0)
    if not found["comma"]:
        return least, least
    return least, int(found["most"]) if found["most"] else None


def _places(text: str, index: int) -> frozenset[Place]:
    before, after = text[max(index - 1, 0) : index], text[index : index + 1]
    places: list[Place] = []
    if not before:
        places.append(Place.START)
    if not after:
        places.append(Place.END)
    if not after or (after == "\n" and index == len(text) - 1):
        places.append(Place.LINE_END)
    boundary = _is_word(before) != _is_word(after)
    places.append(Place.BOUNDARY if boundary else Place.NO_BOUNDARY)
    return frozenset(places)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
