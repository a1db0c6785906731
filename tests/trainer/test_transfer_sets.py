"""Sets of rows, draws that nest, and what of one set's test another set's train rows tell."""

import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.data.snapshot import ASK, LEARN, TARGET
from trainer.data.splits import Part
from trainer.errors import DataError, JobError
from trainer.jobs.adaptation import AdaptJob
from trainer.jobs.file import load_job, load_sets
from trainer.results.logged_metrics import cell_name
from trainer.transfer.drawing import draw_whole
from trainer.transfer.fitting import fit_cell, open_fit, score_cell
from trainer.transfer.leaks import LATER, find_cross_leaks, judge_cross_leaks, left_out
from trainer.transfer.plan import TransferCell, plan_transfer
from trainer.transfer.sets import open_sets


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_a_smaller_draw_is_part_of_a_larger_one_and_units_stay_whole(units, one, other, seed):
    units = np.array(units)
    few, more = (draw_whole(units, count, np.random.default_rng(seed)) for count in sorted((one, other)))
    assert set(few.tolist()) <= set(more.tolist())
    for chosen in (few, more):
        assert set(np.flatnonzero(np.isin(units, units[chosen])).tolist()) == set(chosen.tolist())
    assert len(more) <= max(one, other) or len(np.unique(units[more])) == 1


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return make_bert(tmp_path_factory.mktemp("model") / "bert")


def job_of(folder, rows, bert, transfer, task="relevance", split='{ by = "column" }', **settings):
    path = write_job(folder, task, write_rows(folder / "pairs.csv", rows, label="binary"), bert)
    path.write_text(f"{path.read_text()}\n[transfer]\n{transfer}\n".replace('{ by = "column" }', split))
    return load_job(path, [f"{key}={value}" for key, value in settings.items()])


@pytest.fixture
def rooms(tmp_path, bert):
    return job_of(tmp_path, make_rows(by_colour=True), bert, 'by = "room"\nshots = [0, 20]')


def test_a_column_gives_a_set_for_each_value_split_as_the_table_is(rooms):
    sets = open_sets(rooms, {})
    assert set(sets.sources) == set(sets.targets) == {"hall", "kitchen"}
    for name, one in sets.by_name.items():
        assert set(one.pairs.slices["room"]) == {name}
        assert {len(one.pairs.rows(part)) > 0 for part in Part} == {True}


def test_a_column_that_is_no_slice_is_read_too(tmp_path, bert):
    job = job_of(tmp_path, make_rows(by_colour=True), bert, 'by = "product_id"\nlargest = 2')
    assert len(open_sets(job, {}).by_name) == 2


def test_tables_of_their_own_change_what_they_name_and_keep_the_rest(tmp_path, bert):
    write_rows(tmp_path / "other.csv", make_rows(3, by_colour=True), label="binary")
    told = '[transfer.sets.here]\n[transfer.sets.there]\npath = "other.csv"\ncolumns = { slices = [] }'
    job = job_of(tmp_path, make_rows(by_colour=True), bert, told)
    others = load_sets(tmp_path / "relevance.toml")
    assert others["here"].data == job.data
    assert others["there"].data.path == tmp_path / "other.csv"
    assert others["there"].data.columns == job.data.columns.model_copy(update={"slices": ()})


def test_few_shots_are_nested_and_leave_the_test_alone(rooms):
    sets = open_sets(rooms, {})
    hall = sets.by_name["hall"]
    few, more = hall.few(10, seed=3), hall.few(30, seed=3)
    assert set(few.learn.tolist()) <= set(more.learn.tolist())
    given = hall.given(few)
    assert given.rows(Part.TRAIN).tolist() == few.learn.tolist()
    assert given.rows(Part.TEST).tolist() == hall.pairs.rows(Part.TEST).tolist()
    assert given.card.hash != hall.given(more).card.hash


def test_queries_are_drawn_whole_where_the_split_keeps_them_together(tmp_path, bert):
    rows = make_rows(by_colour=True)
    job = job_of(tmp_path, rows, bert, 'by = "room"', split='{ by = "query", test = 0.3, valid = 0.2 }')
    hall = open_sets(job, {}).by_name["hall"]
    learn = hall.few(40, seed=0).learn
    train = hall.pairs.rows(Part.TRAIN)
    asked = np.unique(hall.pairs.query_id[learn])
    assert learn.tolist() == train[np.isin(hall.pairs.query_id[train], asked)].tolist()
    assert 0 < len(learn) <= 40


def test_the_plan_names_every_cell_once_a_seed(rooms):
    sets = open_sets(rooms, {})
    plan = plan_transfer(rooms, sets, find_cross_leaks(sets))
    assert len(plan.cells) == len(set(plan.cells)) == 3 * (4 + 2 + 4 + 2)
    assert TransferCell("hall", "kitchen", 20, 2) in plan.cells
    assert TransferCell("hall", "hall", 20, 2) not in plan.cells


def test_a_job_that_adapts_has_a_start_that_reads_the_targets_texts_beside_the_plain_one(rooms):
    sets = open_sets(rooms, {})
    adapting = rooms.model_copy(update={"adapt": AdaptJob()})
    plan = plan_transfer(adapting, sets, find_cross_leaks(sets))
    adapted = [(cell.target, cell.shots) for cell in plan.cells if cell.source == "adapted" and cell.seed == 0]
    assert adapted == [("hall", 20), ("hall", None), ("kitchen", 20), ("kitchen", None)]
    assert not [cell for cell in plan_transfer(rooms, sets, {}).cells if cell.source == "adapted"]


def leaking(tmp_path, bert, leak_check):
    """Give two tables, the train rows of the first holding test rows of the second, one of them nearly."""
    rows = make_rows(by_colour=True)
    others = [dataclasses.replace(row, query=f"new {row.query}", title=f"oak {row.title}") for row in rows]
    tested = [row for row in others if row.part == "test"][:6]
    near = dataclasses.replace(tested[0], query=f"{tested[0].query}s", title=f"{tested[0].title}s", product_id="999")
    copied = [dataclasses.replace(row, part="train", product_id=f"9{row.product_id}") for row in (near, *tested[1:])]
    write_rows(tmp_path / "kitchen.csv", others, label="binary")
    told = f'leak_check = "{leak_check}"\nshots = [0, 20]\n[transfer.sets.hall]\n[transfer.sets.kitchen]\npath = "kitchen.csv"'
    job = job_of(tmp_path, [*rows, *copied], bert, told)
    return job, open_sets(job, load_sets(tmp_path / "relevance.toml"))


def test_rows_that_tell_a_targets_test_are_counted_and_left_out_of_the_source(tmp_path, bert):
    job, sets = leaking(tmp_path, bert, "leave out")
    leaks = find_cross_leaks(sets)
    found = leaks["hall", "kitchen"].found
    assert found["same pair"] >= 5
    assert found["near-duplicate pair"] >= 1
    hall = sets.by_name["hall"].pairs
    out = left_out(leaks, "hall", job.transfer)
    assert {hall.queries[query][:4] for query in hall.query_id[out].tolist()} == {"new "}
    plan = plan_transfer(job, sets, leaks)
    assert not set(plan.learnt_of("hall", 0).learn.tolist()) & set(out.tolist())
    assert not sum(leaks["kitchen", "hall"].found.values())


def test_leaks_between_sets_are_refused_or_told_where_the_job_says_so(tmp_path, bert, capsys):
    job, sets = leaking(tmp_path, bert, "refuse")
    leaks = find_cross_leaks(sets)
    with pytest.raises(DataError, match="test rows of 'kitchen' stand in the train rows of 'hall': 5 same pair"):
        judge_cross_leaks(leaks, job.transfer)
    told = job.transfer.model_copy(update={"leak_check": "warn"})
    judge_cross_leaks(leaks, told)
    assert "they are learnt" in capsys.readouterr().err
    assert not len(left_out(leaks, "hall", told))


def test_departments_are_sets_of_what_users_chose(bench):
    told = ("transfer.by=department", "transfer.sources=['GROCERY']", "transfer.targets=['DRUG GM']")
    sets = open_sets(bench.job(*told), {})
    grocery, drugs = sets.by_name["GROCERY"], sets.by_name["DRUG GM"]
    assert set(drugs.snapshot.catalogue.groups) == {"DRUG GM"}
    few, more = drugs.few(5, seed=1), drugs.few(20, seed=1)
    assert (few.amount, more.amount) == (5, 20)
    assert set(few.learn.tolist()) <= set(more.learn.tolist())
    given = drugs.given(few)
    assert np.flatnonzero(given.use == LEARN).tolist() == few.learn.tolist()
    assert (given.use == TARGET).sum() == (drugs.snapshot.use == TARGET).sum()
    assert (given.use == ASK).any()  # of those who were not drawn: a history, and no lesson
    leaks = find_cross_leaks(sets)
    assert leaks["GROCERY", "DRUG GM"].found == {LATER: 0}  # one split for all
    late = dataclasses.replace(grocery, snapshot=later(grocery.snapshot))
    moved = find_cross_leaks(dataclasses.replace(sets, by_name={"GROCERY": late, "DRUG GM": drugs}))
    assert moved["GROCERY", "DRUG GM"].found[LATER] > 0


def test_a_fit_of_all_rows_that_is_kept_scores_as_it_did(bench, tmp_path):
    told = ("transfer.by=department", "transfer.sources=['GROCERY']", "transfer.targets=['DRUG GM']")
    drugs = open_sets(bench.job(*told), {}).by_name["DRUG GM"]
    drawn = drugs.everything(0)
    fitted = fit_cell(open_fit(drugs, drawn, 0, None, 1), print)
    fitted.save(tmp_path / "model")
    again, bare = (score_cell(drugs, one, 0, tmp_path / "model").outcome for one in (drawn, drugs.nothing()))
    for name in ("ndcg_at_10", "mrr"):
        assert again.metrics[name] == pytest.approx(fitted.ready.score().metrics[name])
    assert again.compared["popularity"] != bare.compared["popularity"]  # which teaches how often items are chosen


def later(snapshot):
    """Give a snapshot whose train rows lie after everything."""
    purchases = snapshot.purchases
    return dataclasses.replace(snapshot, purchases=dataclasses.replace(purchases, time=purchases.time + 400))


def planned(job, folder):
    sets = open_sets(job, load_sets(folder / "relevance.toml"))
    return plan_transfer(job, sets, find_cross_leaks(sets))


@pytest.mark.parametrize(
    ("transfer", "said"),
    [
        ('by = "room"\nshots = [0, 5000]', "transfer.shots: 5000 is more than the"),
        ('by = "room"\nshots = [100, 10]', "whole numbers that rise"),
        ('by = "room"\nsources = ["cellar"]', "'room' is never 'cellar'; its values are hall, kitchen"),
        ('by = "colour"', "colour"),
        ('by = "room"\nsources = ["hall"]\ntargets = ["hall"]', "nothing is carried over"),
        ('by = "room"\nmetric = "hr_at_10"', "transfer.metric = 'hr_at_10': one of auc, accuracy"),
        ('by = "room"\nshots = [0, 1]', "hold one label alone"),
        ('by = "part"', "0 of its values have train and test rows"),
        ("[transfer.sets.one]\n", "is alone"),
        ('sources = ["a"]\n[transfer.sets.one]\n[transfer.sets.two]\n', "sources names 'a'"),
        ("[transfer.sets.one]\n[transfer.sets.plain]\n", "'plain' is what a start without a source is called"),
        ('by = "room"\n[transfer.sets.one]\n', "give either by"),
        ("seeds = [0, 0]\nby = 'room'", "the same one twice"),
        ("seeds = []\nby = 'room'", "seeds = []: at least one is right"),
    ],
)
def test_what_cannot_be_carried_over_is_one_sentence(tmp_path, bert, transfer, said):
    rows = make_rows(by_colour=True)
    with pytest.raises((DataError, JobError), match=said.replace("[", r"\[")):
        planned(job_of(tmp_path, rows, bert, transfer), tmp_path)


def test_a_value_that_is_called_as_a_start_is_not_dropped_in_silence(tmp_path, bert):
    rows = [
        dataclasses.replace(row, room="plain" if row.room == "hall" else row.room) for row in make_rows(by_colour=True)
    ]
    with pytest.raises(DataError, match="its value 'plain' is what a start without a source is called"):
        planned(job_of(tmp_path, rows, bert, 'by = "room"'), tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("A", "A.B", "B.C", "C"), "'A' on 'B.C' and 'A.B' on 'C' are both 'A.B.C' in MLflow: names without points"),
        (("\N{RED APPLE}", "\N{BANANA}", "A", "B"), "the sets .* and .* have one name in MLflow: name others"),
        (("A.B", "..", "E" * 300, "E" * 301), None),
    ],
)
def test_names_that_give_two_cells_one_metric_are_refused(tmp_path, bert, names, said):
    rows = [dataclasses.replace(row, room=names[place // 7 % 4]) for place, row in enumerate(make_rows(by_colour=True))]
    rows = [dataclasses.replace(row, part=("train", "test")[place % 2]) for place, row in enumerate(rows)]
    job = job_of(tmp_path, rows, bert, 'by = "room"\nlargest = 4')
    if said is not None:
        with pytest.raises(DataError, match=said):
            open_sets(job, {})
        return
    assert set(open_sets(job, {}).sources) == set(names)
    assert cell_name(names[2], names[3]) != cell_name(names[3], names[2])
    for one, other in product(names, names):
        for name in (f"high/gain/{cell_name(one, other)}.1000", f"{cell_name(one, other)}.0"):
            _validate_metric_name(name)
            assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_valid_rows_settle_only_where_what_was_drawn_comes_to_twenty(tmp_path, bert):
    rows = make_rows(by_colour=True)
    job = job_of(tmp_path, rows, bert, 'by = "room"', split='{ by = "query", test = 0.2, valid = 0.4 }')
    hall = open_sets(job, {}).by_name["hall"]
    settled = [
        len(hall.few(shots, seed).settle) for shots in range(8, len(hall.pairs.rows(Part.TRAIN))) for seed in (0, 1)
    ]
    assert max(settled) >= 20
    assert not any(0 < count < 20 for count in settled)


def test_a_mistake_in_a_set_is_told_with_its_name(tmp_path, bert):
    told = '[transfer.sets.one]\n[transfer.sets.two]\nsplit = { by = "colour" }'
    job_of(tmp_path, make_rows(by_colour=True), bert, told)
    with pytest.raises(JobError, match=r"data\.split\.by.*with what \[transfer\.sets\.two\] changes"):
        load_sets(tmp_path / "relevance.toml")


def test_labels_of_several_kinds_are_refused(tmp_path, bert):
    write_rows(tmp_path / "graded.csv", make_rows(by_colour=True))
    told = '[transfer.sets.one]\n[transfer.sets.two]\npath = "graded.csv"'
    job = job_of(tmp_path, make_rows(by_colour=True), bert, told)
    with pytest.raises(DataError, match="not of one kind: 'one' has yes or no, 'two' has grades"):
        open_sets(job, load_sets(tmp_path / "relevance.toml"))
