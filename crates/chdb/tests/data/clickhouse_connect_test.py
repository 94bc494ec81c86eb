"""clickhouse-connect against the engine: argument 1 is the port."""
import datetime
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

port = int(sys.argv[1])
c = clickhouse_connect.get_client(host="127.0.0.1", port=port)
assert c.server_version.startswith("26."), c.server_version
assert c.query("SELECT number, toString(number) AS s FROM numbers(3)").result_rows == [(0, "0"), (1, "1"), (2, "2")]

c.command("CREATE OR REPLACE TABLE cc (a Int64, s String, d DateTime64(3), n Nullable(Float64), "
          "l LowCardinality(String), ar Array(Int32), m Map(String, Int32)) ENGINE = MergeTree ORDER BY a")
now = datetime.datetime(2024, 5, 17, 12, 30, 15, 123000)
names = ["a", "s", "d", "n", "l", "ar", "m"]
rows = [[i, "x%d" % i, now, None, "lc", [1, 2], {"a": 1}] for i in range(1000)]
assert c.insert("cc", rows, column_names=names).summary["written_rows"] == "1000"
z = clickhouse_connect.get_client(host="127.0.0.1", port=port, compress="zstd")
assert z.insert("cc", [[1000, "z", now, 1.5, "lc", [], {}]], column_names=names).written_rows == 1
assert c.query("SELECT count(), sum(a) FROM cc").result_rows == [(1001, 500500)]
got = c.query("SELECT * FROM cc ORDER BY a LIMIT 1").result_rows[0]
assert got == (0, "x0", now, None, "lc", [1, 2], {"a": 1}), got
got = c.query("SELECT a FROM cc WHERE a = {x:Int64} AND s IN {l:Array(String)}", parameters={"x": 5, "l": ["x5", "it's"]})
assert got.result_rows == [(5,)]
with c.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
    assert sum(len(block) for block in stream) == 1000000


def fails(what, code):
    try:
        what()
    except DatabaseError as error:
        assert str(code) in str(error), error
        return
    raise AssertionError("no error %d" % code)


def stream_that_fails():
    with c.query_row_block_stream("SELECT throwIf(number = 900000) FROM numbers(1000000)") as stream:
        for _ in stream:
            pass


fails(lambda: c.query("SELECT * FROM nope"), 60)
fails(lambda: c.query("SELECT throwIf(number = 900000) FROM numbers(1000000)"), 395)
try:
    stream_that_fails()
    raise AssertionError("no error in a stream")
except AssertionError:
    raise
except Exception as error:
    assert "395" in str(error) or "throwIf" in str(error), error

assert c.query("SELECT 1 AS one LIMIT 0").column_names == ("one",)
assert c.command("SELECT 5") == 5
assert "cc" in c.command("SHOW TABLES")
external = ExternalData(file_name="e.csv", fmt="CSV", structure="id Int32, nm String", data=b"1,aa\n2,bb\n")
assert c.query("SELECT * FROM e ORDER BY id", external_data=external).result_rows == [(1, "aa"), (2, "bb")]
c.raw_insert("cc", column_names=["a", "s"], insert_block='{"a":77,"s":"raw"}\n', fmt="JSONEachRow")
assert c.query("SELECT count() FROM cc WHERE s = 'raw'", settings={"max_threads": 1}).result_rows == [(1,)]
c.command("CREATE TEMPORARY TABLE tt (x Int32)")
c.command("INSERT INTO tt VALUES (1), (2)")
assert c.query("SELECT sum(x) FROM tt").result_rows == [(3,)]
c.command("SET max_block_size = 1000")
assert c.command("SELECT getSetting('max_block_size')") == 1000
other = clickhouse_connect.get_client(host="127.0.0.1", port=port, database="system")
assert other.command("SELECT currentDatabase()") == "system"
reader = clickhouse_connect.get_client(host="127.0.0.1", port=port, username="bob", password="pw")
assert reader.command("SELECT 1") == 1
print("all good")
