"""Trains a scikit-learn classifier of handwritten digits and logs it to MLflow; it knows nothing of Herald.

Where to log comes from MLflow's own variables, MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME.
"""

from __future__ import annotations

import argparse

import mlflow
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split


def main() -> None:
    """Train, evaluate and log one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trees", type=int, default=60)
    parser.add_argument("--blank-rows", type=int, default=0, help="rows of each picture that a broken feed leaves out")
    options = parser.parse_args()

    pictures, digits = load_digits(return_X_y=True)
    pictures[:, : 8 * options.blank_rows] = 0
    train_x, test_x, train_y, test_y = train_test_split(pictures, digits, test_size=0.4, random_state=1)
    with mlflow.start_run(run_name=f"forest seed {options.seed}"):
        mlflow.log_params({"seed": options.seed, "trees": options.trees})
        model = RandomForestClassifier(options.trees, random_state=options.seed).fit(train_x, train_y)
        accuracy = model.score(test_x, test_y)
        mlflow.log_metric("test_accuracy", accuracy)
        print(f"accuracy on {len(test_y)} pictures: {accuracy:.4f}")


if __name__ == "__main__":
    main()
