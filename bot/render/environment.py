"""Templates in a sandbox whose every expression is written as literal text, whatever its author thought of.

Escaping hangs on `finalize`, which each expression passes through; autoescaping is on so that macros and blocks return
Markup. What in Jinja would combine text and Markup by HTML's rules (`+`, `~`, `join`, methods of Markup) is replaced
or refused, for these languages are not HTML.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from bot.errors import TemplateError
from bot.render.dialects import PLAIN, Dialect
from bot.render.limits import Room, current_room, within
from bot.render.loader import CompiledTemplates, TemplateLoader
from bot.render.lookup import Lookup
from bot.text.locales import ENGLISH

OUTPUT_CAP = 2_000_000  # characters
_MOST_BYTES = 1_000_000  # of a file of a team
_STEPS_CAP = 100_000  # pieces of output, so that a loop ends that would not

# None of these knows HTML, or returns markup made of text.
# fmt: off
_FILTERS = (
    "abs", "batch", "count", "default", "d", "first", "int", "last", "length", "list", "lower", "map", "max", "min",
    "reject", "rejectattr", "round", "select", "selectattr", "slice", "sort", "trim", "unique", "upper",
)
# fmt: on

_COMPILED = CompiledTemplates()


class _Generator(CodeGenerator):
    """Counts what is put out, and joins by our rules."""

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802
        self.writeline("environment.spend()")
        super().visit_Output(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.join_values((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Renders the templates of one output language."""

    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, dialect: Dialect, lookup: Lookup) -> None:
        super().__init__(
            loader=TemplateLoader(lookup),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_COMPILED,
        )
        self.dialect = dialect
        kept = {name: self.filters[name] for name in _FILTERS}
        self.filters.clear()
        self.filters |= {**kept, "join": self._join}
        self.globals.clear()
        self.globals |= {
            **dialect.constructs,
            "block": self._block,
            "gap": _gap,
            "shown": _shown,
            "hidden": _hidden,
            "namespace": jinja2.utils.Namespace,
        }

    def render(self, name: str, room: Room, values: Mapping[str, Any]) -> str:
        """Render one template; raises TemplateError, which names the file and line, for whatever is wrong with it."""
        with within(room):
            try:
                pieces: list[str] = []
                size = 0
                for piece in self.get_template(name).generate(values):
                    size += len(piece)
                    if size > OUTPUT_CAP:
                        raise TemplateError(f"it puts out more than {OUTPUT_CAP:,} characters")  # noqa: TRY301
                    pieces.append(piece)
            except Exception as error:
                raise TemplateError(f"{_place(self, name, error)}: {_words(error)}") from error
        return "".join(pieces)

    def read_word(self, name: str, word: str) -> str:
        """Return a plain string that a template sets at its top."""
        with within(Room()):
            try:
                return str(getattr(self.get_template(name).module, word))
            except Exception as error:
                raise TemplateError(f"{_place(self, name, error)}: {_words(error)}") from error

    def spend(self) -> None:
        room = current_room()
        room.steps += 1
        if room.steps > _STEPS_CAP:
            raise TemplateError(f"it puts out more than {_STEPS_CAP:,} pieces")

    def join_values(self, parts: Iterable[object]) -> str:
        parts = tuple(parts)
        if not any(isinstance(part, Markup) for part in parts):
            return str_join(parts)
        return Markup("").join(self.write(part) for part in parts)

    def write(self, value: object) -> Markup:
        """Write one value in the language of this environment."""
        if isinstance(value, Markup):
            return value
        if value is None or isinstance(value, bool | dict | list | tuple):
            raise TemplateError(f"it writes {value!r}, which is no text")
        return self.dialect.mark(value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Markup) or isinstance(right, Markup):
            if operator == "+":
                return self.join_values((left, right))
            raise SecurityError(f"{operator} on markup")
        if operator == "**":
            raise SecurityError("** is not for templates")
        if operator in ("*", "%") and (isinstance(left, str) or isinstance(right, str)):
            raise SecurityError(f"{operator} on text")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse what Markup can do: its methods join and format by HTML's rules."""
        return not isinstance(obj, Markup) and super().is_safe_attribute(obj, attr, value)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Markup):
            raise SecurityError("markup cannot be cut into pieces")
        return super().getitem(obj, argument)

    def _join(self, values: Iterable[object], separator: object = "") -> str:
        parts: list[object] = []
        for value in values:
            parts += [separator, value] if parts else [value]
        return self.join_values(parts)

    def _block(self, text: str) -> Markup:
        """Write several lines as they are, the last ones where there are too many."""
        if isinstance(text, Markup):
            raise SecurityError("a block takes text, not markup")
        return Markup(self.dialect.block(current_room().shorten_from_start(text.strip("\n"))))  # noqa: S704


class PageEnvironment(TemplateEnvironment):
    """Renders our own pages, hundreds of rows at a time: what keeps a team's templates from reaching out is left out.

    Escaping is the same.
    """

    def getattr(self, obj: Any, attribute: str) -> Any:
        try:
            return getattr(obj, attribute)
        except AttributeError:
            return super().getattr(obj, attribute)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        return context.call(called, *args, **kwargs)


@jinja2.pass_eval_context  # keeps the compiler from writing constants by HTML's rules
def _finalize(context: EvalContext, value: object) -> Markup:
    environment = context.environment
    assert isinstance(environment, TemplateEnvironment)
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, naming what is undefined
    return environment.write(value)


def _gap(text: str) -> str:
    """Return the space that stands between Chinese and a text that ends in Latin letters or digits."""
    return " " if text[-1:].isascii() and text[-1:].isalnum() else ""


def _shown(rows: Sequence[object]) -> Sequence[object]:
    """Return the rows that there is room for."""
    room = current_room()
    room.cut = room.cut or len(rows) > room.rows
    return rows[: room.rows]


def _hidden(rows: Sequence[object]) -> int:
    """Return how many rows there was no room for."""
    return max(0, len(rows) - current_room().rows)


def check_syntax(path: Path) -> TemplateError | None:
    """Return what is wrong with the syntax of a template file, or None."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return TemplateError(f"{path}: is larger than {_MOST_BYTES:,} bytes: is it a template?")
        TemplateEnvironment(PLAIN, Lookup(ENGLISH, ())).parse(path.read_text(encoding="utf-8"), filename=str(path))
    except jinja2.TemplateSyntaxError as error:
        return TemplateError(f"{path}, line {error.lineno}: {error.message}")
    except (OSError, UnicodeDecodeError) as error:
        return TemplateError(f"{path}: cannot be read: {error}")
    except RecursionError:
        return TemplateError(f"{path}: is nested too deep")
    return None


def _place(environment: TemplateEnvironment, name: str, error: Exception) -> str:
    """Name the file and line of a template at which rendering ended."""
    loader = environment.loader
    assert isinstance(loader, TemplateLoader)
    if isinstance(error, jinja2.TemplateSyntaxError):
        return loader.place(error.filename or error.name or name, error.lineno)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(frame.filename.startswith(folder) for folder in loader.searchpath):
            return loader.place(frame.filename, frame.lineno or 1)
    return name


def _words(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {error.name}"
    return str(error) or type(error).__name__
