"""The prepare step as DuckDB users write it: a peer of make bench.

    python3 prepare_duckdb.py RAW.csv OUT    OUT/data/processed.csv, OUT/registry/train_stats.json

Cleaning, validation and statistics are those of steps_peer.py, in SQL on all cores.
"""
import json
import os
import sys

import duckdb

WHOLE = ["tenure_months", "num_complaints"]
NUMBERS = WHOLE + ["avg_session_minutes"]
CATEGORIES = ["plan_type", "region"]
BOUNDS = {"tenure_months": (0, 200), "num_complaints": (0, 50), "avg_session_minutes": (0, 500)}
MAX_MISSING = 0.05  # share of a column

CLEAN = """
create table clean as
select tenure_months, num_complaints,
       case when avg_session_minutes < 0 then 0 else avg_session_minutes end as avg_session_minutes,
       nullif(lower(trim(plan_type)), '') as plan_type, nullif(upper(trim(region)), '') as region, churn
from read_csv(?, header = true, nullstr = '', columns = {
  'tenure_months': 'INTEGER', 'num_complaints': 'INTEGER', 'avg_session_minutes': 'DOUBLE',
  'plan_type': 'VARCHAR', 'region': 'VARCHAR', 'churn': 'TINYINT'})
"""


def prepare(raw, out):
    for folder in ("data", "registry"):
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    db = duckdb.connect()
    db.execute(CLEAN, [raw])
    stats = describe(db)
    refuse(db, raw, stats)
    processed = os.path.join(out, "data", "processed.csv").replace("'", "''")
    db.execute(f"copy clean to '{processed}' (header, delimiter ',')")
    with open(os.path.join(out, "registry", "train_stats.json"), "w") as f:
        json.dump(stats, f, indent=2)


def describe(db):
    """Mean, std and rows by decile of numbers, rows by level of categories."""
    deciles = [i / 10 for i in range(1, 10)]
    parts = [f"count({c}), avg({c}), stddev_samp({c}), min({c}), max({c}), quantile_disc({c}, {deciles})"
             for c in NUMBERS]
    row = db.execute(f"select count(*), {', '.join(parts)} from clean").fetchone()
    total, stats = row[0], {}
    for i, name in enumerate(NUMBERS):
        n, mean, std, least, most, cuts = row[1 + 6 * i:7 + 6 * i]
        cuts = [c for c in sorted(set(cuts)) if c < most]
        stats[name] = dict(mean=mean, std=std or 1, min=least, max=most, cuts=cuts, rows=n, missing=total - n)
    bins = [f"count({c}) filter ({c} <= {cut})" for c in NUMBERS for cut in stats[c]["cuts"]]
    up_to = iter(db.execute(f"select {', '.join(bins)} from clean").fetchone() if bins else ())
    for name in NUMBERS:
        edges = [0] + [next(up_to) for _ in stats[name]["cuts"]] + [stats[name]["rows"]]
        stats[name]["counts"] = [b - a for a, b in zip(edges, edges[1:])]
    for name in CATEGORIES:
        query = f"select {name}, count(*) from clean where {name} is not null group by 1 order by 1"
        levels = dict(db.execute(query).fetchall())
        rows = sum(levels.values())
        stats[name] = dict(levels=levels, rows=rows, missing=total - rows)
    return stats


def refuse(db, raw, stats):
    """Exits with all validation errors at once. A cell that is no number has already stopped read_csv."""
    wrong = [f"{name}: {s['missing']} missing" for name, s in stats.items()
             if s["missing"] > MAX_MISSING * (s["rows"] + s["missing"])]
    wrong += [f"{name}: not all in {least} to {most}" for name, (least, most) in BOUNDS.items()
              if stats[name]["min"] < least or stats[name]["max"] > most]
    if db.execute("select count(*) from clean where churn is null or churn not in (0, 1)").fetchone()[0]:
        wrong.append("churn: not all 0 or 1")
    if wrong:
        sys.exit(f"{raw}: " + "; ".join(wrong))


if __name__ == "__main__":
    prepare(*sys.argv[1:])
