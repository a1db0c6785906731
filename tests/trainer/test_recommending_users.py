"""A user of whatever data a fit takes is recommended something, by the history that stands there."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.logs import write_table
from tests.trainer.user_log import COLUMNS, JOB, LAST, NEW_TO_2, ROWS, THINGS, log
from trainer.__main__ import main
from trainer.jobs.schema import ModelJob, ScoreJob
from trainer.models.history_scorer import Scorer, save_scorer
from trainer.models.source import find_source
from trainer.models.text_encoder import TextEncoder


@pytest.fixture(scope="module")
def saved(model_folder, tmp_path_factory) -> Path:
    """Write a model as a fit would, nothing of it trained, that never recommends what was chosen before."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    encoder = TextEncoder(find_source(ModelJob(folder=model_folder)), trained_layers=1, max_tokens=16)
    encoder.save(folder)
    centre = encoder.embed(THINGS).mean(0)
    save_scorer(Scorer(ScoreJob(repeats=False, half_life_days=0.01), 16, centre), folder)
    return folder


@pytest.fixture
def ask(tmp_path, saved, capsys):
    """Ask for everything that may be recommended to a user: give the ids of the products."""

    def recommend(user: str, data: str, *more: str) -> set[str]:
        (tmp_path / "job.toml").write_text(JOB.format(data=data))
        asked = ["--user", user, "--job", str(tmp_path / "job.toml"), "-k", "99", "--json"]
        capsys.readouterr()
        code = main(["recommend", str(saved), *asked, *more])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        (answer,) = json.loads(printed.out)
        assert answer["asked"] == user
        return {product["key"] for product in answer["products"]}

    return recommend


def test_a_user_of_a_log_is_recommended_what_the_log_says_is_new(tmp_path, ask):
    write_table(tmp_path / "log.csv", log())
    assert ask("2", f'path = "log.csv"\n{COLUMNS}{LAST}') == NEW_TO_2


def test_the_rows_of_the_test_are_part_of_a_history_whatever_the_job_scores(tmp_path, ask):
    write_table(tmp_path / "log.csv", log())
    valid = 'holdout = { by = "last", score_on = "valid" }\nleak_check = "warn"\n'
    assert ask("2", f'path = "log.csv"\n{COLUMNS}{valid}') == NEW_TO_2


def test_neither_an_empty_split_nor_a_leak_hinders(tmp_path, ask):
    write_table(tmp_path / "log.csv", log())
    later = 'holdout = { by = "time", test_from = 2024-06-01 }\n'
    assert ask("2", f'path = "log.csv"\n{COLUMNS}{later}') == NEW_TO_2


@pytest.mark.parametrize("asked", ["17852", "17852.0", " 17852 "])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_numbers_are_names_however_they_were_read(tmp_path, ask, ending, asked):
    users = [17850.0 + user for user, _, _ in ROWS]
    write_table(tmp_path / f"log.{ending}", log(user=users))
    assert ask(asked, f'path = "log.{ending}"\n{COLUMNS}{LAST}') == NEW_TO_2


def test_a_user_of_an_array_of_objects(tmp_path, ask):
    table = log()
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    (tmp_path / "log.json").write_text(json.dumps(rows, indent=1))
    assert ask("2", f'path = "log.json"\n{COLUMNS}{LAST}') == NEW_TO_2


def test_a_user_of_a_file_without_names_and_with_two_colons(tmp_path, ask):
    (tmp_path / "log.dat").write_text("".join(f"{u}::{i}::{1704067200 + s * 86400}\n" for u, i, s in ROWS))
    (tmp_path / "items.dat").write_bytes("".join(f"{n}::{one} é\n" for n, one in enumerate(THINGS)).encode("latin-1"))
    data = """path = "log.dat"
kind = "interactions"
delimiter = "::"
header = ["user", "item", "time"]
columns = { user = "user", item = "item", time = "time" }
items = { path = "items.dat", delimiter = "::", encoding = "latin-1", header = ["item", "text"], id = "item", text = "text" }
"""
    assert ask("2", data + LAST) == NEW_TO_2


def test_a_user_whom_only_a_joined_table_of_orders_names(tmp_path, ask):
    orders = {
        "order": [f"{u}-{s}" for u, _, s in ROWS],
        "user": [u for u, _, _ in ROWS],
        "number": [s for *_, s in ROWS],
    }
    write_table(tmp_path / "orders.csv", orders)
    write_table(tmp_path / "lines.csv", {"order": orders["order"], "item": [item for _, item, _ in ROWS]})
    write_table(tmp_path / "items.csv", {"item": list(range(8)), "text": list(THINGS)})
    data = """path = "lines.csv"
kind = "interactions"
columns = { user = "user", item = "item", time = "number", event = "order" }
time_format = "steps"
join = [{ path = "orders.csv", on = "order" }]
items = { path = "items.csv", id = "item", text = "text" }
"""
    assert ask("2", data + LAST) == NEW_TO_2


def test_what_cleaning_takes_out_is_no_history(tmp_path, ask):
    behaviour = ["view" if item == 3 else "buy" for _, item, _ in ROWS]
    write_table(tmp_path / "log.csv", log(what=behaviour))
    columns = COLUMNS.replace('text = "text"', 'text = "text", behaviour = "what"')
    kept = 'cleaning = { behaviours = ["buy"] }\n'
    assert ask("2", f'path = "log.csv"\n{columns}{kept}{LAST}') == NEW_TO_2  # of item 3 nothing was bought: it is gone
    assert ask("4", f'path = "log.csv"\n{columns}{kept}{LAST}') == {"0", "1", "2"}


def test_of_several_rows_of_one_person_the_longest_history_counts(tmp_path, ask):
    write_table(tmp_path / "items.csv", {"item": list(range(8)), "text": list(THINGS)})
    history = [[str((user + n) % 8) for n in range(step)] for user, _, step in ROWS]
    table = {
        "user": [user for user, _, _ in ROWS],
        "history": [" ".join(one) for one in history],
        "target": [item for _, item, _ in ROWS],
        "part": ["test" if step == 3 else "train" for *_, step in ROWS],
    }
    write_table(tmp_path / "rows.csv", table)
    data = """path = "rows.csv"
kind = "histories"
columns = { user = "user", history = "history", target = "target", part = "part" }
items = { path = "items.csv", id = "item", text = "text" }
leak_check = "warn"
"""
    assert ask("2", data) == NEW_TO_2
    assert ask("2", data + 'holdout = { score_on = "valid" }\n') == NEW_TO_2


def test_a_job_of_a_snapshot_is_as_good_as_the_snapshot(ask, snapshot_folder):
    assert ask("7", f'snapshot = "{snapshot_folder}"') == ask(
        "7", 'snapshot = "x"', "--set", f"data.snapshot={snapshot_folder}"
    )


def test_a_user_who_came_once_long_ago_has_a_history_too(tmp_path, ask):
    write_table(tmp_path / "log.csv", log_with_nine())
    assert ask("9", f'path = "log.csv"\n{COLUMNS}{LAST}') == set("0234567")


def log_with_nine() -> dict[str, list[Any]]:
    last = ("9", "1", "1999-01-01 10:00:00", "bread")
    return {name: [*values, more] for (name, values), more in zip(log().items(), last, strict=True)}


def refusal(
    tmp_path: Path, saved: Path, capsys: Any, *words: str, data: str = f'path = "log.csv"\n{COLUMNS}{LAST}'
) -> str:
    write_table(tmp_path / "log.csv", log_with_nine())
    (tmp_path / "job.toml").write_text(JOB.format(data=data))
    assert main(["recommend", str(saved), *words]) == 2
    return capsys.readouterr().err


def test_asking_wrongly_is_told_in_a_sentence(tmp_path, saved, capsys):
    job, rare = str(tmp_path / "job.toml"), f'path = "log.csv"\n{COLUMNS}{LAST}cleaning = {{ min_users = 3 }}\n'
    for words, said in (
        (
            ["--user", "nobody", "--job", job],
            "log.csv: knows no user 'nobody', or nothing is left of them after cleaning",
        ),
        (["--user", "2"], "--user ID goes together with one of --job JOB.toml and --snapshot DIR"),
        (["--user", "2", "--job", job, "--snapshot", "x"], "goes together with one of"),
        (["milk", "--job", job], "--job goes together with --user ID"),
        (
            ["--user", "2", "--snapshot", "x", "--set", "seed=1"],
            "--set overrides a key of the job file that --job names",
        ),
    ):
        assert said in refusal(tmp_path, saved, capsys, *words)
    assert "has no history among the items" in refusal(tmp_path, saved, capsys, "--user", "9", "--job", job, data=rare)


def test_a_job_of_another_task_has_no_users_to_recommend_to(tmp_path, saved, capsys):
    (tmp_path / "pairs.toml").write_text(
        'task = "retrieval"\noutput = "out"\n[data]\nkind = "pairs"\npath = "x.csv"\n'
        'columns = { query = "q", product = "p" }\nsplit = { by = "query" }\n'
        '[model]\nfolder = "model"\n[tracking]\nuri = "sqlite:///m.db"\nexperiment = "none"\n'
    )
    said = refusal(tmp_path, saved, capsys, "--user", "2", "--job", str(tmp_path / "pairs.toml"))
    assert "task is 'retrieval': the data of a next_item job" in said
