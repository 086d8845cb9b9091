"""The service as FastAPI, scikit-learn and pandas users write it: the peer of make bench-serve.

    python3 service_peer.py PROCESSED.csv FOLDER PORT

It fits a pipeline to prepared data, loads it with joblib and answers POST /predict with the same record as serve,
which it appends to FOLDER/predictions.log first.
"""
import json
import os
import sys
import time
import uuid

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["tenure_months", "num_complaints", "avg_session_minutes"]
CATEGORIES = ["plan_type", "region"]


class Customer(BaseModel):
    tenure_months: int = Field(ge=0, le=200)
    num_complaints: int = Field(ge=0, le=50)
    avg_session_minutes: float = Field(ge=0, le=500)
    plan_type: str
    region: str
    request_id: str = None


def fit(path, folder):
    rows = pd.read_csv(path, keep_default_na=False)
    model = Pipeline([
        ("columns", ColumnTransformer([("numbers", StandardScaler(), NUMBERS),
                                       ("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES)])),
        ("model", LogisticRegression(max_iter=1000)),
    ]).fit(rows[NUMBERS + CATEGORIES], rows["churn"])
    joblib.dump(model, os.path.join(folder, "model.joblib"))


def service(folder):
    model = joblib.load(os.path.join(folder, "model.joblib"))
    log = os.path.join(folder, "predictions.log")
    app = FastAPI()

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.post("/predict")
    def predict(customer: Customer):
        start = time.time()
        features = {name: getattr(customer, name) for name in NUMBERS + CATEGORIES}
        probability = float(model.predict_proba(pd.DataFrame([features]))[0, 1])
        record = dict(request_id=customer.request_id or str(uuid.uuid4()), model_version="model.joblib",
                      prediction=int(probability >= 0.5), probability=round(probability, 6),
                      latency_ms=round(1000 * (time.time() - start), 3), features=features, ts=time.time())
        with open(log, "a") as f:
            f.write(json.dumps(record) + "\n")
        return record

    return app


if __name__ == "__main__":
    fit(sys.argv[1], sys.argv[2])
    uvicorn.run(service(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[3]), log_level="error")
