"""Which way a metric is better, guessed from its name as teams write them."""

from __future__ import annotations

import re

from bot.domain.policy import Direction

# Words of a name that say that less is better. What measures quality (`accuracy`, `ndcg`, `recall`, `auc`) is the rule.
_LESS = frozenset(
    re.findall(
        r"\w+",
        """
        loss losses error errors err latency time seconds secs sec ms millis milliseconds minutes duration delay lag
        mse rmse mae mape smape msle rmsle nll perplexity ppl bpb wer cer fpr fnr fdr brier ece entropy crossentropy
        divergence kl distance cost price memory ram vram mb gb bytes size params flops regret bounce churn abandonment
        failures failed failure misses missing violations hinge bias variance drift staleness
        """,
    )
)
# Words that turn it round again: `error_free`, `loss_reduction`, `time_saved`.
_TURNS = frozenset({"free", "reduction", "reduced", "saved", "savings", "gain", "improvement", "uplift", "coverage"})
_LESS_AT_THE_END = ("loss", "latency", "error")  # logloss
_PERCENTILE = re.compile(r"p\d{2,3}")  # p95 and the like are of latencies


def words_of(name: str) -> tuple[str, ...]:
    """Part a name at what is no letter or digit, and where a capital begins a word: `valLoss/ndcg@10`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return tuple(word for word in re.split(r"[^a-z0-9]+", parted.lower()) if word)


def guess_direction(name: str) -> Direction:
    """Guess whether more or less of a metric is better; a person is shown the guess."""
    words = set(words_of(name))
    if words & _TURNS:
        return Direction.UP
    is_less = words & _LESS or any(_PERCENTILE.fullmatch(word) or word.endswith(_LESS_AT_THE_END) for word in words)
    return Direction.DOWN if is_less else Direction.UP
