"""A fit that is cut off goes on where it stood, and comes to what it would have come to."""

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.trainer import queries
from tests.trainer.fitting import weights_of
from tests.trainer.pictured_shop import make_shown, make_tower, write_pictured_job, write_shop
from trainer.errors import CheckpointError, JobError, Stopped, TrainingError
from trainer.jobs.file import load_job
from trainer.learning.checkpoint_files import Checkpoint, Shelf, checkpoints_in, read_checkpoint
from trainer.learning.checkpoints import KeptCheckpoints
from trainer.learning.resuming import resumption, shelf_folder
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.device import BF16, FP16, PROCESSOR, Device
from trainer.stopping import stoppable
from trainer.task import StepReport
from trainer.tasks.loading import load_task

CUTS = {  # job -> what is set otherwise
    "next_item": (),
    "relevance": ("train.epochs=2",),
    "relevance, adapters with dropout": ("model.lora={rank = 2, dropout = 0.3}", "train.epochs=2"),
    "relevance, adapters": ("model.lora={rank = 2}", "train.epochs=2"),
    "relevance, two fits averaged": ("train.average=2",),
    "relevance, ended early": ("train.epochs=8", "train.lr=0.01", "train.early_stop={looks = 2, patience = 2}"),
    "retrieval": ("train.epochs=3", "relevant=3.0", "train.layers=1"),
    "retrieval, in parts": ("train.epochs=3", "relevant=3.0", "train.layers=1", "train.accumulate=3"),
    "retrieval, adapted first": ("adapt={batch = 256, epochs = 2}", "relevant=3.0", "train.layers=1"),
    "pictured, adapted first": ("adapt={batch = 64, epochs = 2}", "train.epochs=1", "model.images.epochs=1"),
    "relevance, two fits averaged of an adapted model": ("adapt={batch = 256, texts = 40}", "train.average=2"),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a fit came to: every weight that it saves, and what it told of its steps."""

    weights: dict[str, torch.Tensor]
    told: list[StepReport] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Desk:
    """Job files of all tasks in one folder."""

    folder: Path
    snapshot_job: Path
    more: tuple[str, ...] = ()
    device: Device = PROCESSOR

    def job(self, name: str, *more: str):
        task, settings_of = name.partition(",")[0], CUTS[name]
        batch = {"next_item": 8, "relevance": 24, "retrieval": 8, "pictured": 16}[task]
        path = self.snapshot_job if task == "next_item" else self.folder / f"{task}.toml"
        gaps = (f"model.folder={self.folder}/gaps",) if "adapted" in name else ()
        return load_job(path, (f"train.batch={batch}", *gaps, *settings_of, *self.more, *more))

    def run(self, name: str, *, cut: int = 0, resume: str = "auto", more: tuple[str, ...] = ()) -> Ended:
        """Fit, cut off after so many steps where that is given."""
        job = self.job(name, *more)
        task = load_task(job, training=True, device=self.device)
        with resumption(job, task, resume, self.device) as place, stoppable():
            checkpoints = KeptCheckpoints(place, job.checkpoint.every, "run-1")

            def on_step(report: StepReport) -> None:
                checkpoints.report(report)
                if len(checkpoints.told) == cut:
                    signal.raise_signal(signal.SIGTERM)

            ready = task.fit(on_step, checkpoints)
            checkpoints.clear()
        maps = ready.pictures.placed.space.state_dict() if name.startswith("pictured") else {}
        return Ended(weights_of(task) | maps, checkpoints.told)


@pytest.fixture(scope="module")
def desk(tmp_path_factory, snapshot_folder, model_folder) -> Desk:
    from tests.trainer.shop import make_bench

    folder = tmp_path_factory.mktemp("desk")
    bert = queries.make_bert(folder / "bert")
    queries.write_gap(queries.make_bert(folder / "gaps"))
    data = queries.write_rows(folder / "pairs.csv", queries.make_rows())
    for task in ("relevance", "retrieval"):
        queries.write_job(folder, task, data, bert)
    shop = write_shop(folder / "shop", make_shown())
    write_pictured_job(folder, shop, bert, make_tower(folder / "tower"))
    return Desk(folder, make_bench(folder, snapshot_folder, model_folder).path)


@pytest.fixture(scope="module")
def whole(desk) -> dict[str, Ended]:
    return {name: desk.run(name) for name in CUTS}


def same(one: Ended, other: Ended) -> bool:
    assert one.told == other.told
    return all(torch.equal(weights, other.weights[name]) for name, weights in one.weights.items())


@pytest.mark.parametrize("name", CUTS)
@settings(max_examples=2, deadline=None, phases=(Phase.generate,))  # a smaller example says no more
@given(data=st.data())
def test_cut_off_anywhere_and_gone_on_with_it_ends_as_if_nothing_had_been(desk, whole, name, data):
    last = len(whole[name].told)
    cuts = data.draw(st.lists(st.integers(1, last), min_size=1, max_size=2, unique=True).map(sorted))
    for cut in cuts:
        with pytest.raises(Stopped):
            desk.run(name, cut=cut)
    assert same(desk.run(name), whole[name])
    assert not (desk.folder / ".checkpoints").exists()


def test_a_training_whose_valid_loss_falls_no_more_ends_with_the_weights_of_the_lowest(desk, whole, capsys):
    ended = whole["relevance, ended early"]
    seen = {one.step: one.valid_loss for one in ended.told if one.valid_loss is not None}
    best = min(seen, key=seen.get)
    assert list(seen)[-1] == ended.told[-1].step < 56  # not all the steps of eight epochs
    assert [loss for step, loss in seen.items() if step > best] == pytest.approx(
        [loss for step, loss in seen.items() if step > best and loss >= seen[best]]
    )
    again = desk.run("relevance, ended early")
    assert f"lowest, {seen[best]:.4g}, after step {best} of 56" in capsys.readouterr().err
    assert same(again, ended)


def cut_off(desk: Desk, cut: int, *more: str) -> list[Path]:
    """Leave the checkpoints of a fit that writes one a step and is cut off; give them, the oldest first."""
    with pytest.raises(Stopped):
        desk.run("next_item", cut=cut, more=("checkpoint.every=1e-9", *more))
    return checkpoints_in(shelf_folder(desk.job("next_item", *more)))


@pytest.fixture
def own_desk(desk, tmp_path) -> Desk:
    """The same jobs, with checkpoints in a folder of the test."""
    return replace(desk, more=(f"checkpoint.folder={tmp_path}/kept",))


def test_the_last_two_are_kept_and_hold_nothing_but_tensors_and_words(own_desk):
    kept = cut_off(own_desk, 5)
    assert [path.name for path in kept] == ["step-00000004", "step-00000005"]
    assert {path.name for path in kept[0].iterdir()} == {"state.safetensors", "checkpoint.json"}


def test_one_that_is_damaged_is_told_and_the_one_before_gone_on_from(own_desk, whole, capsys):
    newest = cut_off(own_desk, 5)[-1]
    state = newest / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    assert same(own_desk.run("next_item"), whole["next_item"])
    assert f"{newest}: no checkpoint that this version can go on from" in capsys.readouterr().err


def test_one_of_another_job_is_refused_by_what_differs(own_desk):
    kept = cut_off(own_desk, 2)[-1]
    with pytest.raises(CheckpointError, match=r"is of another job: seed was 0, is 7, train.lr was 0.0003, is 0.001$"):
        own_desk.run("next_item", resume=str(kept), more=("seed=7", "train.lr=0.001"))
    with pytest.raises(CheckpointError, match="--resume nowhere: there is no such folder; auto and never are right"):
        own_desk.run("next_item", resume="nowhere")


def test_a_named_one_is_gone_on_from_and_never_begins_anew(own_desk, whole):
    first, _ = cut_off(own_desk, 3)
    told = read_checkpoint(first).story
    assert (told.step, told.steps, told.run_id) == (2, 8, "run-1")
    assert same(own_desk.run("next_item", resume=str(first)), whole["next_item"])
    cut_off(own_desk, 3)
    assert same(own_desk.run("next_item", resume="never"), whole["next_item"])


@pytest.fixture(scope="module")
def two_steps(desk, tmp_path_factory) -> Path:
    """The checkpoints of two steps, made once."""
    folder = tmp_path_factory.mktemp("two")
    return cut_off(replace(desk, more=(f"checkpoint.folder={folder}",)), 2)[0].parent


@pytest.fixture
def left(own_desk, two_steps) -> Path:
    """A copy of them, where the test's own fit looks."""
    return copytree(two_steps, shelf_folder(own_desk.job("next_item")))


def begin(desk: Desk, resume: str, *more: str, device: Device = PROCESSOR):
    """Find where a fit would go on from, as it does before it begins."""
    job = desk.job("next_item", *more)
    return resumption(job, load_task(job, training=True, device=PROCESSOR), resume, device)


def test_a_named_one_stays_by_whatever_way_it_is_named(own_desk, tmp_path):
    first, second = cut_off(own_desk, 3)
    (tmp_path / "link").symlink_to(first.parent)
    with begin(own_desk, f"{tmp_path}/kept/../link/{first.name}") as place:
        assert place.found.story.step == 2
        assert first.is_dir()
        assert not second.exists()


@pytest.mark.parametrize("name", ["tokenizer", "config"])
def test_one_of_another_tokenizer_or_configuration_is_refused_by_its_name(own_desk, tmp_path, model_folder, name):
    kept = cut_off(own_desk, 2)[-1]
    copytree(model_folder, tmp_path / "model")
    with (tmp_path / "model" / f"{name}.json").open("a") as stream:
        stream.write("\n")
    with pytest.raises(CheckpointError, match=rf"is of another job: model\.{name} was \w+, is \w+$"):
        begin(own_desk, str(kept), f"model.folder={tmp_path}/model").__enter__()


def test_one_in_another_precision_is_refused_by_its_name(own_desk):
    kept = cut_off(own_desk, 2)[-1]
    with pytest.raises(CheckpointError, match=r"is of another job: device\.precision was fp32, is bf16$"):
        begin(own_desk, str(kept), device=Device(precision=BF16)).__enter__()


def test_a_folder_of_checkpoints_within_the_output_is_refused(desk):
    with pytest.raises(
        JobError, match=r"checkpoint\.folder = .*/kept: lies in output = .* a folder outside it is right"
    ):
        begin(desk, "auto", f"checkpoint.folder={desk.job('next_item').output}/../x/../output/kept").__enter__()


def rewrite(folder: Path, checkpoint: Checkpoint) -> None:
    Shelf(folder.parent, keep=9).put(checkpoint, int(folder.name[-8:]))


def changed(**other) -> Callable[[Path], None]:
    """Give what writes a checkpoint that is whole and says what cannot be."""

    def change(folder: Path) -> None:
        found = read_checkpoint(folder)
        rewrite(folder, replace(found, story=replace(found.story, **other)))

    return change


def flip_a_bit(folder: Path) -> None:
    state = folder / "state.safetensors"
    held = bytearray(state.read_bytes())
    held[-5000] ^= 1
    state.write_bytes(held)


def lose_what_was_told(folder: Path) -> None:
    found = read_checkpoint(folder)
    rewrite(folder, replace(found, tensors={k: v for k, v in found.tensors.items() if k != "told.loss"}))


def another_step(folder: Path) -> None:
    story = folder / "checkpoint.json"
    story.write_text(story.read_text().replace('"step": 2,', '"step": 3,'))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (flip_a_bit, "its digest is another one: it was damaged or changed"),
        (another_step, "its digest is another one: it was damaged or changed"),
        (changed(step=10**9), "there is no step 1000000000 of 8, in 1 parts"),
        (changed(step=-1), "there is no step -1 of 8, in 1 parts"),
        (changed(parts=0), "there is no step 2 of 8, in 0 parts"),
        (changed(step="2"), "checkpoint.json is of other types"),
        (lose_what_was_told, "told.loss is missing or no list of numbers"),
        (lambda folder: (folder / "checkpoint.json").write_text("[" * 100_000), "it is nested too deep"),
        (lambda folder: (folder / "checkpoint.json").write_text("[1]"), "another version wrote it"),
    ],
)
def test_whatever_cannot_be_read_is_told_and_set_aside_and_the_one_before_gone_on_from(
    own_desk, left, capsys, damage, why
):
    newest = left / "step-00000003"
    copytree(left / "step-00000002", newest)
    damage(newest)
    with begin(own_desk, "auto") as place:
        assert place.found.folder.name == "step-00000002"
    assert f"{newest}: no checkpoint that this version can go on from: {why}" in capsys.readouterr().err
    assert [path.name for path in checkpoints_in(left)] == ["step-00000001", "step-00000002"]
    assert newest.with_suffix(".unreadable").is_dir()


def test_one_that_does_not_fit_the_model_changes_nothing_and_the_next_try_takes_the_one_before(own_desk, whole):
    newest = cut_off(own_desk, 3)[-1]
    found = read_checkpoint(newest)
    rewrite(newest, replace(found, tensors={k: v for k, v in found.tensors.items() if k != "weight.3"}))
    with pytest.raises(
        CheckpointError, match=r"can go on from: weight\.3 is missing; the same command goes on from the"
    ):
        own_desk.run("next_item")
    assert same(own_desk.run("next_item"), whole["next_item"])


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(own_desk, left, whole, capsys):
    (left / "lock").unlink()
    (left / "lock").mkdir()
    before = checkpoints_in(left)
    assert same(own_desk.run("next_item", more=("checkpoint.every=1e-9",)), whole["next_item"])
    assert f"{left}: cannot be written to (Is a directory): this fit keeps nothing there" in capsys.readouterr().err
    assert checkpoints_in(left) == before


def test_links_and_files_are_no_checkpoints_and_in_nobodys_way(own_desk, left):
    (left / "step-00000003").symlink_to(left / "step-00000001")
    (left / "step-00000004").write_text("")
    kept = cut_off(own_desk, 4)
    assert [(path.name, read_checkpoint(path).story.step) for path in kept] == [
        ("step-00000003", 3),
        ("step-00000004", 4),
    ]


def test_a_job_that_is_set_otherwise_is_told_where_was_looked(own_desk, left, capsys):
    with begin(own_desk, "auto", "train.lr=0.001") as place:
        assert place.found is None
    assert (
        f"{left.parent} holds no checkpoint of this job as it is set now: the fit begins anew"
        in capsys.readouterr().err
    )


def test_data_that_changed_since_begin_the_fit_anew_and_are_named(own_desk, whole, capsys):
    newest = cut_off(own_desk, 3)[-1]
    found = read_checkpoint(newest)
    rewrite(newest, replace(found, story=replace(found.story, identity={**found.story.identity, "data.hash": "0"})))
    assert same(own_desk.run("next_item"), whole["next_item"])
    assert f"{newest} is not gone on from: data.hash was 0" in capsys.readouterr().err


def test_a_full_disk_keeps_the_last_good_one_and_the_fit_goes_on(own_desk, whole, capsys):
    kept = cut_off(own_desk, 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(Stopped):
            own_desk.run("next_item", cut=4, more=("checkpoint.every=1e-9",))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = capsys.readouterr().err
    assert "the checkpoint of step 3 was not written: " in told
    assert "File too large" in told
    assert "step-00000002 is kept, the fit goes on" in told
    assert checkpoints_in(kept[0].parent) == kept
    assert same(own_desk.run("next_item"), whole["next_item"])


def test_two_fits_of_one_job_at_once_do_not_mix_their_checkpoints(own_desk, whole, capsys):
    cut_off(own_desk, 2)
    job = own_desk.job("next_item")
    with resumption(job, load_task(job, training=True, device=PROCESSOR), "auto") as first:
        assert first.found is not None
        assert same(own_desk.run("next_item", more=("checkpoint.every=1e-9",)), whole["next_item"])
    assert "another fit of this job writes there: this one keeps nothing" in capsys.readouterr().err


def test_the_scale_of_half_precision_is_gone_on_with_too(own_desk):
    half = replace(own_desk, device=Device(precision=FP16))
    through = half.run("relevance")
    with pytest.raises(Stopped):
        half.run("relevance", cut=3)
    assert same(half.run("relevance"), through)


def test_what_was_left_long_ago_goes_away(own_desk):
    kept = cut_off(own_desk, 2)[0].parent
    long_ago = kept.stat().st_mtime - 30 * 86_400
    os.utime(kept, (long_ago, long_ago))
    other = own_desk.job("next_item", "seed=5")
    with resumption(other, load_task(other, training=True, device=PROCESSOR), "auto"):
        assert not kept.exists()


def test_a_batch_that_does_not_fit_into_memory_is_learnt_in_parts_with_the_same_result(
    desk, whole, monkeypatch, capsys
):
    score = CrossEncoder.score

    def score_few(self, tokens, rows):
        if len(rows) > 7 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return score(self, tokens, rows)

    monkeypatch.setattr(CrossEncoder, "score", score_few)
    ended = desk.run("relevance")
    told = capsys.readouterr().err
    assert "step 1 does not fit into memory: its 24 rows are computed in 4 parts from here on" in told
    assert [one.loss for one in ended.told] == pytest.approx([one.loss for one in whole["relevance"].told], abs=1e-5)
    assert all(torch.allclose(w, ended.weights[n], atol=1e-4) for n, w in whole["relevance"].weights.items())


@pytest.mark.parametrize("name", ["next_item", "relevance", "retrieval"])
def test_a_batch_in_parts_that_the_job_asks_for_is_learnt_with_the_same_result(desk, whole, name, monkeypatch):
    rows: list[int] = []
    score = CrossEncoder.score
    monkeypatch.setattr(
        CrossEncoder, "score", lambda self, tokens, some: (rows.append(len(some)), score(self, tokens, some))[1]
    )
    ended = desk.run(name, more=("train.accumulate=3",))
    assert [one.loss for one in ended.told] == pytest.approx([one.loss for one in whole[name].told], abs=1e-5)
    assert all(torch.allclose(w, ended.weights[n], atol=1e-4) for n, w in whole[name].weights.items())
    if name == "relevance":  # classes weigh otherwise in each part, and rows are not learnt at once
        assert max(rows[: 3 * len(ended.told)]) == 8


def test_more_parts_than_rows_are_refused(desk):
    with pytest.raises(JobError, match="accumulate = 9 parts are more than batch = 8 rows"):
        desk.job("retrieval", "train.accumulate=9")


def test_memory_that_is_too_short_for_a_row_is_told_with_what_to_set(desk, monkeypatch):
    def never(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried")

    monkeypatch.setattr(CrossEncoder, "score", never)
    with pytest.raises(TrainingError, match=r"step 1 does not fit into memory, not even its rows .* set train\.batch"):
        desk.run("relevance")
