"""The names that Herald and the programs it runs agree on; docs/job-protocol.md says what they mean."""

FIRE_TAG = "herald.fire_id"
GUESS_TAG = "herald.guessed"  # the fire's id was not written by the job: its run was found by the time
RERUN_TAG = "herald.rerun"  # Herald made it to ask about another run: it is of no series, whoever looks
UNDEFINED_TAG = "herald.undefined"  # metrics that the run's data leave undefined, by commas
DATA_TAG = "herald.data_hash"  # of the data that a run learnt from, or of all of it
TEST_SET_TAG = "herald.test_hash"  # of what it was scored on, labels and candidates with it
LOCK_TAG = "herald.lock_hash"  # of the names and versions of all packages that were installed
ENVIRONMENT_TAG = "herald.environment"  # `python 3.11.9, torch 2.9.0`: for people
MACHINE_TAG = "herald.machine"
CARD_FILE = "data_card.json"
TABLE_FILE = "per_example.parquet"
EXPLANATIONS_FILE = "explanations.json"
PARENT_TAG = "mlflow.parentRunId"  # of a run inside another
COMMIT_TAG = "mlflow.source.git.commit"  # MLflow writes it by itself where a program runs in a checkout
INTERVAL_ENDS = frozenset({"low", "high"})  # logged as low/METRIC and high/METRIC
