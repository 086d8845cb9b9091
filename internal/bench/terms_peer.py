"""Models with interactions that Python users fit: the peers of evaluate, which chooses curves and pairs.

    python3 terms_peer.py ebm CSV TARGET         interpret-core's explainable boosting machine
    python3 terms_peer.py lightgbm CSV TARGET    300 trees
    python3 terms_peer.py KIND CSV TARGET folds  mean ROC AUC and log loss of five folds

Each is fitted to three quarters of the rows, and its log loss on the rest is printed.
"""
import sys
from statistics import mean

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split


def ebm():
    from interpret.glassbox import ExplainableBoostingClassifier
    return ExplainableBoostingClassifier(random_state=42)


def lightgbm():
    from lightgbm import LGBMClassifier
    return LGBMClassifier(n_estimators=300, learning_rate=0.03, num_leaves=15, random_state=42, verbose=-1)


def folds(kind, x, y):
    """Prints what TestTelcoOuterFolds of internal/model logs, on the same folds."""
    figures = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(x, y):
        p = kind().fit(x.iloc[train], y.iloc[train]).predict_proba(x.iloc[test])[:, 1]
        figures.append((roc_auc_score(y.iloc[test], p), log_loss(y.iloc[test], p)))
    print("mean AUC %.4f, log loss %.4f" % tuple(map(mean, zip(*figures))))


if __name__ == "__main__":
    kind, path, target, *rest = sys.argv[1:]
    kind = dict(ebm=ebm, lightgbm=lightgbm)[kind]
    rows = pd.read_csv(path, na_values=" ").drop(columns="customerID", errors="ignore")
    texts = [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]
    rows[texts] = rows[texts].astype("category")
    x, y = rows.drop(columns=target), rows[target]
    if rest:
        folds(kind, x, y)
        sys.exit()
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.25, random_state=42, stratify=y)
    print(log_loss(y_test, kind().fit(x, y).predict_proba(x_test)[:, 1]))
