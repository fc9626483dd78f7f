"""Runs the LALR tables that Lark makes of grammar.lark, and holds a text to the limits on the way.

Lark's own loop gives every token a line and a column, and compares names and rules by slow methods;
this one hands regular expression matches to the builder, in a third of the time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from lark import Lark
from lark.parsers.lalr_analysis import Shift

from filters.errors import FilterSyntaxError
from filters.syntax_errors import explain

MOST_LEVELS = 64
MOST_TERMS = 500

_END: Final = "$END"
_LIMITED = frozenset({"MEMBER", "COMMA", "LPAREN", "RPAREN"})

Build = Callable[[list[Any]], Any]


@final
@dataclass(slots=True)
class Reduction:
    """The end of a rule: so many values are built into one."""

    rule: str
    size: int
    build: Build


class State:
    """A point in the grammar: what may follow, and where each terminal and each rule leads."""

    __slots__ = ("actions", "after", "gotos", "match")

    def __init__(self) -> None:
        self.actions: dict[str, State | Reduction] = {}
        self.gotos: dict[str, State] = {}
        self.after: dict[str, dict[str, State]] = {}
        self.match: Callable[[str, int], re.Match[str] | None]

    def prepare(self, terminals: dict[str, str]) -> None:
        """Compiles what may follow, and goes in advance through all that builds nothing.

        `after` says by terminal and rule where the parser stands after the rule, when the terminal
        is next and each `?rule: other` on the way has been taken.
        """
        here = [f"(?P<{name}>{terminals[name]})" for name in terminals if name in self.actions]
        self.match = re.compile("|".join(here) or "(?!)").match
        for terminal in (*terminals, _END):
            self.after[terminal] = {rule: self._after(rule, terminal) for rule in self.gotos}

    def _after(self, rule: str, terminal: str) -> "State":
        state = self.gotos[rule]
        action = state.actions.get(terminal)
        while type(action) is Reduction and action.build is _unchanged:
            state = self.gotos[action.rule]
            action = state.actions.get(terminal)
        return state


class Parser:
    """A parser for a grammar. `builder` has a method for each of its rules and aliases.

    It is given a list of what stands there: of a terminal its match, of a rule what was built.
    """

    def __init__(self, grammar: str, builder: object) -> None:
        lark = Lark(grammar, parser="lalr", keep_all_tokens=True, maybe_placeholders=False)
        sorted_terminals = sorted(lark.terminals, key=lambda terminal: -terminal.priority)
        terminals = {str(each.name): each.pattern.to_regexp() for each in sorted_terminals}
        table: Any = lark.parser.parser.parser.parse_table
        states = {number: State() for number in table.states}
        for number, state in states.items():
            for name, (action, target) in table.states[number].items():
                if action is not Shift:
                    state.actions[str(name)] = _reduction(target, builder)
                elif name in terminals or name == _END:
                    state.actions[str(name)] = states[target]
                else:
                    state.gotos[str(name)] = states[target]
        self._start = states[table.start_states["start"]]
        accepting = states[table.end_states["start"]]
        accepting.actions[_END] = accepting
        for state in states.values():
            state.prepare(terminals)

    def parse(self, text: str) -> Any:
        """What was built of the start rule. Raises FilterSyntaxError."""
        limits = Limits(text)
        state = self._start
        stack, values = [state], list[Any]()
        offset, end = 0, len(text)
        while True:
            if offset == end:
                limits.end()
                found, terminal = None, _END
            else:
                found = state.match(text, offset)
                if found is None:
                    raise explain(text, offset, state.actions)
                terminal = found.lastgroup or _END
                if terminal in _LIMITED:
                    limits.count(terminal, offset)
            action = state.actions.get(terminal)
            while type(action) is Reduction:
                first = len(values) - action.size
                values[first:] = [action.build(values[first:])]
                state = stack[first].after[terminal][action.rule]
                stack[first + 1 :] = [state]
                action = state.actions.get(terminal)
            if action is None:
                raise explain(text, offset, state.actions)
            if found is None:
                return values[-1]
            state = action
            stack.append(state)
            values.append(found)
            offset = found.end()


def _unchanged(values: list[Any]) -> Any:
    """Builds a `?rule: other`."""
    return values[0]


def _reduction(rule: Any, builder: object) -> Reduction:
    is_same = rule.options.expand1 and not rule.alias and len(rule.expansion) == 1
    build = _unchanged if is_same else getattr(builder, rule.alias or rule.origin.name)
    return Reduction(str(rule.origin.name), len(rule.expansion), build)


class Limits:
    """Counts the terms and the open parentheses of one text."""

    __slots__ = ("_opened", "_terms", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._terms = 0
        self._opened: list[int] = []

    def count(self, terminal: str, offset: int) -> None:
        """Takes note of a terminal. Raises FilterSyntaxError where it is one too many."""
        if terminal == "LPAREN":
            self._opened.append(self._text.index("(", offset))
            if len(self._opened) > MOST_LEVELS:
                message = f"the filter has more than {MOST_LEVELS} levels"
                raise FilterSyntaxError(message, self._opened[-1])
        elif terminal == "RPAREN":
            if not self._opened:
                raise FilterSyntaxError("this ')' closes nothing", self._text.index(")", offset))
            self._opened.pop()
        else:
            self._terms += 1
            if self._terms > MOST_TERMS:
                raise FilterSyntaxError(f"the filter has more than {MOST_TERMS} terms", offset)

    def end(self) -> None:
        """Raises FilterSyntaxError for a parenthesis that was never closed."""
        if self._opened:
            raise FilterSyntaxError("this '(' is never closed", self._opened[-1])
