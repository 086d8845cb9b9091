"""Models with interactions that Python users fit: the peers of evaluate, which chooses curves and pairs.

    python3 terms_peer.py ebm CSV TARGET         interpret-core's explainable boosting machine
    python3 terms_peer.py lightgbm CSV TARGET    300 trees

Each is fitted to three quarters of the rows, and its log loss on the rest is printed.
"""
import sys

import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split


def ebm():
    from interpret.glassbox import ExplainableBoostingClassifier
    return ExplainableBoostingClassifier(random_state=42)


def lightgbm():
    from lightgbm import LGBMClassifier
    return LGBMClassifier(n_estimators=300, learning_rate=0.03, num_leaves=15, random_state=42, verbose=-1)


if __name__ == "__main__":
    kind, path, target = sys.argv[1:]
    rows = pd.read_csv(path)
    texts = [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]
    rows[texts] = rows[texts].astype("category")
    x, x_test, y, y_test = train_test_split(rows.drop(columns=target), rows[target], test_size=0.25, random_state=42,
                                            stratify=rows[target])
    model = dict(ebm=ebm, lightgbm=lightgbm)[kind]().fit(x, y)
    print(log_loss(y_test, model.predict_proba(x_test)[:, 1]))
