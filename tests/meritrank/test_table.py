"""Graph files are read the same by both ways of reading, and a fault is named by file, line and column."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.meritrank import MalformedTable, table
from overlay.meritrank.edges import MAX_ROW_TOTAL
from overlay.meritrank.table import TrustTable, read_table


def edges(found: TrustTable) -> list[tuple[bytes, bytes, int]]:
    columns = zip(found.receivers.tolist(), found.providers.tolist(), found.weights.tolist(), strict=True)
    return [(found.labels[a], found.labels[b], weight) for a, b, weight in columns]


def read(folder: Path, text: str | bytes) -> TrustTable:
    path = folder / "graph.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path)


number = st.integers(0, 120).map(str)
lines = st.lists(
    st.tuples(number, number, st.integers(-10, 10).map(str)).filter(lambda line: line[0] != line[1]), max_size=40
)


@settings(max_examples=100, deadline=None)
@given(lines, st.booleans(), st.booleans(), st.booleans())
def test_plain_numbers_are_read_as_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], times: bool, head: bool, end: bool
) -> None:
    text = "\n".join(",".join(row) + (",1289241911.7" if times else "") for row in rows) + (
        "\n" if end and rows else ""
    )
    text = ("from,to,weight,time\n" if head else "") + text
    path = tmp_path_factory.mktemp("graphs") / "graph.csv"
    path.write_text(text)
    plain, slow = table._read_plain(path), table._read_lines(path)
    assert plain.labels == slow.labels == sorted({end.encode() for row in rows for end in row[:2]})
    assert edges(plain) == edges(slow) == [(a.encode(), b.encode(), int(w)) for a, b, w in rows]


def test_a_file_in_many_chunks_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "CHUNK_BYTES", 7)
    rows = [(number, number + 1, number % 9 + 1) for number in range(100)]
    found = read(tmp_path, "".join(f"{a},{b},{w}\n" for a, b, w in rows))
    assert edges(found) == [(str(a).encode(), str(b).encode(), w) for a, b, w in rows]


def test_labels_may_be_any_text(tmp_path: Path) -> None:
    found = read(tmp_path, "# a village\nbäcker,farmer,3\r\n\r\nfarmer , 007,2,1289241911\r\n007,7,1\n")
    assert edges(found) == [("bäcker".encode(), b"farmer", 3), (b"farmer", b"007", 2), (b"007", b"7", 1)]


def test_a_number_with_leading_zeros_is_another_member(tmp_path: Path) -> None:
    found = read(tmp_path, "7,1,2\n007,8,1\n")
    assert edges(found) == [(b"7", b"1", 2), (b"007", b"8", 1)]


def test_far_apart_numbers_are_read_without_a_table_as_large_as_they_are(tmp_path: Path) -> None:
    found = read(tmp_path, "1,999999999999999999,5\n999999999999999999,3,2\n")
    assert edges(found) == [(b"1", b"9" * 18, 5), (b"9" * 18, b"3", 2)]


@pytest.mark.parametrize("text", ["", "from,to,weight\n", "# nothing\n"])
def test_a_file_without_edges_is_an_empty_graph(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text)
    assert edges(found) == []
    assert len(found.graph()) == 0


def test_judgements_below_zero_are_no_edges(tmp_path: Path) -> None:
    found = read(tmp_path, "1,2,3\n1,3,-5\n2,3,0\n")
    assert list(found.graph().edges()) == [(b"1", b"2", 3)]
    assert found.graph().find(b"3") > 0


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("1,2,3\n1,2\n", 2, 2),
        ("1,2,3\n1,2,3,4,5\n", 2, 5),
        ("1,2,3\n1,,3\n", 2, 2),
        ("1,2,3\n,2,3\n", 2, 1),
        ("1,2,3\n2,2,3\n", 2, 2),
        ("1,2,3\n2,1,three\n", 2, 3),
        ("1,2,nan\n", 1, 3),
        ("1,2,inf\n", 1, 3),
        ("1,2,-inf\n", 1, 3),
        ("1,2,1.5\n", 1, 3),
        ("1,2,1e3\n", 1, 3),
        ("1,2,--3\n", 1, 3),
        ("1,2,\n", 1, 3),
        (f"1,2,{MAX_ROW_TOTAL + 1}\n", 1, 3),
        ("1,2,3,noon\n", 1, 4),
        ("1,2,3,1.2.3\n", 1, 4),
        ("1,2,3,\n", 1, 4),
        ("1,2,3\n1,2 3\n4,5,6\n", 2, 2),
        ("1,2,3\n\x00,\x00\n", 2, 2),
        ("a" * 1025 + ",b,1\n", 1, 1),
    ],
)
def test_a_fault_is_named_by_file_line_and_column(tmp_path: Path, text: str, line: int, column: int) -> None:
    with pytest.raises(MalformedTable) as refused:
        read(tmp_path, text)
    assert (refused.value.line, refused.value.column) == (line, column)
    assert str(refused.value).startswith(f"{tmp_path / 'graph.csv'}, line {line}, column {column}: ")


def test_the_greatest_weight_and_the_longest_label_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, f"{'a' * 1024},b,{MAX_ROW_TOTAL}\n")
    assert edges(found) == [(b"a" * 1024, b"b", MAX_ROW_TOTAL)]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_place(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("graphs") / "graph.csv"
    path.write_bytes(data)
    with suppress(MalformedTable):
        found = read_table(path)
        assert len(found.receivers) == len(found.weights)
        assert found.labels == sorted(set(found.labels))
