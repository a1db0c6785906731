"""A log of five users who chose four things each, and a job over it."""

from typing import Any

THINGS = ("milk", "bread", "apples", "soap", "cheese", "beef", "ice", "cream")
ROWS = [(user, (user + step) % len(THINGS), step) for user in range(1, 6) for step in range(4)]
JOB = """
task = "next_item"
output = "out"
[data]
{data}
[model]
folder = "model"
[tracking]
uri = "sqlite:///mlflow.db"
experiment = "none"
"""


def log(**changes: Any) -> dict[str, list[Any]]:
    table: dict[str, list[Any]] = {
        "user": [f"{user}" for user, _, _ in ROWS],
        "item": [f"{item}" for _, item, _ in ROWS],
        "time": [f"2024-01-{step + 1:02} 10:00:00" for _, _, step in ROWS],
        "text": [THINGS[item] for _, item, _ in ROWS],
    }
    return table | changes


COLUMNS = 'kind = "interactions"\ncolumns = { user = "user", item = "item", time = "time", text = "text" }\n'
LAST = 'holdout = { by = "last" }\nleak_check = "warn"\n'
NEW_TO_2 = {"0", "1", "6", "7"}  # of user 2 who chose 2, 3, 4 and 5
