"""What to label next is chosen, handed out, read back and joined; nothing of the test is ever asked for."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.trainer.fitting import fit
from tests.trainer.queries import make_bert, make_rows, write_job, write_rows
from trainer.__main__ import main
from trainer.data.numbers import looks_numeric
from trainer.data.pairs import read_pairs
from trainer.data.splits import Part
from trainer.jobs.file import load_job
from trainer.labelling.choosing import discord, doubt, pick, rank_gap
from trainer.labelling.sheet import AnswerScale

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(scope="module")
def shop(tmp_path_factory, mlflow_file) -> Path:
    """Return a folder with a fitted model of grades, its job, and pairs that nobody has judged."""
    folder = tmp_path_factory.mktemp("labels")
    (folder / "mlflow.db").write_bytes(mlflow_file.read_bytes())
    rows = make_rows()
    job = write_job(folder, "relevance", write_rows(folder / "pairs.csv", rows), make_bert(folder / "bert"))
    assert fit(job, "train.epochs=2", "train.batch=32") == 0
    judged = {(row.query, row.product_id) for row in rows}
    products = {row.product_id: row.title for row in rows}
    queries = {row.query: row.part for row in rows}
    lines = ["query,product_id,title,room"]
    for query in queries:
        lines += [f"{query},{key},{title},hall" for key, title in products.items() if (query, key) not in judged]
    lines.append(f"{rows[0].query},{rows[0].product_id},{rows[0].title},hall")
    (folder / "unjudged.csv").write_text("\n".join(lines) + "\n")
    (folder / "parts.json").write_text(json.dumps(queries))
    return folder


def next_of(shop: Path, output: Path, *more: str) -> int:
    model = ["--model", str(shop / "relevance" / "model")]
    pairs = ["--pairs", str(shop / "unjudged.csv")]
    return main(["label", "next", str(shop / "relevance.toml"), *model, *pairs, "--output", str(output), *more])


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "to_label.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def fill(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("id", "label", "rater"), *rows])
    return path


@pytest.mark.parametrize("by", ["uncertainty", "disagreement", "diversity", "mix", "random"])
def test_what_is_asked_next_is_of_train_queries_and_nobody_has_judged_it(shop, tmp_path, capsys, by):
    assert next_of(shop, tmp_path / "next", "--count", "12", "--by", by) == 0
    asked = table_of(tmp_path / "next")
    parts = json.loads((shop / "parts.json").read_text())
    assert len({row["id"] for row in asked}) == 12
    assert {parts[row["query"]] for row in asked} == {"train"}
    judged = {(row["query"], row["title"]) for row in csv.DictReader((shop / "pairs.csv").read_text().splitlines())}
    assert not judged & {(row["query"], row["product"]) for row in asked}
    said = capsys.readouterr().out
    assert "12 of " in said
    assert "of a query or user of valid or test rows" in said


def test_answers_come_back_into_the_table_and_a_fit_learns_from_them(shop, tmp_path, capsys):
    assert next_of(shop, tmp_path / "next", "--count", "6") == 0
    ids = [row["id"] for row in table_of(tmp_path / "next")]
    ann = fill(tmp_path / "ann.csv", [(name, "3", "") for name in ids[:5]])
    ben = fill(tmp_path / "ben.csv", [(ids[0], "2", "Ben"), (ids[5], "", "Ben")])
    job, joined = shop / "relevance.toml", tmp_path / "joined"
    read = ["label", "read", str(job), str(tmp_path / "next"), str(ann), str(ben), "--output", str(joined)]
    capsys.readouterr()
    assert main(read) == 0
    assert "5 of 6 pairs have a label; raters: Ben 1, ann 5" in capsys.readouterr().out
    before = len((shop / "pairs.csv").read_text().splitlines()) - 1
    rows = pq.read_table(joined / "pairs.parquet").to_pylist()
    assert len(rows) == before + 5
    assert {row["part"] for row in rows[before:]} == {"train"}
    assert sorted(row["grade"] for row in rows[before:]) == ["2.5", "3", "3", "3", "3"]
    assert len(pq.read_table(joined / "ratings.parquet")) == 6
    again = load_job(job, [f"data.path={joined}/pairs.parquet"])
    first, second = read_pairs(load_job(job).data), read_pairs(again.data)
    assert len(second) == len(first) + 5
    held = (Part.VALID, Part.TEST)
    assert [second.texts(second.rows(part)) for part in held] == [first.texts(first.rows(part)) for part in held]


def test_what_a_spreadsheet_saved_with_semicolons_and_decimal_commas_is_read(shop, tmp_path, capsys):
    assert next_of(shop, tmp_path / "next", "--count", "4", "--by", "random") == 0
    ids = [row["id"] for row in table_of(tmp_path / "next")]
    rows = [f"{ids[0]};2,5;B\xe9n\xe9dicte", f"{ids[1]};1;B\xe9n\xe9dicte", f"{ids[2]};;", f"{ids[3]};3,0;\x1b[31m"]
    (tmp_path / "answers.csv").write_bytes("\r\n".join(["id;label;rater", *rows, ""]).encode("cp1252"))
    command = ["label", "read", str(shop / "relevance.toml"), str(tmp_path / "next"), str(tmp_path / "answers.csv")]
    capsys.readouterr()
    assert main([*command, "--output", str(tmp_path / "joined")]) == 0
    assert "3 of 4 pairs have a label; raters: \ufffd[31m 1, B\xe9n\xe9dicte 2" in capsys.readouterr().out
    ratings = pq.read_table(tmp_path / "joined" / "ratings.parquet").to_pylist()
    assert {row["id"]: row["label"] for row in ratings} == {ids[0]: "2.5", ids[1]: "1", ids[3]: "3"}


def test_labels_join_a_table_in_its_own_way_of_writing_numbers(shop, tmp_path):
    rows = [line.split(",") for line in (shop / "pairs.csv").read_text().splitlines()]
    comma = [[*row[:3], row[3].replace(".0", ",50") if row[3] == "1.0" else row[3], *row[4:]] for row in rows]
    (tmp_path / "pairs.csv").write_text("\n".join(";".join(row) for row in comma) + "\n")
    assert next_of(shop, tmp_path / "next", "--count", "2", "--by", "random") == 0
    ids = [row["id"] for row in table_of(tmp_path / "next")]
    answers = fill(tmp_path / "ann.csv", [(ids[0], "2.5", "Ann"), (ids[1], "3", "Ann")])
    told = ["--set", f"data.path={tmp_path}/pairs.csv", "--output", str(tmp_path / "joined")]
    assert main(["label", "read", str(shop / "relevance.toml"), str(tmp_path / "next"), str(answers), *told]) == 0
    job = load_job(shop / "relevance.toml", [f"data.path={tmp_path}/joined/pairs.parquet"])
    assert read_pairs(job.data).label.tolist()[-2:] == [2.5, 3.0]


def test_pairs_without_a_time_are_not_asked_where_a_fit_would_leave_them_out(shop, tmp_path, capsys):
    first, *rows = (shop / "pairs.csv").read_text().splitlines()
    (tmp_path / "pairs.csv").write_text("\n".join([f"{first},at", *(f"{row},2026-01-02" for row in rows)]) + "\n")
    told = [
        "--count",
        "3",
        "--by",
        "random",
        "--set",
        f"data.path={tmp_path}/pairs.csv",
        "--set",
        "data.columns.time=at",
    ]
    assert next_of(shop, tmp_path / "next", *told) == 2
    assert "unjudged.csv: column 'at' is missing" in capsys.readouterr().err
    first, *rows = (shop / "unjudged.csv").read_text().splitlines()
    times = ("2026-01-02", "")
    pool = [f"{first},at", *(f"{row},{times[place % 2]}" for place, row in enumerate(rows))]
    (tmp_path / "unjudged.csv").write_text("\n".join(pool) + "\n")
    assert next_of(shop, tmp_path / "next", *told, "--pairs", str(tmp_path / "unjudged.csv")) == 0
    assert f"{len(rows) // 2} without a time" in capsys.readouterr().out


def test_two_files_of_one_name_without_raters_are_not_taken_for_one_rater(shop, tmp_path, capsys):
    assert next_of(shop, tmp_path / "next", "--count", "2", "--by", "random") == 0
    name = table_of(tmp_path / "next")[0]["id"]
    files = []
    for who in ("ann", "ben"):
        (tmp_path / who).mkdir()
        files.append(fill(tmp_path / who / "to_label.csv", [(name, "3", "")]))
    command = ["label", "read", str(shop / "relevance.toml"), str(tmp_path / "next"), *map(str, files)]
    assert main([*command, "--output", str(tmp_path / "joined")]) == 2
    error = capsys.readouterr().err
    assert f"{files[1]}: row 1 has no rater, who would be 'to_label' as in {files[0]}" in error
    assert not (tmp_path / "joined").exists()
    fill(files[1], [(name, "2", "'=Ben")])  # as the form keeps a spreadsheet from computing a name
    assert main([*command, "--output", str(tmp_path / "joined")]) == 0
    assert "raters: =Ben 1, to_label 1" in capsys.readouterr().out


def test_an_answer_that_looks_like_a_formula_comes_back_as_the_form_writes_it():
    scale = AnswerScale("classes", ("-", "@home", "'"), 0, 1, named=True)
    assert [scale.read(label) for label in ("'-", "@home", "'@home", "'")] == ["-", "@home", "@home", "'"]
    with pytest.raises(ValueError, match="one of -, @home, ' is right"):
        scale.read("'home")


@pytest.mark.parametrize(
    ("label", "high", "right"),
    [("2,5", 3, "2.5"), ("2.50", 3, "2.5"), ("1,500", 5000, "1500"), ("1,500", 3, "1.5"), ("1,2,3", 3, None),
     ("1_0", 30, None), ("nan", 3, None), ("inf", 3, None), ("True", 3, None), ("", 3, None), ("1 2", 30, None)],
)  # fmt: skip
def test_an_answer_between_ends_is_a_number_in_either_way_of_writing(label, high, right):
    scale = AnswerScale("grades", (), 0, high, named=False)
    if right is not None:
        assert scale.read(label) == right
        return
    with pytest.raises(ValueError, match=f"a number from 0 to {high} is right"):
        scale.read(label)


def test_no_spreadsheet_takes_an_id_for_a_number(shop, tmp_path):
    assert next_of(shop, tmp_path / "next", "--count", "9999", "--by", "random") == 0
    ids = [row["id"] for row in table_of(tmp_path / "next")]
    assert len(ids) > 40
    assert not [name for name in ids if looks_numeric(name) or name[0] != "p"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("nobody", "3", "a"), "id 'nobody' was not asked"),
        (("ID", "7", "a"), "label '7': a number from 1 to 3 is right"),
        (("ID", "good", "a"), "label 'good': a number from 1 to 3 is right"),
        (("ID", "1", "ann"), "ann labels ID '1' and before '3': one label a rater is right"),
    ],
)
def test_an_answer_that_cannot_be_is_named_with_its_row_and_nothing_is_written(shop, tmp_path, capsys, row, said):
    assert next_of(shop, tmp_path / "next", "--count", "2", "--by", "random") == 0
    name = table_of(tmp_path / "next")[0]["id"]
    told = tuple(part.replace("ID", name) for part in row)
    answers = fill(tmp_path / "answers.csv", [(name, "3", "ann"), told])
    sheet, output = tmp_path / "next", tmp_path / "joined"
    assert main(["label", "read", str(shop / "relevance.toml"), str(sheet), str(answers), "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert f"{answers}: row 2: {said.replace('ID', name)}" in error
    assert not output.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--by", "hope"], "key 'label.by"),
        (["--by", "random", "--by", "mix"], '"random" chooses by nothing else'),
        (["--by", "disagreement", "--other", "nowhere"], "nowhere: there is no such model folder"),
        (["--set", "data.split.by=time"], "split.by"),
        (["--pairs", "nowhere.csv"], "nowhere.csv: there is no such file or folder"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_no_folder(shop, tmp_path, capsys, more, said):
    assert next_of(shop, tmp_path / "next", *more) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert said in told[-1]
    assert not (tmp_path / "next").exists()


def test_a_second_model_disagrees_where_its_chances_are_others(shop, tmp_path):
    other = str(shop / "relevance" / "model")
    assert next_of(shop, tmp_path / "next", "--count", "3", "--by", "disagreement", "--other", other) == 0
    assert {row["disagreement"] for row in table_of(tmp_path / "next")} == {"0.0000"}  # with itself


def test_texts_that_look_like_markup_or_formulas_are_texts(shop, tmp_path):
    strange = tmp_path / "strange.csv"
    parts = json.loads((shop / "parts.json").read_text())
    query = next(name for name, part in parts.items() if part == "train")
    strange.write_text(f'query,product_id,title,room\n{query},x1,"</script><b>@@SHEET@@",hall\n{query},x2,=1+1,hall\n')
    assert next_of(shop, tmp_path / "next", "--pairs", str(strange), "--by", "random") == 0
    page = (tmp_path / "next" / "form.html").read_text()
    assert page.count("</script>") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert {row["product"] for row in table_of(tmp_path / "next")} >= {"'=1+1"}


def test_doubt_is_greatest_where_chances_are_even_and_models_that_agree_have_no_discord():
    chances = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    assert doubt(chances)[0] == pytest.approx(1.0)
    assert list(np.argsort(-doubt(chances))) == [0, 1, 2]
    assert np.allclose(discord(np.stack([chances, chances])), 0.0)
    assert np.argmax(discord(np.stack([chances, chances[:, ::-1]]))) == 2
    assert rank_gap(np.array([1.0, 2.0, 3.0]), np.array([30.0, 20.0, 10.0])).tolist() == pytest.approx(
        [2 / 3, 0, 2 / 3]
    )


def test_clusters_give_one_pair_of_each_and_the_same_seed_the_same_pairs():
    rng = np.random.default_rng(0)
    centres = np.eye(4)
    vectors = np.concatenate([centre + rng.normal(0, 0.01, (25, 4)) for centre in centres])
    chosen = pick({}, vectors, 4, 100, 0)
    assert sorted(place // 25 for place in chosen) == [0, 1, 2, 3]
    assert chosen == pick({}, vectors, 4, 100, 0)
    worth = {"uncertainty": np.arange(100.0)}
    assert pick(worth, None, 3, 100, 0) == [99, 98, 97]
    assert min(pick(worth, vectors, 3, 100, 0)) >= 70  # of the thirty that are worth most
    assert sorted(pick({}, None, 200, 100, 1)) == list(range(100))
