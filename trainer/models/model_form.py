"""What form a model's folder is in: plain weights, or something smaller that `compress` made of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError

FORM = "compressed.json"
GRAPH = "model.onnx"
WEIGHTS = "model.safetensors"
QUERIES = "queries"  # folder, within an asymmetric model's, of what encodes the queries
CONFIG = "config.json"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


class Form(StrEnum):
    """How a folder's weights are to be run."""

    PLAIN = "plain"  # by transformers
    ONNX = "onnx"  # by onnxruntime
    STATIC = "static"  # a vector a token, added up
    ASYMMETRIC = "asymmetric"  # the model itself for products, a static one for queries
    PRUNED = "pruned"  # by transformers, some heads of its layers being gone


@dataclass(frozen=True, slots=True)
class ModelForm:
    """What a compressed folder says of itself."""

    form: Form
    original: str  # digest of the weights it was made of
    width: int  # numbers of a vector, or of an output
    vocabulary: int  # tokens that the model knows, from 0
    numbers: str = "fp32"  # or int8
    scales: str = ""  # of int8's activations: dynamic, as they come, or static, by samples
    reduced_range: bool = False  # of int8: 7 bits a weight, so that no sum of two products saturates
    instructions: str = ""  # of the processor it was made on
    heads: tuple[int, ...] = ()  # that are left of each layer; none: as config.json says


TUNABLE = (Form.PLAIN, Form.PRUNED)  # there are weights to train
PLAIN = ModelForm(Form.PLAIN, "", 0, 0)


def read_form(folder: Path) -> ModelForm:
    """Read what a folder is; one that says nothing is a plain model. Raise ModelError."""
    path = folder / FORM
    if not path.is_file():
        return PLAIN
    try:
        told: Any = parse_json(path.read_text(encoding="utf-8"))
        form = ModelForm(**told | {"form": Form(told["form"]), "heads": tuple(told.get("heads", ()))})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a form this version can read: {str(error).splitlines()[0]}") from None
    if form.form is Form.PLAIN or not all(isinstance(one, int) and one > 0 for one in (form.width, form.vocabulary)):
        raise ModelError(f"{path}: not a form this version can read: width and vocabulary are no counts")
    if (form.form is Form.PRUNED and not form.heads) or not all(isinstance(one, int) and one > 0 for one in form.heads):
        raise ModelError(f"{path}: not a form this version can read: heads is no list of counts, one a layer")
    return form


def write_form(form: ModelForm, folder: Path) -> None:
    """Write what read_form reads."""
    (folder / FORM).write_text(json.dumps(asdict(form), indent=2) + "\n", encoding="utf-8")


def weight_files(folder: Path, form: ModelForm) -> tuple[Path, ...]:
    """Name the files that hold a compressed folder's numbers; raise ModelError where one is missing."""
    files = {
        Form.ONNX: (folder / GRAPH,),
        Form.STATIC: (folder / WEIGHTS,),
        Form.ASYMMETRIC: (folder / WEIGHTS, folder / QUERIES / WEIGHTS),
        Form.PRUNED: (folder / WEIGHTS,),
    }[form.form]
    for path in files:
        if not path.is_file():
            raise ModelError(f"{folder}: holds no {path.relative_to(folder)}, which {FORM} says it is run from")
    return files


def copy_files(source: Path, folder: Path, names: Sequence[str]) -> None:
    """Put those of some files that are there into another folder, byte for byte."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (source / name).is_file():
            (folder / name).write_bytes((source / name).read_bytes())


def form_facts(form: ModelForm) -> Mapping[str, str | int]:
    """Say what form it is, for whoever reads the run later."""
    if form.form is Form.PLAIN:
        return {}
    scaled = {"model.scales": form.scales} if form.scales else {}
    return {**scaled, "model.form": form.form.value, "model.numbers": form.numbers, "model.original": form.original}
