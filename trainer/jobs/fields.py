"""What every section of a job file is made of: strictness, paths relative to the file, bounded numbers."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

PACKAGED = "package:"
LONGEST = 255  # bytes of a file's name, on all systems that this runs on


class Section(BaseModel):
    """A table of the job file: unknown keys fail, values are of the type they say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def resolve_path(value: object, info: ValidationInfo) -> object:
    """Read a path as relative to the job file's folder, `package:NAME/FILE` as a file inside an installed package."""
    if not isinstance(value, str):
        return value
    if not value:
        raise ValueError("a path cannot be empty")
    if "\0" in value or any(len(part.encode()) > LONGEST for part in Path(value).parts):
        raise ValueError(f"no file has such a name: it holds a null, or a part of more than {LONGEST} bytes")
    if value.startswith(PACKAGED):
        return _packaged(value.removeprefix(PACKAGED))
    return Path(info.context or ".", expanded(value))


def expanded(path: str) -> Path:
    """Give a path, `~` and `~NAME` being a user's folder; raise ValueError where nobody knows that."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: nobody knows whose folder {path.partition('/')[0]} is") from None


def _packaged(value: str) -> Path:
    """Find a file of a package without importing it."""
    package, _, inner = value.partition("/")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"the package {package!r} is not installed")
    return Path(next(iter(spec.submodule_search_locations)), inner)


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


FilePath = Annotated[Path, BeforeValidator(resolve_path)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Name = Annotated[str, Field(min_length=1)]
PackageName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_more), Field(strict=False, min_length=1)]  # one or a list
SomeNames = Annotated[tuple[Name, ...], BeforeValidator(_one_or_more), Field(strict=False)]
