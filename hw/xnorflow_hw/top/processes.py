"""Joins Yosys's processes: one or two clocked ones per module instead of two for every register.

For every register Yosys writes a combinational process that computes its next value, which a
simulator evaluates as a whole in every cycle, and a clocked process that copies the result. Here
conditions enclose nonblocking assignments instead, and registers under the same condition share it.
That is shorter, and a simulator skips what is under a false condition. In both forms the last of
several assignments counts, so the meaning is the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_MODULE = re.compile(r"^module .*?^endmodule\n", re.MULTILINE | re.DOTALL)
_COPY = re.compile(r"^  always @\(posedge clk\)\n    (\w+) <= (\w+);\n", re.MULTILINE)
_PROCESS = re.compile(
    r"^  always @\* begin\n    if \(\w+\) begin end\n(.*?)^  end\n", re.MULTILINE | re.DOTALL
)
_DECLARATION = re.compile(r"^  reg (?:\[\d+:0\] )?(\w+);\n", re.MULTILINE)
_ASSIGN = re.compile(r"(\w+)(\[[\d:]+\])? = (.*);")
_IF = re.compile(r"(if \(.*\)) begin")
_CASE = re.compile(r"casez \(.*\)")
_RESET = "if (rst)"


@dataclass(frozen=True)
class _Assign:
    """A nonblocking assignment."""

    target: str
    value: str

    def lines(self, indent: str) -> Iterator[str]:
        """Write the assignment."""
        yield f"{indent}{self.target} <= {self.value};"


@dataclass(frozen=True)
class _If:
    """Statements under a condition."""

    condition: str
    body: list[_Statement] = field(default_factory=list)

    def lines(self, indent: str) -> Iterator[str]:
        """Write the condition and the statements under it."""
        yield f"{indent}{self.condition} begin"
        for statement in self.body:
            yield from statement.lines(indent + "  ")
        yield f"{indent}end"


@dataclass(frozen=True)
class _Case:
    """A case statement, kept line by line."""

    text: list[str]

    def lines(self, indent: str) -> Iterator[str]:
        """Write the case statement."""
        for line in self.text:
            yield indent + line


_Statement = _Assign | _If | _Case


class _OtherForm(Exception):
    """Raised for a process that does not compute the next value of one register."""


def join(text: str) -> str:
    """Return Yosys's text with the processes of each module joined; those of another form stay.

    All names have to be plain, not escaped.
    """
    return _MODULE.sub(lambda module: _module(module[0]), text)


def _module(text: str) -> str:
    """Return a module's text with its processes joined."""
    copies = {following: register for register, following in _COPY.findall(text)}
    uses = Counter(re.findall(r"\w+", text))
    programs: dict[str, list[_Statement]] = {}

    def take(process: re.Match[str]) -> str:
        following = process[1].split(maxsplit=1)[0].split("[")[0]
        inside = re.findall(r"\w+", process[1]).count(following)
        # The next value must have no other reader: it may occur only here, in its declaration and
        # in the process that copies it.
        if following not in copies or uses[following] != inside + 2:
            return process[0]
        try:
            programs[following] = _program(process[1], following, copies[following])
        except _OtherForm:
            return process[0]
        return ""

    text = _PROCESS.sub(take, text)
    if not programs:
        return text
    text = _COPY.sub(lambda copy: "" if copy[2] in programs else copy[0], text)
    text = _DECLARATION.sub(lambda d: "" if d[1] in programs else d[0], text)
    return text.removesuffix("endmodule\n") + _clocked(programs.values()) + "endmodule\n"


def _clocked(programs: Iterable[list[_Statement]]) -> str:
    """Write one process for the registers that a reset clears and one for the others."""
    cleared: list[_Statement] = []
    otherwise, others = [], []
    for program in programs:
        *before, last = program
        if isinstance(last, _If) and last.condition == _RESET:
            cleared += last.body
            otherwise.append(before)
        else:
            others.append(program)
    text = ""
    if cleared:
        text += _process(
            [
                f"    {_RESET} begin",
                *_lines(cleared, "      "),
                "    end else begin",
                *_lines(_merged(otherwise), "      "),
                "    end",
            ]
        )
    return text + (_process(_lines(_merged(others), "    ")) if others else "")


def _process(lines: Iterable[str]) -> str:
    """Write a clocked process around lines."""
    return "\n".join(["  always @(posedge clk) begin", *lines, "  end", ""])


def _lines(statements: Iterable[_Statement], indent: str) -> Iterator[str]:
    """Write statements."""
    for statement in statements:
        yield from statement.lines(indent)


def _program(text: str, following: str, register: str) -> list[_Statement]:
    """Return the statements that compute a register's next value, without the one that keeps it."""
    program, rest = _block([line.strip() for line in text.splitlines()], following, register)
    if program and program[0] == _Assign(register, register):
        del program[0]
    if rest or not program:
        raise _OtherForm
    return program


def _block(lines: list[str], following: str, register: str) -> tuple[list[_Statement], list[str]]:
    """Read statements up to their end; return them and the lines after it."""
    found: list[_Statement] = []
    while lines:
        line, *lines = lines
        if line == "end":
            break
        if match := _IF.fullmatch(line):
            body, lines = _block(lines, following, register)
            found.append(_If(match[1], body))
        elif match := _ASSIGN.fullmatch(line):
            if match[1] != following or re.search(rf"\b{following}\b", match[3]):
                raise _OtherForm
            found.append(_Assign(register + (match[2] or ""), match[3]))
        elif line.startswith("(* full_case") or _CASE.fullmatch(line):
            case, lines = _case([line, *lines], following, register)
            found.append(case)
        else:
            raise _OtherForm
    return found, lines


def _case(lines: list[str], following: str, register: str) -> tuple[_Case, list[str]]:
    """Read a case statement with those inside; return it and the lines after it."""
    depth, text = 0, []
    while lines:
        line, *lines = lines
        depth += bool(_CASE.fullmatch(line)) - (line == "endcase")
        line = re.sub(rf"\b{following}(\[[\d:]+\])? = ", rf"{register}\1 <= ", line)
        if re.search(rf"\b{following}\b", line):
            raise _OtherForm
        text.append(line)
        if line == "endcase" and not depth:
            return _Case(text), lines
    raise _OtherForm


def _merged(programs: Iterable[list[_Statement]]) -> list[_Statement]:
    """Join the programs of different registers; the statements of each keep their order."""
    merged: list[_Statement] = []
    for program in programs:
        at = 0
        for statement in program:
            if isinstance(statement, _If):
                at = _placed(merged, at, statement)
            else:
                merged.append(statement)
                at = len(merged) - 1
    return merged


def _placed(merged: list[_Statement], at: int, new: _If) -> int:
    """Add statements under a condition, to an equal one from index `at` on; return their index."""
    for k in range(at, len(merged)):
        there = merged[k]
        if isinstance(there, _If) and there.condition == new.condition:
            merged[k] = _If(new.condition, _merged([there.body, new.body]))
            return k
    merged.append(new)
    return len(merged) - 1
