import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.errors import TrainingError
from trainer.jobs.schema import ModelJob, ScoreJob
from trainer.jobs.training import TrainJob
from trainer.learning.gradients import LossWatch
from trainer.learning.loop import schedule, update
from trainer.learning.next_item_loss import Example, batch_loss, make_batch
from trainer.learning.weight_averaging import average_fits
from trainer.models.history_scorer import Scorer
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder
from trainer.task import StepReport
from trainer.tasks.next_item import train_on_trips

TEXTS = (
    "bar soap",
    "cola soda",
    "dry shampoo",
    "fluid milk",
    "fresh apples",
    "ground beef",
    "potato chips",
    "white bread",
)


@pytest.fixture
def encoder(model_folder) -> TextEncoder:
    return TextEncoder(find_source(ModelJob(folder=model_folder)), trained_layers=2, max_tokens=16)


def make_example(history, bought, targets=None) -> Example:
    history = np.array(history)
    return Example(history, np.full(len(history), 1 / len(history)), np.array(bought), np.array(targets or bought))


# No text is both bought and history: a text cannot lie near its own next item and away from it at once.
EXAMPLES = [make_example([0, 2], [4]), make_example([2], [7]), make_example([6], [5, 1]), make_example([0, 6], [3])]


def scorer_for(vectors) -> Scorer:
    return Scorer(ScoreJob(), 16, vectors.mean(0))


def test_one_batch_can_be_memorised(encoder):
    beginning = encoder.run_untrained(TEXTS, None)
    scorer, batch = scorer_for(beginning.vectors_ED), make_batch(EXAMPLES)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        loss = batch_loss(scorer.unit_vectors(encoder.encode(beginning.hidden, batch.texts_E)), batch, 0.1)
        optimizer.zero_grad()
        loss.backward()
        update(optimizer, encoder.parameters(), 1.0)
        losses.append(float(loss.detach()))
    assert losses[0] > 1
    assert losses[-1] < 0.05


def losses_of(encoder, seed, job) -> list[float]:
    beginning = encoder.run_untrained(TEXTS, None)
    losses = []
    train_on_trips(
        encoder,
        beginning.hidden,
        scorer_for(beginning.vectors_ED),
        EXAMPLES,
        job,
        np.random.default_rng(seed),
        lambda report: losses.append(report.loss),
    )
    return losses


def test_the_same_seed_gives_the_same_losses_and_another_one_others(model_folder):
    job = TrainJob(batch=2, epochs=3, lr=1e-3)

    def run(seed):
        source = find_source(ModelJob(folder=model_folder))
        return losses_of(TextEncoder(source, trained_layers=2, max_tokens=16), seed, job)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_training_lowers_the_loss(encoder):
    losses = losses_of(encoder, 0, TrainJob(batch=4, epochs=30, lr=1e-3))
    assert losses[-1] < losses[0] / 2


def test_a_loss_that_is_no_number_ends_training_with_advice(encoder):
    with pytest.raises(FloatingPointError, match=r"a smaller train\.lr may help"):
        losses_of(encoder, 0, TrainJob(batch=4, epochs=20, lr=1e30))


def test_a_gradient_that_is_no_number_changes_no_weight():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([1.0, torch.inf])
    with pytest.raises(
        FloatingPointError, match=r"the gradient's norm is inf at step 7 of 9; a smaller train\.lr may help"
    ):
        update(torch.optim.AdamW([weight]), [weight], 1.0, when=" at step 7 of 9")
    assert weight.tolist() == [1.0, 1.0]


def test_a_loss_that_runs_away_is_told_with_its_step_and_one_that_wanders_is_not():
    watch = LossWatch(200)
    for step in range(1, 110):
        watch.add(9.0 if step >= 100 else 2.0 + step % 3, step)
    with pytest.raises(TrainingError, match=r"the loss rose from 3 to 9 by step 110 of 200: it runs away; a smaller"):
        watch.add(9.0, 110)


def test_texts_encoded_in_parts_have_the_same_gradient(encoder):
    hidden, texts = encoder.run_untrained(TEXTS, None).hidden, torch.arange(len(TEXTS))

    def gradients(parts):
        encoder.model.zero_grad()
        torch.nn.functional.cross_entropy(encoder.encode(hidden, texts, parts), texts).backward()
        return [parameter.grad.clone() for parameter in encoder.parameters()]

    whole = gradients(1)
    for parts in (2, 8):
        assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(whole, gradients(parts), strict=True))


def test_the_loss_is_the_cross_entropy_over_candidates_that_were_not_bought():
    torch.manual_seed(0)
    batch = make_batch([make_example([0, 1], [2, 3], [2]), make_example([1], [3])])
    unit = torch.nn.functional.normalize(torch.randn(len(batch.texts_E), 4), dim=1)
    assert batch.texts_E.tolist() == [0, 1, 2, 3]
    # The first trip bought both candidates, so its target has no negative: certain. The second is told 3 from 2.
    user = torch.nn.functional.normalize(unit[1], dim=0)
    expected = -torch.log_softmax(unit[2:4] @ user / 0.1, dim=0)[1] / 2
    assert torch.allclose(batch_loss(unit, batch, 0.1), expected, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), min_size=1)),
        min_size=1,
        max_size=5,
    )
)
def test_a_batch_holds_every_text_once_and_every_weight(drawn):
    examples = [make_example(history, bought) for history, bought in drawn]
    batch = make_batch(examples)
    texts = batch.texts_E.tolist()
    assert texts == sorted(set().union(*(set(history) | set(bought) for history, bought in drawn)))
    assert torch.allclose(batch.bag_BE.sum(1), torch.ones(len(examples)))
    for row, (history, _) in enumerate(drawn):
        weighted = {texts[place] for place in batch.bag_BE[row].nonzero().flatten().tolist()}
        assert weighted == set(history)
    positives = [texts[batch.candidate_C[place]] for place in batch.positive_N.tolist()]
    assert positives == [target for _, bought in drawn for target in bought]


def test_an_epoch_shows_every_example_once(encoder):
    seen = []
    beginning = encoder.run_untrained(TEXTS, None)
    train_on_trips(
        encoder,
        beginning.hidden,
        scorer_for(beginning.vectors_ED),
        EXAMPLES,
        TrainJob(batch=3, epochs=2),
        np.random.default_rng(0),
        lambda report: seen.append(report.examples),
    )
    assert seen == [2, 2, 2, 2]


@given(st.integers(1, 200), st.floats(0, 1))
def test_the_rate_rises_to_one_and_falls_towards_zero_never_reaching_it(steps, warmup):
    rates = [schedule(step, steps, warmup) for step in range(1, steps + 1)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(1)
    assert min(rates) > 0
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_fits_from_one_start_leave_the_mean_of_their_weights():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    begun, told = [], []
    ends = iter([3.0, 5.0])

    def fit(on_step):
        begun.append(weight.item())
        weight.data.fill_(next(ends))
        on_step(StepReport(1, 0.5, 1e-3, 8))

    average_fits(2, [weight], fit, lambda report: told.append(report.step))
    assert begun == [1.0, 1.0]
    assert weight.item() == 4.0
    assert told == [1, 2]
