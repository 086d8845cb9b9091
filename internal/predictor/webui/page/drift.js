"use strict";

// The drift section of the page. It uses functions of page.js.

const driftEvery = 15000; // ms

const verdicts = {
  ok: "No drift",
  watch: "Watch: a significant difference, too small to act on",
  alert: "Drift: the rows differ from the training data",
  not_enough_data: "Not enough rows for a verdict",
  off: "Drift is not checked",
};

let polling;
async function drift() {
  clearTimeout(polling);
  let wait = driftEvery;
  try {
    if (!document.hidden && !at("main").hidden) drawDrift(await request("drift"));
  } catch (error) {
    if (error instanceof HTTPError && error.status === 429) wait = Math.max(wait, 1000 * error.wait);
  }
  polling = setTimeout(drift, wait);
}

function drawDrift(d) {
  const verdict = at("drift-verdict"), words = at("drift-words");
  const before = verdict.className;
  verdict.textContent = verdicts[d.verdict] ?? d.verdict;
  if (before && before !== d.verdict) announce(verdict.textContent + ".");
  verdict.className = d.verdict;
  if (d.verdict === "off") {
    words.textContent = "serve was started with --drift-window 0.";
  } else if (d.verdict === "not_enough_data") {
    words.textContent = `Since the service loaded this model it has scored ${d.rows} of the ` +
      `${d.min_rows} rows needed.`;
  } else {
    words.textContent = `${d.checks.length} checks of the last ${d.rows} rows that this model scored, against its ` +
      "training rows.";
  }
  const columns = Map.groupBy(d.checks.filter((c) => c.level !== "ok"), (c) => c.column);
  const alarms = (checks) => checks.some((c) => c.level === "alert");
  const worst = [...columns].sort(([, a], [, b]) => alarms(b) - alarms(a));
  at("drift-checks").replaceChildren(...worst.map(([column, checks]) => make("li", {},
    (alarms(checks) ? "Alert: " : "Watch: ") +
      (column === "(probability)" ? "the predicted probability" : column),
    make("small", { textContent: upper(checks.map((c) => c.sentence).join("; ")) + "." }))));
}
