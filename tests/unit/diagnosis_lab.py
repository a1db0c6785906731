"""A pipeline that fell, and whose job falls again with what is guilty: to be diagnosed."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.job_protocol import COMMIT_TAG, FIRE_TAG
from bot.judging.diagnosing import Diagnoser
from bot.ports import Job, JobStatus
from bot.store import inquiries
from bot.store.inquiries import InquiryRecord
from tests.unit.cycle_bench import ENDED, Bench

DIAGNOSE = {
    "diagnose": {
        "reruns": 9,
        "data": {"arguments": ["--data={tags.data_folder}"]},
        "params": {"arguments": ["--set={name}={value}"]},
    }
}
OLD = {"params": {"lr": "1", "batch": "8"}, "tags": {"herald.data_hash": "d1", "data_folder": "old", COMMIT_TAG: "c1"}}
NEW = {"params": {"lr": "2", "batch": "16"}, "tags": {"herald.data_hash": "d2", "data_folder": "new", COMMIT_TAG: "c2"}}
GOOD = (0.801, 0.797, 0.803, 0.799, 0.802, 0.798, 0.800, 0.801, 0.799, 0.802)
NOISE = (0.001, -0.002, 0.002, 0.0, -0.001, 0.001, -0.001, 0.002)


class Lab(Bench):
    """A pipeline that fell, and whose job falls again with what is guilty."""

    guilty: frozenset[str] = frozenset({"--data=new"})
    breaks: frozenset[int] = frozenset()  # the jobs that fail

    def fall(self) -> None:
        for value in GOOD:
            self.log(value, **OLD)
        self.look()
        for value in (0.752, 0.748):
            self.log(value, **NEW)
            self.look()
        self.executor._carry_out = self.train

    def look(self) -> None:
        self.herald.cycle("search").resume()
        assert self.herald.dispatcher.drain().failures == []

    def serve(self) -> None:
        """Let cycles follow one another until no inquiry is left, as `herald serve` does."""
        while True:
            self.look()
            with self.database.begin() as tx:
                if not inquiries.pipelines_of_running(tx):
                    return

    def train(self, job: Job) -> JobStatus:
        self.jobs.append(job)
        place = len(self.jobs)
        if place in self.breaks:
            return replace(ENDED, exit_code=3)
        is_bad = self.guilty <= {*job.command}
        value = (0.75 if is_bad else 0.80) + NOISE[place % len(NOISE)]
        self.log(value, f"job{place}", tags={FIRE_TAG: job.fire_id})
        return ENDED

    @property
    def diagnoser(self) -> Diagnoser:
        return Diagnoser(self.herald.answering.desk("search").context)

    def begin(self) -> InquiryRecord:
        (incident,) = self.incidents()
        with self.database.begin() as tx:
            return self.diagnoser.begin(tx, incident, "Ben")

    def diagnose(self) -> InquiryRecord:
        asked = self.begin().inquiry.inquiry_id
        self.herald.cycle("search").diagnose()
        assert self.herald.dispatcher.drain().failures == []
        return self.record(asked)

    def record(self, inquiry_id: str) -> InquiryRecord:
        with self.database.begin() as tx:
            found = inquiries.find(tx, inquiry_id)
        assert found is not None
        return found

    @property
    def said(self) -> list[str]:
        return [body.replace("\N{NO-BREAK SPACE}", " ") for _, body in self.ticket.comments]
