"""Kubernetes' own schemas: what goes to a cluster and what comes from it has to be as they say."""

from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate.utils as published
from referencing import Registry, Resource

VERSION = "1.37"
_DEFINED = {"Status", "DeleteOptions", "APIGroupList"}  # of no file of their own
_FOLDER = "kubernetes-json-schema/v1.37.0-local-strict"


def check(body: dict[str, Any]) -> None:
    """Raise a ValidationError where an object is not as its schema has it; unknown fields are errors too."""
    _validator(body["kind"], body["apiVersion"]).validate(body)


@cache
def _validator(kind: str, version: str) -> jsonschema.Draft202012Validator:
    definitions = published.schema_contents(f"{_FOLDER}/_definitions.json", VERSION)
    registry = Resource.from_contents(definitions) @ Registry()
    if kind in _DEFINED:
        reference = f"{definitions['$id']}#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"
        return jsonschema.Draft202012Validator({"$ref": reference}, registry=registry)
    group, _, number = version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], number) if part)
    schema = Resource.from_contents(published.schema_contents(f"{_FOLDER}/{name}.json", VERSION))
    return jsonschema.Draft202012Validator(schema.contents, registry=schema @ registry)
