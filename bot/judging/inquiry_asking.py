"""What an inquiry into an incident is about, gathered from what is on record of its runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection

from bot.domain.diagnosis.differences import differences, setting_of
from bot.domain.diagnosis.inquiry import Inquiry, part_known
from bot.domain.diagnosis.posterior import levels_of
from bot.domain.incidents import Incident, Kind
from bot.domain.judge.ranges import effect_at
from bot.domain.judged_run import JudgedRun
from bot.domain.manifest import manifest_of
from bot.errors import DiagnosisError, NoInquiry
from bot.judging.context import JudgingContext
from bot.judging.swaps import cut_of, kept_of, swaps_of
from bot.store import runs
from bot.text.toml_keys import key_path

_ACCEPTED = 20
_BAD = 5


@dataclass(frozen=True, slots=True)
class InquiryAsker:
    """Asks what made the incidents of one pipeline."""

    context: JudgingContext

    def ask(self, tx: Connection, incident: Incident, had: int) -> Inquiry:
        """Gather what an inquiry into an incident is about, that *had* so many before.

        Raises:
            DiagnosisError: where config, the incident or its runs give nothing to ask about.
        """
        context = self.context
        section, where = context.section.diagnose, f"[{key_path('pipeline', context.name, 'diagnose')}]"
        if section is None or context.section.job is None:
            raise _no(incident, NoInquiry.NOT_CONFIGURED, f"{where} should say how components are set")
        if incident.kind is not Kind.REGRESSED:
            raise _no(incident, NoInquiry.OTHER_KIND, f"it is {incident.kind.value}, not something worse")
        metric = next((each for each in context.section.policies.metrics if each.name in incident.whole), None)
        bad = [] if metric is None else self._bad_runs(tx, incident, metric.name)
        if metric is None or not bad:
            raise _no(incident, NoInquiry.NO_RUNS, "none of its runs is on record with a whole metric that fell")
        earlier = runs.recent(tx, incident.series, _ACCEPTED, accepted_only=True, ahead_of=bad[0].run)
        accepted = [each for each in earlier if metric.name in each.run.metrics]
        if not accepted:
            raise _no(incident, NoInquiry.UNKNOWN_NOISE, "no accepted run is on record from before it")
        manifests = [manifest_of(each.run, each.card) for each in accepted]
        all_found = differences(manifests, manifest_of(bad[0].run, bad[0].card))
        found = all_found.found
        swaps, left_out = swaps_of(section, found, accepted[-1].run, bad[0].run)
        if not swaps:
            differing = ", ".join(str(each.component) for each in found) or "nothing on record"
            raise _no(incident, NoInquiry.NOTHING_TO_SET, f"{where} does not say how to set what differs: {differing}")
        names = {swap.component for swap in swaps}
        settings = [setting_of(each, [one for one in found if one.component in names]) for each in manifests]
        cut = cut_of(section, bad[0].run)
        if cut is None:
            raise _no(incident, NoInquiry.NOTHING_TO_SET, f"{where} names in cut what the bad run does not have")
        good, known = part_known(settings, [each.run.metrics[metric.name] for each in accepted])
        try:
            levels = levels_of(good, [each.run.metrics[metric.name] for each in bad], section.share)
        except ValueError as error:
            raise _no(incident, NoInquiry.UNKNOWN_NOISE, str(error)) from error
        text = "\x1f".join((incident.incident_id, bad[-1].run.run_id, str(had)))
        return Inquiry(
            inquiry_id=hashlib.sha256(text.encode()).hexdigest()[:16],
            pipeline=context.name,
            incident_id=incident.incident_id,
            metric=metric.name,
            smallest=effect_at(metric, levels.before),
            good_run=accepted[-1].run.run_id,
            bad_run=bad[0].run.run_id,
            levels=levels,
            swaps=swaps,
            known=known if section.cut is None else (),  # they saw all the data
            left_out=tuple(left_out),
            why_left_out=tuple(left_out.values()),
            budget=section.reruns,
            piece_budget=section.reruns_within,
            until=None if section.timeout is None else context.clock() + section.timeout,
            has_other_test_set=all_found.has_other_test_set,
            cut=cut,
            obstacles=None,
            at_once=section.concurrency,
            kept=kept_of(section, [each.run for each in accepted], bad[0].run),
        )

    def _bad_runs(self, tx: Connection, incident: Incident, metric: str) -> list[JudgedRun]:
        """Return the first runs since the metric fell: it may have joined the incident, or be back in it."""
        names = dict.fromkeys((incident.onset, *incident.bad_runs))
        found = (runs.find(tx, self.context.name, run_id) for run_id in names)
        there = sorted((each for each in found if each is not None), key=lambda each: each.run.place)
        said = [f for each in there[-1:] for f in each.findings if f.key == metric and f.onset is not None]
        onset = runs.find(tx, self.context.name, said[0].onset or "") if said else None
        if onset is not None:
            there = [onset, *(each for each in there if each.run.place > onset.run.place)]
        return [each for each in there if metric in each.run.metrics][:_BAD]


def _no(incident: Incident, reason: NoInquiry, why: str) -> DiagnosisError:
    return DiagnosisError(f"diagnose {incident.incident_id}: {why}", reason)
