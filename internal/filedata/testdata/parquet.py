"""Writes Parquet files, and beside each the cells that are in it as text: parquet.py FOLDER"""
import csv, datetime, random, struct, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq

random.seed(7)


def write(name, columns, cells, **options):
    pq.write_table(pa.table(columns), f"{sys.argv[1]}/{name}.parquet", **options)
    with open(f"{sys.argv[1]}/{name}.csv", "w", newline="") as out:
        text = csv.writer(out, lineterminator="\n")
        text.writerow(columns)
        text.writerows(zip(*(map(str, column) for column in cells)))


def mixed(n, runs, nulls):
    """Booleans, of which a share are in runs of any length, and a share null."""
    out = []
    while len(out) < n:
        length = random.choice([1, 7, 8, 9, 13, 64, 200, 1001]) if random.random() < runs else 1
        out += [random.random() < 0.5] * length
    return [None if random.random() < nulls else b for b in out[:n]]


word = {None: "", True: "true", False: "false"}
shapes = {
    "halves": [False] * 30 + [True] * 30,
    "true": [True] * 1003, "null": [None] * 50, "one": [True], "none": [],
    "random": mixed(5000, 0, 0), "runs": mixed(9001, 1, 0), "mixed": mixed(5003, 0.2, 0),
    "gaps": mixed(5003, 0, 0.1), "sparse": mixed(5003, 0.5, 0.9), "few gaps": mixed(20011, 0.5, 0.0005),
}
forms = {
    "v1": dict(data_page_version="1.0"), "v2": dict(data_page_version="2.0"),
    "rle": dict(column_encoding={"b": "RLE", "n": "PLAIN"}, use_dictionary=False),
    "pages": dict(data_page_version="2.0", data_page_size=64, write_batch_size=100, row_group_size=2000),
    "plain": dict(data_page_version="2.0", compression="none", write_page_checksum=True, row_group_size=777),
    "zstd": dict(data_page_version="2.0", compression="zstd", write_page_index=True, data_page_size=200, write_batch_size=77),
}
for shape, values in shapes.items():
    for form, options in forms.items():
        write(f"{shape} {form}", {"b": pa.array(values, pa.bool_()), "n": list(range(len(values)))},
              [map(word.get, values), range(len(values))], **options)
must = pa.schema([pa.field("b", pa.bool_(), nullable=False)])
pq.write_table(pa.table({"b": shapes["runs"]}, schema=must), f"{sys.argv[1]}/must.parquet", data_page_version="2.0")
with open(f"{sys.argv[1]}/must.csv", "w") as out:
    out.write("b\n" + "".join(word[b] + "\n" for b in shapes["runs"]))

stamps = [datetime.datetime(2024, 2, 29, 12, 30, 15, 250000), datetime.datetime(1969, 12, 31, 23, 59, 59), None,
          datetime.datetime(1582, 10, 15)]
write("int96", {"at": pa.array(stamps, pa.timestamp("us"))},
      [["2024-02-29T12:30:15.25Z", "1969-12-31T23:59:59Z", '', "1582-10-15T00:00:00Z"]],
      use_deprecated_int96_timestamps=True)
times = [datetime.time(0, 3, 24), None, datetime.time(23, 59, 59, 999000), datetime.time(0), datetime.time(1, 30, 0, 500000)]
write("time", {unit: pa.array(times, pa.time32(unit) if unit == "ms" else pa.time64(unit)) for unit in ["ms", "us", "ns"]},
      [["0:03:24", "", "24:00:00", "0:00:00", "1:30:01"]] * 3)
halves = [0.5, -2, 65504, 2.0 ** -24, float("nan"), None, 0, -1023 * 2.0 ** -24, 1.25]
write("float16", {"x": pa.array([None if x is None else np.float16(x) for x in halves], pa.float16())},
      [["0.5", "-2", "65504", "5.9604645e-08", "", "", "0", "-6.097555e-05", "1.25"]])
whole = [1234567, None, 20260131, -1e6, 0.5, 1e21, 1e-7, 12345678.5]
write("whole", {"x": pa.array(whole, pa.float64())},
      [["1234567", "", "20260131", "-1000000", "0.5", "1e+21", "1e-07", "12345678.5"]])

unread = {
    "list": pa.array([[1, 2], None, [], [3], [4], [5]]), "struct": pa.array([{"a": 1, "b": True}] * 6),
    "map": pa.array([[("k", 1)]] * 6, pa.map_(pa.string(), pa.int64())), "uuid": pa.array([b"0123456789abcdef"] * 6, pa.binary(16)),
}
for name, column in unread.items():
    pq.write_table(pa.table({"age": range(6), name: column, "left": ["yes", "no"] * 3}), f"{sys.argv[1]}/{name}.unread")
