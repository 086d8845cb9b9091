"""The prepare step as DuckDB users write it: a peer of make bench.

    python3 prepare_duckdb.py RAW.csv OUT    OUT/data/processed.csv, OUT/registry/train_stats.json

Cleaning, validation and statistics are those of steps_peer.py, in SQL on all cores.
"""
import json
import os
import sys

import duckdb

from columns import CASES, CLIPPED, MISSING, Columns


def prepare(raw, out):
    for folder in ("data", "registry"):
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    c, db = Columns(raw), duckdb.connect()
    types = {**dict.fromkeys(c.numbers, "DOUBLE"), **dict.fromkeys(c.whole, "INTEGER"),
             **dict.fromkeys(c.texts, "VARCHAR")}
    db.execute(f"create table clean as select {', '.join(map(cleaned, c.features + [c.target]))} "
               f"from read_csv(?, header = true, nullstr = {MISSING}, types = {types})", [raw])
    stats = describe(c, db)
    if wrong := c.wrong(stats, (row[0] for row in db.execute(f"select distinct {c.target} from clean").fetchall())):
        sys.exit(f"{raw}: " + "; ".join(wrong))
    processed = os.path.join(out, "data", "processed.csv").replace("'", "''")
    db.execute(f"copy clean to '{processed}' (header, delimiter ',')")
    with open(os.path.join(out, "registry", "train_stats.json"), "w") as f:
        json.dump(stats, f, indent=2)


def cleaned(name):
    if name in CLIPPED:
        return f"case when {name} < 0 then 0 else {name} end as {name}"
    if name in CASES:
        return f"nullif({CASES[name].__name__}(trim({name})), '') as {name}"
    return name


def describe(c, db):
    """Mean, std, kurtosis and rows by decile of numbers, rows by level of categories."""
    deciles = [i / 10 for i in range(1, 10)]
    parts = [f"count({c}), avg({c}), stddev_samp({c}), min({c}), max({c}), quantile_disc({c}, {deciles})"
             for c in c.numbers]
    row = db.execute(f"select count(*), {', '.join(parts)} from clean").fetchone()
    total, stats = row[0], {}
    for i, name in enumerate(c.numbers):
        n, mean, std, least, most, cuts = row[1 + 6 * i:7 + 6 * i]
        cuts = [cut for cut in sorted(set(cuts)) if cut < most]
        stats[name] = dict(mean=mean, std=std or 1, min=least, max=most, cuts=cuts, rows=n, missing=total - n)
    more = [part for name, s in stats.items() for part in
            [f"sum(pow(({name} - {s['mean']!r}) / {s['std']!r}, 4))"] +
            [f"count({name}) filter ({name} <= {cut!r})" for cut in s["cuts"]]]
    found = iter(db.execute(f"select {', '.join(more)} from clean").fetchone())
    for s in stats.values():
        s["kurtosis"] = next(found) / s["rows"]
        edges = [0] + [next(found) for _ in s["cuts"]] + [s["rows"]]
        s["counts"] = [b - a for a, b in zip(edges, edges[1:])]
    for name in c.categories:
        query = f"select {name}, count(*) from clean where {name} is not null group by 1 order by 1"
        levels = dict(db.execute(query).fetchall())
        rows = sum(levels.values())
        stats[name] = dict(levels=levels, rows=rows, missing=total - rows)
    return stats


if __name__ == "__main__":
    prepare(*sys.argv[1:])
