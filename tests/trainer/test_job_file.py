import re
from pathlib import Path
from typing import get_args

import pytest

from trainer.errors import JobError
from trainer.jobs.file import load_job
from trainer.jobs.schema import JOBS, AnyJob, flatten

GOOD = """
task = "next_item"
output = "out"
[data]
snapshot = "snap"
[model]
folder = "model"
[tracking]
uri = "sqlite:///mlflow.db"
experiment = "e"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(GOOD)
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(JobError) as caught:
        load_job(path, overrides)
    return str(caught.value)


def test_paths_in_the_file_are_relative_to_the_file(path, monkeypatch):
    monkeypatch.chdir("/")
    job = load_job(path)
    assert (job.output, job.data.snapshot) == (path.parent / "out", path.parent / "snap")
    assert job.tracking.uri == f"sqlite:///{path.parent}/mlflow.db"


def test_paths_of_overrides_are_relative_to_the_current_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    job = load_job(path, ["output=elsewhere", "data.snapshot=other"])
    assert (job.output, job.data.snapshot) == (tmp_path.parent / "elsewhere", tmp_path.parent / "other")


def test_a_tracking_address_that_is_refused_is_told_without_who_signs_in(path):
    assert "'tracking.uri' is 'ftp://tracking.example': not a tracking URI" in refusal(
        path, "tracking.uri=ftp://bob:s3cret@tracking.example"
    )


def test_the_folder_of_a_user_whom_nobody_knows_is_bad_input(path):
    instead = "~nobody-here/runs: nobody knows whose folder ~nobody-here is"
    assert refusal(path, "output=~nobody-here/runs") == f"--set output={instead}"
    with pytest.raises(JobError, match=f"^--model {instead}$"):
        load_job(path, model="~nobody-here/runs")
    path.write_text(GOOD.replace('"out"', '"~nobody-here/runs"'))
    told = refusal(path)
    assert "'output'" in told
    assert instead in told


def test_overrides_are_read_as_toml_and_as_text_where_they_are_none(path):
    job = load_job(path, ["seed=3", "train.lr=1e-4", "tracking.run_name=seed three"])
    assert (job.seed, job.train.lr, job.tracking.run_name) == (3, 1e-4, "seed three")


def test_an_unknown_key_is_refused_naming_the_nearest(path):
    assert "unknown key 'train.epoch': did you mean 'epochs'?" in refusal(path, "train.epoch=2")
    assert "unknown key 'sed': did you mean 'seed'?" in refusal(path, "sed=2")


def test_an_unknown_key_with_no_neighbour_lists_the_known_ones(path):
    assert "known keys are kind, snapshot" in refusal(path, "data.zzz=1")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=-1", "key 'seed' is -1"),
        ("seed=true", "key 'seed' is true: a whole number is right"),
        ("task=cooking", "key 'task' is 'cooking'"),
        ("train.batch=1", "key 'train.batch' is 1"),
        ("train.lr=0", "key 'train.lr' is 0"),
        ("tracking.uri=./mlruns", "not a tracking URI"),
        ("tracking.registered=shop/pairs", "the registry takes no name that is blank or holds / or :"),
        ("tracking.alias=Latest", "key 'tracking.alias' is 'Latest': the registry keeps latest, and v with a number"),
        ("tracking.alias='the best'", "the registry takes letters, digits, _ and -, 255 at most"),
        ("tracking.params={'a,b'=1}", "no name 'a,b' is taken by MLflow: letters, digits"),
        ('tracking.tags={""="x"}', "no name '' is taken by MLflow: letters, digits"),
        ("tracking.tags={'../a'='x'}", "no name '../a' is taken by MLflow: letters, digits"),
        (f"tracking.experiment={'e' * 501}", "at most 500 characters"),
        ("model.package=x", "give either package or folder"),
        ("model.revision=v1", "revision is of a model that name fetches from the hub"),
        ("model.sha256=abc", "key 'model.sha256' is 'abc'"),
        ("output=''", "a path cannot be empty"),
        (f"output={'a' * 256}", "no file has such a name"),
        ("output='a\0b'", "no file has such a name"),
        ("model.package=../../etc", "key 'model.package' is '../../etc'"),
        ("model.package=''", "key 'model.package' is ''"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(path, override, said):
    assert said in refusal(path, override)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("device.compile=yes", "key 'device.compile' is 'yes': 'auto', true or false is right"),
        ("device=cuda", "key 'device' is 'cuda': a table is right, [device]; did you mean device.kind?"),
        ("checkpoint=5", "key 'checkpoint' is 5: a table is right, [checkpoint], with keys every, keep, folder"),
        ("tracking.tags=3", "key 'tracking.tags' is 3: a table is right"),
        (
            "tracking.params={a=[1]}",
            "key 'tracking.params.a' is [1]: a text, a whole number, a number, true or false is right",
        ),
    ],
)
def test_what_may_be_one_of_several_kinds_is_refused_once_and_in_the_words_of_the_file(path, override, said):
    assert refusal(path, override).endswith(f"job.toml: {said}")


def test_a_missing_key_is_named(path):
    path.write_text(GOOD.replace('experiment = "e"', ""))
    assert "key 'tracking.experiment' is missing" in refusal(path)


def test_broken_toml_and_missing_files_are_told_in_one_sentence(path, tmp_path):
    path.write_text("task = ")
    assert "not valid TOML" in refusal(path)
    assert "no such job file" in refusal(tmp_path / "none.toml")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("override", ["seed", "=3", "seed.deep=1"])
def test_an_override_that_sets_nothing_is_refused(path, override):
    path.write_text("seed = 1\n" + GOOD)
    assert f"--set {override}" in refusal(path, override)


def test_the_fire_id_comes_from_the_environment_unless_the_file_has_one(path, monkeypatch):
    monkeypatch.setenv("HERALD_FIRE_ID", "from-outside")
    assert load_job(path).tracking.fire_id == "from-outside"
    assert load_job(path, ["tracking.fire_id=own"]).tracking.fire_id == "own"


def test_flattening_leaves_unset_keys_out(path):
    flat = flatten(load_job(path).model_dump())
    assert flat["train.batch"] == 128
    assert "model.package" not in flat
    assert flat["data.snapshot"] == str(path.parent / "snap")


def test_the_example_job_files_load():
    examples = sorted(Path("examples").glob("*/fit*.toml"))
    assert {path.parent.name for path in examples} >= {"next_purchase", "product_search", "reviews"}
    given = set().union(*(load_job(example).model_fields_set for example in examples))
    assert {"cluster", "slices"} <= given


def test_the_job_files_of_the_page_load_with_the_defaults_they_state(tmp_path):
    found = re.findall(r"```toml\n(.*?)```", Path("docs/trainer.md").read_text(), re.DOTALL)
    jobs = [block for block in found if 'task = "re' in block]
    assert len(jobs) == 2
    for block in jobs:
        (tmp_path / "job.toml").write_text(block)
        job = load_job(tmp_path / "job.toml")
        assert job.train == type(job.train)()
        for name, section in (("train", job.train), ("model", job.model)):
            for key in type(section).model_fields:
                assert re.search(
                    rf"^(# )?{key} = |model\.{key}", block + Path("docs/trainer.md").read_text(), re.MULTILINE
                ) or (key in Path("docs/job-protocol.md").read_text()), f"{name}.{key}"


def test_every_task_can_be_asked_for_by_its_name():
    assert set(JOBS.values()) == set(get_args(AnyJob))
    assert [name for name, job in JOBS.items() if name not in get_args(job.model_fields["task"].annotation)] == []
