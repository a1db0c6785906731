"""Small samples in the formats of public data sets, made here, each read and fitted through the command line."""

import gzip
import json
from itertools import product
from shutil import copyfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainer.queries import COLOURS, THINGS, make_bert
from trainer.__main__ import main

PRODUCTS = [f"{colour} {thing}" for colour, thing in product(COLOURS[:4], THINGS[:4])]
PEOPLE = range(1, 9)
SECONDS = 1511539200  # 2017-11-24 16:00 UTC
NEXT_ITEM = """
[score]
factors = 4
[train]
trips = 8
targets = 1
batch = 4
min_history_days = 0
"""
LAST = """leak_check = "warn"
holdout = { by = "last" }
"""
SPLIT = """leak_check = "warn"
split = { by = "query", test = 0.3, valid = 0.2, seed = 1 }
"""


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return make_bert(tmp_path_factory.mktemp("model") / "bert")


@pytest.fixture
def fit(tmp_path, bert, mlflow_file, capsys):
    """Write a job and carry it out, and recommend something to a user of its data; give its data card."""

    def carry_out(task, data, more="", user=None):
        copyfile(mlflow_file, tmp_path / "mlflow.db")
        job = tmp_path / "job.toml"
        job.write_text(
            f'task = "{task}"\noutput = "out"\nthreads = 1\n[data]\n{data}\n[model]\nfolder = {json.dumps(str(bert))}\n'
            f'max_tokens = 16\n[tracking]\nuri = "sqlite:///mlflow.db"\nexperiment = "formats"\n{more}'
        )
        assert main(["fit", str(job)]) == 0, capsys.readouterr().err
        if task == "next_item":
            capsys.readouterr()
            asked = ["--user", user, "--job", str(job), "-k", "3", "--json"]
            assert main(["recommend", str(tmp_path / "out" / "model"), *asked]) == 0
            (answer,) = json.loads(capsys.readouterr().out)
            assert (answer["asked"], len(answer["products"])) == (user, 3)
        return json.loads((tmp_path / "out" / "data_card.json").read_text())

    return carry_out


def events(behaviours=("buy",)):
    """Let everybody do something with some items on some days: (person, item, day, behaviour)."""
    return [
        (person, (person + 3 * day) % len(PRODUCTS), day, behaviours[(person + day) % len(behaviours)])
        for person in PEOPLE
        for day in range(6)
    ]


def test_taobao(tmp_path, fit):
    rows = [f"{u},{i},{i % 3},{done},{SECONDS + day * 86400 + u}" for u, i, day, done in events(("pv", "buy", "buy"))]
    (tmp_path / "UserBehavior.csv").write_text("\n".join(rows) + "\n")
    card = fit(
        "next_item",
        f"""kind = "interactions"
path = "UserBehavior.csv"
header = ["user", "item", "category", "behaviour", "time"]
columns = {{ user = "user", item = "item", time = "time", behaviour = "behaviour" }}
cleaning = {{ behaviours = ["buy"] }}
{LAST}""",
        NEXT_ITEM,
        user="3",
    )
    assert (card["rows_in"], card["rows_kept"], card["users"]) == (48, 32, 8)
    assert card["dropped"]["behaviour not to be kept"] == 16
    assert card["time_range"] == ["2017-11-24", "2017-11-29"]


def test_amazon_reviews(tmp_path, fit):
    reviews = [
        {
            "overall": float(5 - (u + day) % 3),
            "reviewTime": f"02 {day + 10}, 2014",
            "reviewerID": f"A{u}",
            "asin": f"B{i:03d}",
            "reviewText": 'it is 15" wide',
            "unixReviewTime": 1391990400 + day * 86400,
        }
        for u, i, day, _ in events()
    ]
    lines = "".join(json.dumps(review) + "\n" for review in reviews)
    (tmp_path / "reviews.json.gz").write_bytes(gzip.compress(lines.encode()))
    meta = [{"asin": f"B{n:03d}", "title": title, "category": ["Home", "x"]} for n, title in enumerate(PRODUCTS)]
    (tmp_path / "meta.json").write_text("".join(json.dumps(item) + "\n" for item in meta))
    card = fit(
        "next_item",
        f"""kind = "interactions"
path = "reviews.json.gz"
columns = {{ user = "reviewerID", item = "asin", time = "reviewTime", rating = "overall" }}
cleaning = {{ lowest_rating = 4.0 }}
items = {{ path = "meta.json", id = "asin", text = "title" }}
{LAST}""",
        NEXT_ITEM,
        user="A3",
    )
    assert (card["rows_in"], card["dropped"]["rating too low"]) == (48, 16)
    assert card["time_range"] == ["2014-02-10", "2014-02-15"]


def test_movielens(tmp_path, fit):
    ratings = [f"{u}::{i}::{1 + (u + day) % 5}::{SECONDS + day * 86400}" for u, i, day, _ in events()]
    (tmp_path / "ratings.dat").write_text("\n".join(ratings) + "\n")
    movies = [f'{n}::Amélie and the "{title}" (2001)::Comedy|Drama' for n, title in enumerate(PRODUCTS)]
    (tmp_path / "movies.dat").write_bytes(("\n".join(movies) + "\n").encode("latin-1"))
    card = fit(
        "next_item",
        f"""kind = "interactions"
path = "ratings.dat"
header = ["user", "movie", "rating", "time"]
columns = {{ user = "user", item = "movie", time = "time", rating = "rating" }}
cleaning = {{ lowest_rating = 3.0 }}
items = {{ path = "movies.dat", header = ["movie", "title", "genres"], id = "movie", text = "title" }}
{LAST}""",
        NEXT_ITEM,
        user="3",
    )
    assert card["rows_in"] == 48
    assert card["read_as"]["ratings.dat"] == "delimiter '::', told from the first line"
    assert card["read_as"]["movies.dat"].startswith("encoding cp1252, told from the bytes")


def test_instacart(tmp_path, fit):
    orders = ["order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order"]
    lines = ["order_id,product_id,add_to_cart_order,reordered"]
    for u, i, day, _ in events():
        order = u * 100 + day
        orders.append(f"{order},{u},prior,{day + 1},2,08,{'' if not day else 7.0}")
        lines += [f"{order},{i},1,0", f"{order},{(i + 5) % len(PRODUCTS)},2,1"]
    items = [f'{n},"{title}, 12"" wide",{n % 2}' for n, title in enumerate(PRODUCTS)]
    (tmp_path / "orders.csv").write_text("\n".join(orders) + "\n")
    (tmp_path / "order_products.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "products.csv").write_text("product_id,product_name,aisle_id\n" + "\n".join(items) + "\n")
    (tmp_path / "aisles.csv").write_text("aisle_id,aisle\n0,lamps\n1,chairs\n")
    card = fit(
        "next_item",
        f"""kind = "interactions"
path = "order_products.csv"
columns = {{ user = "user_id", item = "product_id", time = "order_number", event = "order_id" }}
time_format = "steps"
join = [{{ path = "orders.csv", on = "order_id" }}]
{LAST}
[data.items]
path = "products.csv"
id = "product_id"
text = "product_name"
group = "aisle"
join = [{{ path = "aisles.csv", on = "aisle_id" }}]
""",
        NEXT_ITEM,
        user="3",
    )
    assert (card["rows_in"], card["rows_kept"], card["users"], card["trips"]) == (96, 96, 8, 48)
    assert "mended" not in card or not card["mended"]


def judgements():
    """Ask every product's words of three products: (query number, query, product number, how well it answers)."""
    size = len(PRODUCTS)
    return [
        (n, f"{query} please", place % size, best)
        for n, query in enumerate(PRODUCTS)
        for place, best in ((n, 2), (n + 1, 1), (n + 5, 0))
    ]


RETRIEVAL = """
[train]
batch = 4
layers = 1
"""


def test_wands(tmp_path, fit):
    words = ("Irrelevant", "Partial", "Exact")
    labels = [f"{n}\t{q}\t{p}\t{words[best]}" for n, (q, _, p, best) in enumerate(judgements())]
    (tmp_path / "label.csv").write_text("id\tquery_id\tproduct_id\tlabel\n" + "\n".join(labels) + "\n")
    queries = {q: text for q, text, _, _ in judgements()}
    (tmp_path / "query.csv").write_text(
        "query_id\tquery\tquery_class\n" + "".join(f"{q}\t{text}\tLamps\n" for q, text in queries.items())
    )
    (tmp_path / "product.csv").write_text(
        "product_id\tproduct_name\trating_count\n"
        + "".join(f'{n}\t"{title}" 15" wide\t{n}.0\n' for n, title in enumerate(PRODUCTS))
    )
    card = fit(
        "retrieval",
        f"""kind = "pairs"
path = "label.csv"
columns = {{ query = "query", query_id = "query_id", product = "product_name", product_id = "product_id", label = "label" }}
grades = {{ Exact = 2.0, Partial = 1.0, Irrelevant = 0.0 }}
join = [{{ path = "query.csv", on = "query_id" }}, {{ path = "product.csv", on = "product_id" }}]
{SPLIT}""",
        RETRIEVAL,
    )
    assert (card["rows_in"], card["rows_kept"], card["queries"]) == (48, 48, 16)
    assert card["read_as"]["label.csv"] == "delimiter '\\t', told from the first line"
    assert card["catalogue_size"] == 16


def test_esci(tmp_path, fit):
    rows = judgements()
    examples = {
        "example_id": list(range(len(rows))),
        "query": [text for _, text, _, _ in rows],
        "query_id": [q for q, _, _, _ in rows],
        "product_id": [f"B{p:03d}" for _, _, p, _ in rows],
        "product_locale": ["us"] * len(rows),
        "esci_label": ["ISE"[best] for _, _, _, best in rows],
        "split": ["test" if q % 4 == 0 else "train" for q, _, _, _ in rows],
    }
    products = {
        "product_id": [f"B{n:03d}" for n, _ in enumerate(PRODUCTS)] * 2,
        "product_title": [*PRODUCTS, *(title.upper() for title in PRODUCTS)],
        "product_locale": ["us"] * len(PRODUCTS) + ["es"] * len(PRODUCTS),
    }
    pq.write_table(pa.table(examples), tmp_path / "examples.parquet")
    pq.write_table(pa.table(products), tmp_path / "products.parquet")
    card = fit(
        "relevance",
        """kind = "pairs"
path = "examples.parquet"
leak_check = "warn"
columns = { query = "query", query_id = "query_id", product = "product_title", product_id = "product_id", label = "esci_label", part = "split" }
grades = { E = 1.0, S = 0.1, C = 0.01, I = 0.0 }
join = [{ path = "products.parquet", on = ["product_id", "product_locale"] }]
split = { by = "column" }
""",
    )
    assert (card["rows_kept"], card["parts"]) == (48, {"train": 36, "valid": 0, "test": 12})
    assert card["distinct_texts"] == 16


CHINESE = {"red": "红色", "blue": "蓝色", "green": "绿色", "white": "白色"} | dict(
    zip(THINGS[:4], ("台灯", "椅子", "桌子", "沙发"), strict=True)
)


@pytest.mark.parametrize(("encoding", "sign"), [("gbk", ","), ("utf-16", ";")])
def test_chinese_tables_of_office_programs(tmp_path, fit, encoding, sign):
    def spoken(text):
        return "".join(CHINESE.get(word, "") for word in text.split())

    grades = ("1,0", "2,5", "4,0") if sign == ";" else ("1.0", "2.5", "4.0")
    rows = [(spoken(query), spoken(PRODUCTS[p]), grades[best]) for _, query, p, best in judgements()]
    lines = [sign.join(row) for row in (("搜索词", "商品", "评分"), *rows)]
    (tmp_path / "pairs.csv").write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))
    card = fit(
        "relevance",
        f"""kind = "pairs"
path = "pairs.csv"
columns = {{ query = "搜索词", product = "商品", label = "评分" }}
{SPLIT}""",
    )
    assert (card["rows_in"], card["rows_kept"], card["queries"]) == (48, 48, 16)
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert "rmse" in result["metrics"]  # 2,5 is a grade and no class
    told = card["read_as"]["pairs.csv"]
    assert told == (
        "encoding gb18030, told from the bytes" if sign == "," else "delimiter ';', told from the first line"
    )
