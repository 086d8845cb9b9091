"""What the peers of make bench know of a file before they read it: its columns, by the names in its header."""
import csv

BOUNDS = {"tenure_months": (0, 200), "num_complaints": (0, 50), "avg_session_minutes": (0, 500)}
CASES = {"plan_type": str.lower, "region": str.upper}
CLIPPED = ["avg_session_minutes"]
IGNORED = ["customerID"]
MAX_MISSING = 0.05  # share of a column
MISSING = ["", " "]
NUMBERS = [*BOUNDS, "SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges"]
WHOLE = ["tenure_months", "num_complaints", "SeniorCitizen", "tenure"]


class Columns:
    """numbers, of which some are whole and some bounded, categories, and the target with its two values."""

    def __init__(self, path):
        with open(path, newline="") as f:
            names = [name for name in next(csv.reader(f)) if name not in IGNORED]
        *self.features, self.target = names
        self.values = ["No", "Yes"] if self.target == "Churn" else [0, 1]
        self.numbers = [name for name in self.features if name in NUMBERS or name[1:].isdigit()]
        self.categories = [name for name in self.features if name not in self.numbers]
        self.texts = self.categories + [self.target] * (self.target == "Churn")
        self.whole = [name for name in self.numbers if name in WHOLE]
        self.bounds = {name: BOUNDS[name] for name in self.numbers if name in BOUNDS}

    def wrong(self, stats, targets):
        """What the statistics and the values of the target say against the schema, all at once."""
        found = [f"{name}: {s['missing']} missing" for name, s in stats.items()
                 if s["missing"] > MAX_MISSING * (s["rows"] + s["missing"])]
        found += [f"{name}: not all in {least} to {most}" for name, (least, most) in self.bounds.items()
                  if stats[name]["min"] < least or stats[name]["max"] > most]
        return found + [f"{self.target}: not all {self.values}"] * (not set(targets) <= set(self.values))


def case(name, level):
    """The level as it is kept, None if it is missing."""
    return CASES.get(name, str)(level.strip()) or None
