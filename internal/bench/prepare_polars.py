"""The prepare step as polars users write it: a peer of make bench.

    python3 prepare_polars.py RAW.csv OUT    OUT/data/processed.csv, OUT/registry/train_stats.json

Cleaning, validation and statistics are those of steps_peer.py, on all cores. Texts are read as categories and cleaned
once per level, which is faster than in a lazy query.
"""
import json
import os
import sys

import numpy as np
import polars as pl

from columns import CLIPPED, MISSING, Columns, case


def prepare(raw, out):
    for folder in ("data", "registry"):
        os.makedirs(os.path.join(out, folder), exist_ok=True)
    c = Columns(raw)
    rows = read(raw, c)
    cleaned = [pl.col(name).clip(0) for name in c.numbers if name in CLIPPED]
    for name in c.texts:
        levels = rows[name].unique().drop_nulls().cast(pl.String).to_list()
        cleaned.append(pl.col(name).replace_strict(levels, [case(name, level) for level in levels], default=None,
                                                   return_dtype=pl.Categorical))
    rows = rows.with_columns(cleaned)
    stats = describe(c, rows)
    if wrong := c.wrong(stats, rows[c.target].unique()):
        sys.exit(f"{raw}: " + "; ".join(wrong))
    rows.write_csv(os.path.join(out, "data", "processed.csv"))
    with open(os.path.join(out, "registry", "train_stats.json"), "w") as f:
        json.dump(stats, f, indent=2)


def read(raw, c):
    numbers = {**dict.fromkeys(c.numbers, pl.Float64), **dict.fromkeys(c.whole, pl.Int64)}
    options = dict(columns=c.features + [c.target], null_values=MISSING)
    texts = dict.fromkeys(c.texts, pl.Categorical)
    try:
        return pl.read_csv(raw, schema_overrides={**numbers, **texts}, **options)
    except pl.exceptions.ComputeError:  # spaces around numbers
        rows = pl.read_csv(raw, schema_overrides={**dict.fromkeys(numbers, pl.String), **texts}, **options)
        return rows.with_columns(pl.col(name).str.strip_chars().cast(kind) for name, kind in numbers.items())


def describe(c, rows):
    """Mean, std, kurtosis and rows by decile of numbers, rows by level of categories."""
    ordered = rows.select(pl.col(c.numbers).sort(nulls_last=True))
    missing = rows.null_count().row(0, named=True)
    mean, std = (ordered.select(f).row(0, named=True) for f in (pl.all().mean(), pl.all().std()))
    fourth = ordered.select((((pl.col(name) - mean[name]) / (std[name] or 1)) ** 2).pow(2).mean().alias(name)
                            for name in c.numbers).row(0, named=True)
    counts = rows.select(pl.col(name).drop_nulls().value_counts().implode() for name in c.categories)
    stats = {}
    for name in c.features:
        n = len(rows) - missing[name]
        of = dict(rows=n, missing=missing[name])
        if name in c.categories:
            stats[name] = dict(levels={level[name]: level["count"] for level in counts[name][0]}, **of)
            continue
        x = ordered[name].head(n).to_numpy()
        cuts = np.unique(x[np.ceil(np.arange(1, 10) * n / 10).astype(int) - 1])
        cuts = cuts[cuts < x[-1]]
        edges = np.searchsorted(x, cuts, side="right")  # a bin holds its upper cut
        stats[name] = dict(mean=mean[name], std=std[name] or 1, min=x[0].item(), max=x[-1].item(), cuts=cuts.tolist(),
                           counts=np.diff(edges, prepend=0, append=n).tolist(), kurtosis=fourth[name], **of)
    return stats


if __name__ == "__main__":
    prepare(*sys.argv[1:])
