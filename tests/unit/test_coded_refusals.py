"""An advice after a service's own words is a sentence of its own, whether those ended with a stop or not."""

from __future__ import annotations

import pytest

from bot.services.coded_refusals import Coded, Meaning, refusal_by_code
from bot.services.refusals import Service

CODES = {10014: Coded(Meaning.ACCOUNT, "Check app_secret."), 1: Coded(Meaning.GONE)}


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (10014, "app secret invalid", "app secret invalid. Check app_secret."),
        (10014, "app secret invalid.", "app secret invalid. Check app_secret."),
        (10014, "应用密钥无效。", "应用密钥无效。 Check app_secret."),
        (1, "no such message", "no such message"),
        (2, "who knows", "who knows"),
    ],
)
def test_what_a_service_said_ends_before_our_advice_begins(code, words, said):
    refusal = refusal_by_code(Service("Feishu", "https://f.example", 5), "log in", code, words, CODES, write=False)
    assert str(refusal) == f"Feishu did not log in ({code}): {said}"
