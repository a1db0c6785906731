"""What a reply says to each command: its parts, in finished strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.domain.commands import COMMANDS, LONGEST, MOST_COMMANDS, SHORTEST, Unreadable, Word, undoing, usage_of
from bot.domain.headlines import own_findings
from bot.domain.incidents import Incident, Step, Turn
from bot.domain.judge.findings import Finding
from bot.domain.rules import Rule, RuleKind
from bot.domain.views import AnswerKind, AnswerPart, CommandRow, Evidence
from bot.judging.views.answer import RuleNaming
from bot.judging.views.metric_rows import row_of
from bot.judging.views.occasion import Occasion
from bot.judging.views.run import onset, run_view
from bot.judging.views.verdict import last_word, verdict_view
from bot.text import formats
from bot.text.locales import Locale

_EVIDENCE = 12  # metrics and slices of one answer
_CLOSINGS = (Word.FIXED, Word.EXPECTED, Word.NOISE, Word.MUTE, Word.ACCEPT)  # what a ticket can be closed as


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Writes the parts of a reply for one reader."""

    naming: RuleNaming

    @property
    def locale(self) -> Locale:
        return self.naming.locale

    def rule(self, rule: Rule, watched: int, closed_as: str = "", replaced: Iterable[Rule] = ()) -> AnswerPart:
        """Say what holds from now on, and which rules it took the place of.

        *watched* is how many runs show whether it is fixed, 0 where none does.
        """
        return AnswerPart(
            AnswerKind.RULE,
            rule=self.naming.row(rule),
            undo=undoing(rule.number),
            replaces=tuple(str(each.number) for each in replaced),
            runs=str(watched) if watched and rule.kind is RuleKind.FIXED else "",
            closed_as=closed_as,
        )

    def undone(self, rule: Rule) -> AnswerPart:
        return AnswerPart(AnswerKind.UNDONE, rule=self.naming.row(rule))

    def rules(self, rules: Iterable[Rule]) -> AnswerPart:
        """List what is quiet; that a fix is watched keeps nothing quiet."""
        quiet = tuple(self.naming.row(rule) for rule in rules if rule.kind is not RuleKind.FIXED)
        return AnswerPart(AnswerKind.RULES, rules=quiet)

    def help(self) -> AnswerPart:
        return AnswerPart(AnswerKind.HELP, commands=_rows(each.name for each in COMMANDS))

    def unmapped(self, closed_as: str) -> AnswerPart:
        return AnswerPart(AnswerKind.UNMAPPED, closed_as=closed_as, commands=_rows(_CLOSINGS))

    def unreadable(self, said: Unreadable) -> AnswerPart:
        return AnswerPart(
            AnswerKind.UNREADABLE,
            said=said.line,
            problem=said.problem,
            nearest=said.nearest,
            bounds=formats.between(self._length(SHORTEST), self._length(LONGEST), self.locale),
            longest=self._length(LONGEST),
            most=str(MOST_COMMANDS),
        )

    def why(self, on: Occasion, incident: Incident) -> AnswerPart:
        """Show the numbers behind an incident, by the run that showed it last."""
        told = last_word(on, incident)
        bad = next((judged for judged in reversed(on.history) if judged.run.run_id == told.run_id), None)
        own = own_findings(incident, told.findings)
        return AnswerPart(
            AnswerKind.WHY,
            verdict=verdict_view(replace(on, assessment=told), Step(incident, Turn.REPEATED)),
            evidence=tuple(_evidence(on, finding) for finding in own[:_EVIDENCE]),
            run=None if bad is None else run_view(on, bad.run),
            onset=onset(on, incident) if on.names else None,
        )

    def _length(self, length: timedelta) -> str:
        return formats.duration(length, self.locale)


def _rows(names: Iterable[Word]) -> tuple[CommandRow, ...]:
    known = {each.name: each for each in COMMANDS}
    return tuple(CommandRow(name, usage_of(known[name])) for name in names)


def _evidence(on: Occasion, finding: Finding) -> Evidence:
    pairs = f"{finding.n_examples:,}" if finding.n_examples else ""
    return Evidence(row_of(on, finding), finding.method, str(finding.n_baseline), pairs)
