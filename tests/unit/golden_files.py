"""The texts that are compared with stored ones: views as they would be sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bot.domain.judge.findings import Outcome
from bot.domain.rerun_answers import Cause
from bot.domain.views import (
    AnswerView,
    ArchivePageView,
    CommentView,
    DigestView,
    MessageView,
    PipelinePageView,
    RunPageView,
    TicketView,
    UmbrellaOverView,
    UmbrellaView,
)
from bot.preview import samples
from bot.render.renderer import (
    Renderer,
)
from bot.text.locales import Locale
from tests.unit.channel_texts import CHANNELS
from tests.unit.text_forms import FORMS, SLACK

GOLDEN = Path(__file__).parent.parent / "golden"
LOCALES: tuple[Locale, ...] = ("en", "zh")
RENDERERS: dict[Locale, Renderer] = {locale: Renderer(locale) for locale in LOCALES}


def show(  # noqa: PLR0912 - a case a view
    renderer: Renderer, view: Any, bound: Any, markup: str = "jira"
) -> str:
    """Render any view to the text that would be sent; a title stands on the first line."""
    match view:
        case TicketView():
            text = renderer.render_ticket(FORMS[markup], view, bound)
            return f"{text.title}\n\n{text.body}"
        case CommentView() if markup == "reply":
            return str(renderer.render_reply(SLACK, view, bound))
        case CommentView():
            return renderer.render_comment(FORMS[markup], view, bound).body
        case AnswerView() if markup == "reply":
            return str(renderer.render_answer_in_thread(SLACK, view, bound))
        case AnswerView():
            return renderer.render_answer(FORMS[markup], view, bound).body
        case UmbrellaView():
            text = renderer.render_umbrella(FORMS[markup], view, bound)
            return f"{text.title}\n\n{text.body}"
        case UmbrellaOverView():
            return renderer.render_umbrella_over(FORMS[markup], view, bound).body
        case RunPageView():
            page = renderer.render_run_page(view, bound)
            return f"{page.title}\n\n{page.body}"
        case ArchivePageView():
            page = renderer.render_archive_page(view, bound)
            return f"{page.title}\n\n{page.body}"
        case PipelinePageView():
            return renderer.render_pipeline_section(view, bound)
        case MessageView() | DigestView() if markup in CHANNELS:
            form, lay_out = CHANNELS[markup]
            render = renderer.render_message if isinstance(view, MessageView) else renderer.render_digest
            return lay_out(render(form, view, bound))  # type: ignore[arg-type]
        case MessageView():
            return str(renderer.render_message(SLACK, view, bound))
        case DigestView():
            forms = {
                "": partial(renderer.render_digest, SLACK),
                "page": renderer.render_digest_page,
                "text": renderer.render_digest_text,
            }
            return str(forms[markup](view, bound))
    raise AssertionError(view)


Sample = tuple[str, Callable[[samples.Words], Any], Any, str]
GOLDENS: list[Sample] = [
    ("jira-ticket-regressed.wiki", samples.ticket, samples.BOUND, "jira"),
    ("jira-ticket-regressed-report-pending.wiki", samples.ticket, {}, "jira"),
    ("jira-ticket-invalid.wiki", samples.invalid_ticket, samples.BOUND, "jira"),
    ("jira-ticket-the-change.wiki", samples.rerun_ticket, samples.BOUND, "jira"),
    (
        "jira-ticket-not-the-change.wiki",
        lambda w: samples.rerun_ticket(w, Cause.OUTSIDE, ("0.146",)),
        samples.BOUND,
        "jira",
    ),
    ("jira-ticket-breached.wiki", samples.breached_ticket, samples.BOUND, "jira"),
    ("jira-comment-kept-to-again.wiki", samples.kept_to_again, samples.BOUND, "jira"),
    ("slack-outside.txt", samples.outside_message, samples.BOUND, ""),
    ("jira-ticket-decayed.wiki", samples.decayed_ticket, samples.BOUND, "jira"),
    ("jira-ticket-failed.wiki", samples.failed_ticket, {}, "jira"),
    ("jira-ticket-stale.wiki", samples.stale_ticket, {}, "jira"),
    ("jira-ticket-cluster-away.wiki", samples.away_ticket, {}, "jira"),
    ("jira-comment-cluster-answers.wiki", samples.away_over, {}, "jira"),
    ("trello-ticket-cluster-away.md", samples.away_ticket, {}, "trello"),
    ("jira-comment-repeat.wiki", samples.repeat, samples.BOUND, "jira"),
    ("jira-comment-recovery.wiki", samples.recovery, samples.BOUND, "jira"),
    ("trello-ticket-regressed.md", samples.ticket, samples.BOUND, "trello"),
    ("trello-ticket-decayed.md", samples.decayed_ticket, samples.BOUND, "trello"),
    ("trello-ticket-failed.md", samples.failed_ticket, {}, "trello"),
    ("trello-comment-recovery.md", samples.recovery, samples.BOUND, "trello"),
    ("jira-umbrella.wiki", samples.umbrella, samples.BOUND, "jira"),
    ("jira-umbrella-over.wiki", samples.umbrella_over, {}, "jira"),
    ("trello-umbrella.md", samples.umbrella, samples.BOUND, "trello"),
    ("trello-umbrella-over.md", samples.umbrella_over, {}, "trello"),
    ("confluence-run-regressed.xml", samples.run_page, samples.BOUND, ""),
    ("confluence-run-suspicious.xml", lambda w: samples.run_page(w, Outcome.SUSPICIOUS), samples.BOUND, ""),
    ("confluence-archive.xml", samples.archive_page, samples.BOUND, ""),
    ("confluence-pipeline.xml", samples.pipeline_page, {}, ""),
    ("slack-regressed.txt", samples.message, samples.BOUND, ""),
    ("slack-reply-repeat.txt", samples.repeat, samples.BOUND, "reply"),
    ("slack-reply-recovery.txt", samples.recovery, samples.BOUND, "reply"),
    ("slack-regressed-pending.txt", samples.message, {}, ""),
    ("slack-decayed.txt", samples.decayed_message, samples.BOUND, ""),
    ("slack-suspicious.txt", samples.suspicious_message, {}, ""),
    ("slack-recovered.txt", samples.recovered_message, samples.BOUND, ""),
    ("slack-failed.txt", samples.failed_message, samples.BOUND, ""),
    ("jira-comment-confirmed.wiki", samples.confirmed, samples.BOUND, "jira"),
    ("jira-comment-withdrawn.wiki", samples.withdrawn, samples.BOUND, "jira"),
    ("slack-withdrawn.txt", samples.withdrawn_message, samples.BOUND, ""),
    ("jira-comment-reopened.wiki", samples.reopened, samples.BOUND, "jira"),
    ("trello-comment-said-again.md", samples.said_again, samples.BOUND, "trello"),
    ("slack-reply-confirmed.txt", samples.confirmed, samples.BOUND, "reply"),
    ("slack-reply-said-again.txt", samples.said_again, samples.BOUND, "reply"),
    ("jira-answer-noise.wiki", samples.noise_answer, {}, "jira"),
    ("jira-answer-why.wiki", samples.why_answer, {}, "jira"),
    ("jira-answer-all-kinds.wiki", samples.answer_of_all_kinds, {}, "jira"),
    ("jira-answer-diagnosed.wiki", samples.diagnosed_answer, {}, "jira"),
    ("trello-answer-diagnosed.md", samples.diagnosed_answer, {}, "trello"),
    ("slack-answer-diagnosed.txt", samples.diagnosed_answer, {}, "reply"),
    ("trello-answer-why.md", samples.why_answer, {}, "trello"),
    ("trello-answer-help.md", samples.help_answer, {}, "trello"),
    ("slack-answer-noise.txt", samples.noise_answer, {}, "reply"),
    ("slack-answer-why.txt", samples.why_answer, {}, "reply"),
    ("slack-answer-help.txt", samples.help_answer, {}, "reply"),
    ("digest.txt", samples.digest, samples.BOUND, ""),
    ("digest-quiet.txt", samples.quiet_digest, {}, ""),
    ("digest-all-kinds.txt", samples.digest_of_all_kinds, {}, ""),
    ("digest-explained.txt", samples.digest_of_explanations, {}, ""),
    ("digest-own-troubles.txt", samples.digest_of_own_troubles, {}, ""),
    ("digest-withdrawn.txt", samples.digest_of_withdrawn, samples.BOUND, ""),
    ("digest-page.xml", samples.digest, samples.BOUND, "page"),
    ("digest-terminal.txt", samples.digest, samples.BOUND, "text"),
    *(
        (f"{name}-{what}.{suffix}", view, samples.BOUND, f"{name}.{suffix}")
        for name, suffix in (channel.split(".") for channel in CHANNELS)
        for what, view in (
            ("regressed", samples.message),
            ("recovered", samples.recovered_message),
            ("digest", samples.digest),
        )
    ),
]
