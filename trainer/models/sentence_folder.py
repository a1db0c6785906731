"""What stands beside a model in a folder of sentence-transformers: how its texts become vectors, read and written."""

import json
from pathlib import Path
from typing import Any

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError
from trainer.models.backbone import FIRST, LAST, MEAN, choose_pooling
from trainer.models.model_form import Form, read_form
from trainer.models.source import ModelSource, read_object
from trainer.tracking.progress import say

MODULES = "modules.json"
CONFIG = "config.json"
PROMPTS = "config_sentence_transformers.json"
READING = "sentence_bert_config.json"
POOLING, NORMALIZE = "1_Pooling", "2_Normalize"
PACKAGE = "sentence_transformers.models"  # as all its releases know the modules
WAYS = {"mean": MEAN, "cls": FIRST, "lasttoken": LAST}
EARLIER = {"mean_tokens": "mean", "cls_token": "cls", "lasttoken": "lasttoken"}  # names of before release 6
READ = ("Transformer", "Pooling", "Normalize", "Dropout")  # the last two change no cosine of a model at rest
ALONE = 'model.pooling = "mean" (or "first", "last") takes the model alone'


def choose_text_pooling(source: ModelSource, wanted: str) -> str:
    """Give how a text's states become one vector: as the folder says, where the job says nothing. Raise ModelError."""
    told = _told_pooling(source.folder) if wanted == "auto" else None
    return told or choose_pooling(source, wanted)


def tell_prompts(folder: Path) -> None:
    """Warn where a folder has words that are to be put before texts: the tables of a job hold what is read."""
    path = folder / PROMPTS
    told = read_object(path, "settings of a sentence encoder").get("prompts") if path.is_file() else None
    prompts = {name: text for name, text in told.items() if text} if isinstance(told, dict) else {}
    if prompts:
        named = ", ".join(f"{name}: {text!r}" for name, text in prompts.items())
        say(f"trainer: warning: {path} has prompts ({named}), which are not put before texts")


def write_sentence_folder(folder: Path, pooling: str, width: int, max_tokens: int) -> None:
    """Let sentence-transformers make of a saved model the vectors that are searched here, of length 1."""
    if read_form(folder).form is not Form.PLAIN:
        return
    kinds = {"": "Transformer", POOLING: "Pooling", NORMALIZE: "Normalize"}
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"{PACKAGE}.{kind}"}
        for place, (path, kind) in enumerate(kinds.items())
    ]
    ways = {f"pooling_mode_{name}": WAYS[way] == pooling for name, way in EARLIER.items()}
    (folder / NORMALIZE).mkdir(exist_ok=True)  # it has no settings
    (folder / POOLING).mkdir(exist_ok=True)
    _write(folder / MODULES, modules)
    _write(folder / POOLING / CONFIG, {"word_embedding_dimension": width, **ways})
    _write(folder / READING, {"max_seq_length": max_tokens, "do_lower_case": False})


def _told_pooling(folder: Path) -> str | None:
    path = folder / MODULES
    if not path.is_file():
        return None
    modules = _read_modules(path)
    for kind in modules:
        if kind not in READ:
            raise ModelError(f"{path}: a {kind} module makes its vectors, which is not read; {ALONE}")
    if "Pooling" not in modules:
        return None
    told = folder / modules["Pooling"] / CONFIG
    if not told.is_file():
        raise ModelError(f"{path}: how its vectors are made stands in {told}, which is not there; {ALONE}")
    ways = _ways_of(read_object(told, "settings of a Pooling module"))
    if len(ways) != 1 or ways[0] not in WAYS:
        raise ModelError(f"{told}: makes vectors by {' and '.join(ways) or 'nothing'}, which is not read; {ALONE}")
    return WAYS[ways[0]]


def _read_modules(path: Path) -> dict[str, str]:
    """Give the folder of each kind of module."""
    try:
        told: Any = parse_json(path.read_text(encoding="utf-8"))
        return {str(one["type"]).rpartition(".")[2]: str(one["path"]) for one in told}
    except (OSError, ValueError, TypeError, KeyError):
        raise ModelError(f"{path}: no list of modules as sentence-transformers writes it; {ALONE}") from None


def _ways_of(told: dict[str, Any]) -> list[str]:
    named = told.get("pooling_mode")
    if named is not None:
        return [str(one) for one in (named if isinstance(named, list) else [named])]
    begins = "pooling_mode_"
    on = [key.removeprefix(begins) for key, value in told.items() if key.startswith(begins) and value is True]
    return [EARLIER.get(name, name) for name in on]


def _write(path: Path, told: object) -> None:
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
