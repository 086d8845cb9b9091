"""The steps as pandas and scikit-learn users write them: the peer of make bench. The solver glum is glum's.

    python3 steps_peer.py generate ROWS OUT             OUT/data/raw.csv
    python3 steps_peer.py prepare RAW.csv OUT           OUT/data/processed.csv, OUT/registry/train_stats.json
    python3 steps_peer.py train PROCESSED.csv OUT SOLVER      OUT/models/*.joblib, OUT/registry/metadata.json
    python3 steps_peer.py evaluate PROCESSED.csv OUT SOLVER   the same, with a tuned threshold
    python3 steps_peer.py drift DIR LAST                compares DIR/logs/predictions.log, LAST of it, 0: all
    python3 steps_peer.py weights PROCESSED.csv MODEL.json SOLVER   the largest relative difference of the weights

Each step is written in the fastest way found: categories are read as such, so that their text is cleaned once per
level and not once per row; each step imports only what it needs; records are read by json, which is faster than
pandas.read_json, and CSV by pandas, which is as fast as pyarrow. Numbers are imputed only where some are missing.
"""
import json
import os
import sys

import numpy as np
import pandas as pd

from columns import CLIPPED, MISSING, Columns, case

DECILES = np.arange(1, 10) / 10


def path(out, *names):
    name = os.path.join(out, *names)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    return name


def read(name):
    c = Columns(name)
    return c, pd.read_csv(name, keep_default_na=False, na_values=MISSING, usecols=c.features + [c.target],
                          dtype=dict.fromkeys(c.texts, "category"))


def generate(rows, out):
    n = int(rows)
    rng = np.random.default_rng(42)
    tenure = rng.integers(1, 60, n)
    complaints = rng.poisson(1.2, n)
    minutes = np.clip(rng.normal(35, 12, n), 1, 120)
    plan = rng.choice(2, n, p=[0.72, 0.28])
    region = rng.choice(4, n, p=[0.25, 0.30, 0.25, 0.20])
    logit = 1.2 + 0.55 * complaints - 0.03 * tenure - 0.02 * minutes
    logit += np.array([0, -0.35])[plan] + np.array([0, -0.05, 0.08, 0])[region]
    pd.DataFrame({
        "tenure_months": tenure, "num_complaints": complaints, "avg_session_minutes": minutes.round(2),
        "plan_type": pd.Categorical.from_codes(plan, ["basic", "premium"]),
        "region": pd.Categorical.from_codes(region, ["NA", "EU", "AF", "AS"]),
        "churn": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int),
    }).to_csv(path(out, "data", "raw.csv"), index=False)


def prepare(raw, out):
    c, rows = read(raw)
    for name in c.texts:
        rows[name] = clean(rows[name])
    for name in c.numbers:
        if name in CLIPPED:
            rows[name] = rows[name].clip(lower=0)
    stats = {name: summary(rows[name]) for name in c.features}
    if wrong := c.wrong(stats, rows[c.target].unique()):
        sys.exit(f"{raw}: " + "; ".join(wrong))
    for name in c.whole:
        if rows[name].hasnans:  # pandas made them floats
            rows[name] = rows[name].astype("Int64")  # which fails if one is not whole
    rows.to_csv(path(out, "data", "processed.csv"), index=False)
    with open(path(out, "registry", "train_stats.json"), "w") as f:
        json.dump(stats, f, indent=2)


def clean(column):
    levels = [case(column.name, level) for level in column.cat.categories]
    known = sorted(set(levels) - {None})
    codes = np.array([known.index(level) if level else -1 for level in levels] + [-1])
    return pd.Series(pd.Categorical.from_codes(codes[column.cat.codes], known), column.index)


def summary(column):
    """The reference of a column for drift: mean, std, and counts by decile or level."""
    values = column.dropna()
    rows = dict(rows=len(values), missing=len(column) - len(values))
    if isinstance(column.dtype, pd.CategoricalDtype):
        return dict(levels={k: int(n) for k, n in values.value_counts().items()}, **rows)
    x = np.sort(values.to_numpy(float))
    cuts = np.unique(np.quantile(x, DECILES, method="inverted_cdf"))
    cuts = cuts[cuts < x[-1]]
    edges = np.searchsorted(x, cuts, side="right")  # a bin holds its upper cut
    mean, std = x.mean(), x.std(ddof=1) or 1.0
    squared = ((x - mean) / std) ** 2
    return dict(mean=mean, std=std, min=x[0], max=x[-1], cuts=cuts.tolist(), kurtosis=(squared @ squared) / len(x),
                counts=np.diff(edges, prepend=0, append=len(x)).tolist(), **rows)


def pipeline(c, rows, solver, **options):
    """A model to fit; options are the solver's."""
    if solver == "glum":
        return Glum(c, **options)
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    impute = [SimpleImputer(strategy="median")] if rows[c.numbers].isna().any(axis=None) else []
    columns = [("numbers", make_pipeline(*impute, StandardScaler()), c.numbers)]
    if c.categories:
        columns.append(("categories", OneHotEncoder(handle_unknown="ignore"), c.categories))
    return make_pipeline(ColumnTransformer(columns),
                         LogisticRegression(solver=solver, **{"max_iter": 1000, **options}))


class Glum:
    """Categories stay codes in glum; its own scaling would scale them too."""

    def __init__(self, c, **options):
        from glum import GeneralizedLinearRegressor
        self.c, self.new = c, lambda alpha: GeneralizedLinearRegressor(family="binomial", alpha=alpha, **options)

    def fit(self, x, y):
        numbers = x[self.c.numbers]
        self.fill = numbers.median() if numbers.isna().any(axis=None) else 0
        numbers = numbers.fillna(self.fill)
        self.mean, self.std = numbers.mean(), numbers.std(ddof=0)
        self.model = self.new(1 / len(x)).fit(self.scale(x), y)
        return self

    def scale(self, x):
        scaled = (x[self.c.numbers].fillna(self.fill) - self.mean) / self.std
        return scaled.join(x[self.c.categories])

    def predict_proba(self, x):
        p = self.model.predict(self.scale(x))
        return np.column_stack([1 - p, p])


def train(processed, out, solver):
    fit_and_evaluate(processed, out, solver, tune=False)


def evaluate(processed, out, solver):
    fit_and_evaluate(processed, out, solver, tune=True)


def fit_and_evaluate(processed, out, solver, tune):
    import joblib
    from sklearn.model_selection import train_test_split
    c, rows = read(processed)
    y = (rows[c.target] == c.values[1]).astype(int)
    x, x_test, y, y_test = train_test_split(rows[c.features], y, test_size=0.25, random_state=42, stratify=y)
    model = pipeline(c, rows, solver)
    threshold = best_threshold(model, x, y) if tune else 0.5
    model.fit(x, y)
    metrics = compute_metrics(y_test, model.predict_proba(x_test)[:, 1], threshold)
    fitted = model.model if solver == "glum" else model
    joblib.dump(dict(model=fitted, threshold=threshold), path(out, "models", f"{solver}.joblib"))
    with open(path(out, "registry", "metadata.json"), "w") as f:
        json.dump([dict(metrics=metrics, threshold=threshold)], f, indent=2)


def best_threshold(model, x, y):
    """The threshold with the best F1 on out-of-fold probabilities. n_jobs would cost more, for starting processes."""
    from sklearn.metrics import precision_recall_curve
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    folds = StratifiedKFold(5, shuffle=True, random_state=42)
    scores = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    precision, recall, thresholds = precision_recall_curve(y, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(f1[:-1])])


def compute_metrics(y, p, threshold):
    from sklearn.metrics import (accuracy_score, average_precision_score, brier_score_loss, log_loss,
                                 precision_recall_fscore_support, roc_auc_score)
    predicted = p >= threshold
    precision, recall, f1, _ = precision_recall_fscore_support(y, predicted, average="binary")
    return dict(accuracy=accuracy_score(y, predicted), precision=precision, recall=recall, f1=f1,
                roc_auc=roc_auc_score(y, p), average_precision=average_precision_score(y, p),
                log_loss=log_loss(y, p), brier=brier_score_loss(y, p))


def drift(folder, last):
    with open(os.path.join(folder, "registry", "train_stats.json")) as f:
        stats = json.load(f)
    with open(os.path.join(folder, "registry", "current_model.txt")) as f:
        current = f.read().strip()
    with open(os.path.join(folder, "models", current)) as f:
        reference = json.load(f)["reference"]
    columns = {name: [] for name in [*reference["columns"], "(probability)"]}
    with open(os.path.join(folder, "logs", "predictions.log")) as f:
        for line in list(f)[-int(last):] if int(last) else f:
            record = json.loads(line)
            for name, value in record["features"].items():
                columns[name].append(value)
            if record["model_version"] == current:
                columns["(probability)"].append(record["probability"])
    references = {**reference["columns"], "(probability)": reference["probability"]}
    checks = [check for name, values in columns.items() if values
              for check in compare(name, pd.Series(values), references[name], stats.get(name))]
    table = pd.DataFrame(checks).sort_values("p")
    table["p_adjusted"] = np.minimum(1, np.maximum.accumulate(table["p"] * np.arange(len(table), 0, -1)))  # Holm
    table["alert"] = (table["p_adjusted"] <= 0.01) & (table["effect"].abs() >= table["least"])
    print(table.sort_index().to_json(orient="records", double_precision=15))


def compare(name, live, reference, stats):
    """The checks of a column against the model's reference; the reference z score is against train_stats.json."""
    from scipy.special import chdtrc, erfc, stdtr
    n, m = live.count(), reference["rows"]
    if "levels" in reference:
        counts = live.value_counts()
        known = counts.reindex(list(reference["levels"]), fill_value=0)
        observed = np.array([known.tolist() + [n - known.sum()], list(reference["levels"].values()) + [0]], float)
    else:
        x = live.dropna().to_numpy(float)
        shift = (x.mean() - reference["mean"]) / reference["std"]
        variance, centred = x.var(ddof=1) / reference["std"] ** 2, (x - x.mean()) ** 2
        kurtosis = max(centred @ centred / n / centred.mean() ** 2, reference["kurtosis"], 1.8)
        z = shift / np.sqrt((max(variance, 1) * n + m) / (n + m) * (1 / n + 1 / m))
        p = erfc(abs(z) / np.sqrt(2))
        if kurtosis > 3:
            p = 2 * stdtr(4 + 6 / ((kurtosis - 3) * (1 / n + 1 / m)), -abs(z))
        yield dict(column=name, kind="mean", statistic=z, p=p, effect=shift, least=0.2, mean=x.mean(),
                   std=x.std(ddof=1), lab_z=abs(x.mean() - stats["mean"]) / stats["std"] if stats else None)
        squared = (kurtosis - 1) * (1 / n + 1 / m)
        z = (3 * (np.cbrt(variance) - 1) if variance > 1 else variance - 1) / np.sqrt(squared)
        yield dict(column=name, kind="spread", statistic=z, p=2 * stdtr(2 / squared, -abs(z)),
                   effect=max(variance, 1 / variance), least=1.25)
        bins = np.searchsorted(np.array(reference["cuts"]), x)  # a bin holds its upper cut
        observed = np.array([np.bincount(bins, minlength=len(reference["counts"])), reference["counts"]], float)
    observed = observed[:, observed.sum(axis=0) > 0]
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    x2, df = ((observed - expected) ** 2 / expected).sum(), observed.shape[1] - 1
    p = observed.sum(axis=0) / observed.sum()
    chance = np.sqrt(2 * p * (1 - p) * (1 / n + 1 / m) / np.pi).sum() / 2
    distance = abs(observed[0] / observed[0].sum() - observed[1] / observed[1].sum()).sum() / 2
    yield dict(column=name, kind="levels" if "levels" in reference else "shape", statistic=x2, p=chdtrc(df, x2),
               effect=np.sqrt(max(0, distance**2 - chance**2)), least=0.1)


def weights(processed, name, solver):
    """Prints the largest relative difference of a model's weights from those of a tight fit to all rows."""
    c, rows = read(processed)
    tight = dict(gradient_tol=1e-12) if solver == "glum" else dict(tol=1e-12)
    model = pipeline(c, rows, solver, **tight).fit(rows[c.features], (rows[c.target] == c.values[1]).astype(int))
    names = c.numbers + [f"{name}={level}" for name in c.categories for level in rows[name].cat.categories]
    fitted = model.model if solver == "glum" else model[-1]
    with open(name) as f:
        other = json.load(f)
    pairs = [(float(np.ravel(fitted.intercept_)[0]), other["intercept"])]
    pairs += [(w, other["weights"][column]) for column, w in zip(names, np.ravel(fitted.coef_), strict=True)]
    print(max(abs(a - b) / abs(a) for a, b in pairs))


if __name__ == "__main__":
    steps = dict(generate=generate, prepare=prepare, train=train, evaluate=evaluate, drift=drift, weights=weights)
    steps[sys.argv[1]](*sys.argv[2:])
