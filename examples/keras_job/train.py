"""Trains a small Keras classifier of handwritten digits and logs it to MLflow; it knows nothing of Herald.

Where to log comes from MLflow's own variables, MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # or tensorflow, or jax; Keras reads it when it is imported

import keras
import mlflow
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main() -> None:
    """Train, evaluate and log one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--blank-rows", type=int, default=0, help="rows of each picture that a broken feed leaves out")
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)

    pictures, digits = load_digits(return_X_y=True)
    pictures = (pictures / 16).astype("float32")
    pictures[:, : 8 * options.blank_rows] = 0
    train_x, test_x, train_y, test_y = train_test_split(pictures, digits, test_size=0.4, random_state=1)

    model = keras.Sequential(
        [keras.layers.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with mlflow.start_run(run_name=f"keras seed {options.seed}"):
        mlflow.log_params({"seed": options.seed, "epochs": options.epochs, "backend": keras.backend.backend()})
        history = model.fit(train_x, train_y, epochs=options.epochs, batch_size=32, verbose=2)
        for epoch, loss in enumerate(history.history["loss"]):
            mlflow.log_metric("loss", loss, step=epoch)
        loss, accuracy = model.evaluate(test_x, test_y, verbose=0)
        mlflow.log_metrics({"test_loss": loss, "test_accuracy": accuracy})
        print(f"accuracy on {len(test_y)} pictures: {accuracy:.4f}")


if __name__ == "__main__":
    main()
