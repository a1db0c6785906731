"""Tables of text: quotes, lines, encodings, delimiters."""

import gzip
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.data import text_lines
from trainer.data.batches import Notes
from trainer.data.encodings import tell_encoding
from trainer.data.quoting import MENDED
from trainer.data.tables import read_batches
from trainer.errors import DataError
from trainer.jobs.tables import TableFile

COLUMNS = ("query", "title", "grade")


def rows_of(path, content, *, columns=COLUMNS, notes=None, **keys):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    batches = read_batches(TableFile(path=path, **keys), columns, notes=notes)
    read = [zip(*(batch.columns[name].to_pylist() for name in columns), strict=True) for batch in batches]
    return [row for batch in read for row in batch]


@pytest.mark.parametrize(("name", "sign"), [("t.csv", ","), ("t.tsv", "\t"), ("t.txt", "|")])
def test_a_quote_that_nothing_closes_swallows_no_row(tmp_path, name, sign):
    lines = ["query,title,grade", 'a,"15 inch laptop,1', "b,mouse,0", 'c,"24 inch screen,1', 'd,24" screen,0', "e,x,2"]
    notes = Notes()
    found = rows_of(tmp_path / name, "\n".join(lines).replace(",", sign), notes=notes)
    assert [row[0] for row in found] == ["a", "b", "c", "d", "e"]
    assert found[0] == ("a", '"15 inch laptop', "1")
    assert found[3] == ("d", '24" screen', "0")
    assert notes.mended == {MENDED: 2}


def test_other_fields_of_a_line_with_an_open_quote_lose_theirs(tmp_path):
    content = 'query,title,grade\n"a ""b"", c","15 inch laptop,"1"\n"c","mouse","0"\n'
    assert rows_of(tmp_path / "t.csv", content) == [('a "b", c', '"15 inch laptop', "1"), ("c", "mouse", "0")]


def test_a_quote_in_the_last_line_swallows_nothing(tmp_path):
    assert rows_of(tmp_path / "t.csv", 'query,title,grade\na,b,1\nc,"15 inch,0') == [
        ("a", "b", "1"),
        ("c", '"15 inch', "0"),
    ]


def test_lines_that_are_rows_by_themselves_are_refused_where_a_quote_holds_them_together(tmp_path):
    content = 'query,title,grade\na,"15 inch laptop,1\nb,mouse,0\nc,24",1\n'
    with pytest.raises(DataError, match=r"t\.csv: line 2: a quote opens that closes in line 4") as caught:
        rows_of(tmp_path / "t.csv", content)
    assert 'quotes = "none"' in str(caught.value)
    assert len(rows_of(tmp_path / "t.csv", content, quotes="none")) == 3
    assert rows_of(tmp_path / "t.csv", content, quotes="multiline") == [("a", "15 inch laptop,1\nb,mouse,0\nc,24", "1")]


def test_an_open_quote_beside_too_many_fields_is_refused_with_its_line(tmp_path):
    content = 'query,title,grade\na,b,1\nc,"15 inch, black,1\nd,e,0\n'
    with pytest.raises(
        DataError, match=r"line 3: a quote opens that nothing closes, and without it .* 4 fields, not 3"
    ):
        rows_of(tmp_path / "t.csv", content)


@pytest.mark.parametrize("line", ["c,d", "c,d,1,2"])
def test_a_line_with_another_number_of_fields_is_named(tmp_path, line):
    with pytest.raises(DataError, match=r"line 4 has [24] fields, the first line names 3: 'c,d"):
        rows_of(tmp_path / "t.csv", f"query,title,grade\na,b,1\n\n{line}\n")


def test_texts_of_several_lines_stay_whole(tmp_path):
    content = 'query,title,grade\r\na,"big,\r\n\r\n""red"" lamp",1\r\nb,lamp,0\r\n'
    assert rows_of(tmp_path / "t.csv", content) == [("a", 'big,\n\n"red" lamp', "1"), ("b", "lamp", "0")]


@pytest.mark.parametrize(
    ("line", "title"), [('a,"say \\"hi\\", you",1', 'say "hi", you'), ('a, "big, red",1', "big, red")]
)
def test_other_ways_to_quote_are_read(tmp_path, line, title):
    assert rows_of(tmp_path / "t.csv", f"query,title,grade\n{line}\n") == [("a", title, "1")]


TEXTS = st.text(st.sampled_from('ab ,;"\t\n\\'), max_size=12)


@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=12), size=st.sampled_from([7, 64, 1 << 20]))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_writer_of_csv_quotes_is_read_as_it_was(tmp_path, monkeypatch, rows, size):
    written = "".join(",".join('"' + text.replace('"', '""') + '"' for text in row) + "\n" for row in rows)
    with monkeypatch.context() as patch:
        patch.setattr(text_lines, "BYTES_AT_A_TIME", size)
        found = rows_of(tmp_path / "t.csv", f"query,title,grade\n{written}", quotes="multiline")
    assert found == [tuple(text or None for text in row) for row in rows]


@given(
    rows=st.lists(st.tuples(*[st.text(st.sampled_from('ab "'), min_size=1, max_size=8)] * 3), min_size=1, max_size=9)
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_a_row_or_the_file_is_refused(tmp_path, rows):
    content = "".join(",".join(row) + "\n" for row in rows)
    try:
        found = rows_of(tmp_path / "t.csv", f"query,title,grade\n{content}")
    except DataError as error:
        assert "line " in str(error)  # noqa: PT017 - refusing is as good, with the line
    else:
        assert len(found) == sum(bool(",".join(row).strip(" ")) for row in rows)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gbk", "红色台灯 客厅"),
        ("gb18030", "橡木书桌，带抽屉"),
        ("big5", "紅色檯燈 客廳"),
        ("shift_jis", "赤いランプ ください"),
        ("euc_kr", "빨간 램프"),
        ("cp1251", "красная лампа"),
        ("cp1252", "Türgriff für große Schränke"),
        ("cp1252", "Café à la crème, “fin”"),
        ("cp1252", "3 ½ inch bolt, 5 °C – it’s"),
        ("latin-1", "thé à la menthe"),
        ("mac_roman", "Café à la crème, Gruyère râpé, thé glacé à la pêche"),
        ("iso8859-2", "Łosoś wędzony, żółty ser, ćwikła"),
        ("cp1250", "Łosoś wędzony, żółty ser, ćwikła"),
        ("utf-16", "红色台灯"),
        ("utf-16-le", "red lamp"),
        ("utf-8-sig", "红色台灯"),
    ],
)
def test_an_encoding_that_is_not_given_is_told_from_the_file(tmp_path, encoding, text):
    notes = Notes()
    found = rows_of(tmp_path / "t.csv", f"query;title;grade\na;{text};2,5\n".encode(encoding), notes=notes)
    assert found == [("a", text, "2,5")]
    assert "delimiter ';'" in notes.read_as["t.csv"]
    assert ("encoding" in notes.read_as["t.csv"]) == (not encoding.startswith("utf"))


def test_an_encoding_that_is_given_is_taken_and_named_where_it_does_not_fit(tmp_path):
    assert rows_of(tmp_path / "t.csv", "query,title,grade\na,Tür,1\n".encode("cp1252"), encoding="cp1252")
    with pytest.raises(DataError, match=r"t\.csv: line 2 is not text in ascii, as the key encoding says: byte 0xfc"):
        rows_of(tmp_path / "t.csv", "query,title,grade\na,Tür,1\n".encode("cp1252"), encoding="ascii")


def test_text_in_utf8_that_breaks_off_is_not_taken_for_another_encoding(tmp_path):
    content = "query,title,grade\n" + "ä,Türgriff für große Schränke,1\n" * 3
    with pytest.raises(DataError, match="line 5 is not text in utf-8"):
        rows_of(tmp_path / "t.csv", content.encode() + "b,Tür,1\n".encode("cp1252"))


def test_other_letters_after_a_long_plain_beginning_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(text_lines, "BYTES_AT_A_TIME", 64)
    content = "query,title,grade\n" + "a,b,1\n" * 200 + "a,红色台灯 客厅,1\n"
    assert rows_of(tmp_path / "t.csv", content.encode("gbk"))[-1] == ("a", "红色台灯 客厅", "1")


def test_three_strange_bytes_are_no_encoding():
    assert tell_encoding(b"\xff\xfe\xfa\n") is None


@pytest.mark.parametrize("sign", [",", "\t", ";", "|", "::"])
def test_a_delimiter_is_told_from_the_names_that_are_wanted(tmp_path, sign):
    assert rows_of(tmp_path / "t.csv", "query,title,grade\na,b,1\n".replace(",", sign)) == [("a", "b", "1")]


def test_the_delimiter_that_excel_names_above_the_table_is_taken(tmp_path):
    assert rows_of(tmp_path / "t.csv", "sep=|\nquery|title|grade\na|b;c,d|1\n") == [("a", "b;c,d", "1")]


def test_a_file_without_names_is_read_by_those_that_are_given(tmp_path):
    lines = "a::The 'X', \"Y\"::1\nb::Z::0\n"
    assert rows_of(tmp_path / "t.dat", lines, header=COLUMNS, delimiter="::")[0] == ("a", "The 'X', \"Y\"", "1")
    assert len(rows_of(tmp_path / "t.csv", "query,title,grade\na,b,1\n", header=COLUMNS)) == 1  # it names itself
    with pytest.raises(DataError, match="line 1 has 3 fields, and header names 2"):
        rows_of(tmp_path / "t.csv", "a,b,1\n", columns=("query",), header=("query", "title"))


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("t.parquet", {"delimiter": ";"}, "key 'delimiter' is for tables of text"),
        ("t.jsonl", {"header": ("a",)}, "key 'header' is for tables of text"),
    ],
)
def test_a_key_that_a_format_has_no_use_for_is_refused(tmp_path, name, keys, said):
    with pytest.raises(DataError, match=said):
        rows_of(tmp_path / name, "PAR1", **keys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"query": 1}\n{"query": "\\ud800"}', "line 2: 'query' is no text"),
        (b'[{"query": "a"}, {"query": "\\ud800"}]', "object 2: 'query' is no text"),
        (b'[{"query": "a"}, 7]', "7, the value 2 of the array, is not an object of columns and values"),
        (b'["query", "title"]\n["a", "b"]', '"query", the value 1 of the array, is not an object'),
        (b'[{"query": "a"}', "after object 1 of the array comes the end of the file"),
        (b'[{"query": "a"} {"query": "b"}]', "after object 1 of the array comes '{'"),
        (b'[{"query": "a"}]\n[{"query": "b"}]', "after the end of the array comes '\\['"),
        (b'[{"query": "a"}, {"query": "b]', "object 2 of the array is not JSON: Unterminated string"),
        (b'[{"query": "a"}, {query: "b"}' + b" " * 99 + b"]", "object 2 of the array is not JSON: Expecting property"),
        (b'[{"query": "a"}, ]', "object 2 of the array is not JSON: Expecting value"),
        (b'[{"query": ' + b"1" * 5000 + b"}]", "object 1 of the array is not JSON"),
        (b'[{"query": ' + b"[" * 100_000 + b"}]", "object 1 of the array is not JSON"),
        (b'{"rows": [{"query": "a"}]}', "its rows seem to be in 'rows': jq"),
        (b'{"user": {"0": "a"}, "item": {"0": "b"}}', 'pandas writes rows with to_json\\(orient="records"'),
        (b'{\n "query": 1\n}', "one object a line is read"),
        (b"{'query': 'a'}\n", r"line 1 is not JSON, but as Python prints it: json\.dumps\(ast\.literal_eval\(line\)\)"),
        (b'{"query": ' + b"1" * 5000 + b"}\n", "line 1 is not JSON"),
        (b'{"query": ' + b"[" * 100_000 + b"}\n", "line 1 is not JSON"),
    ],
)
def test_json_that_no_column_can_be_made_of_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        rows_of(tmp_path / "t.jsonl", content, columns=("query",))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.json.gz"])
def test_an_array_of_objects_is_read_as_its_rows(tmp_path, name, indent):
    rows = [{"query": f"lamp {n}", "title": None if n % 2 else "[a], {b}", "grade": n / 2} for n in range(7)]
    content = b"\xef\xbb\xbf \r\n" + json.dumps(rows, indent=indent, ensure_ascii=False).encode() + b"\n\n"
    found = rows_of(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content)
    assert [row[0] for row in found] == [row["query"] for row in rows]
    assert [row[1] for row in found] == [row["title"] for row in rows]


def test_an_array_is_read_a_piece_at_a_time_wherever_the_pieces_end(tmp_path, monkeypatch):
    rows = [
        {"query": "红灯 \\ \" ' \u00e9", "title": "x" * n, "grade": [1.5, True, None, -1e-3][n % 4]} for n in range(50)
    ]
    content = json.dumps(rows)
    whole = rows_of(tmp_path / "t.json", content)
    for size in (7, 64, 1000):
        monkeypatch.setattr(text_lines, "BYTES_AT_A_TIME", size)
        assert rows_of(tmp_path / "t.json", content) == whole
    assert len(whole) == 50


@pytest.mark.slow
def test_a_large_array_on_one_line_takes_the_memory_of_a_piece(tmp_path):
    path = tmp_path / "t.json"
    with path.open("w") as stream:
        stream.write("[")
        stream.writelines(f'{"," if n else ""}{{"a": "{"x" * 900}", "n": {n}}}' for n in range(100_000))
        stream.write("]")
    tracemalloc.start()
    rows = sum(batch.rows for batch in read_batches(path, ["n"], rows=1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 100_000
    assert path.stat().st_size > 90_000_000
    assert peak < 60_000_000


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.json.gz"])
def test_blank_lines_and_huge_numbers_of_json_are_read(tmp_path, name):
    content = b'{"query": 123456789012345678901234567890}\n\n  \n{"query": "b"}\n'
    found = rows_of(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content, columns=("query",))
    assert found == [("123456789012345678901234567890",), ("b",)]


def test_a_broken_archive_is_refused(tmp_path):
    content = bytearray(gzip.compress(b"query,title,grade\n" + b"a,b,1\n" * 5000))
    content[20:40] = bytes(20)
    with pytest.raises(DataError, match="not a table of UTF-8 text"):
        rows_of(tmp_path / "t.csv.gz", bytes(content))
