"use strict";

// The live state of drift on the page. It uses what page.js has, which comes
// after it: that one begins as soon as it is read.

const driftEvery = 15000; // ms

const verdicts = {
  ok: "No drift",
  watch: "Watch: a difference, too small to act on",
  alert: "Drift: the rows differ from the training rows",
  not_enough_data: "Not enough rows for a verdict",
  off: "Not watched",
};

let looking;
async function drift() {
  clearTimeout(looking);
  let wait = driftEvery;
  try {
    if (!document.hidden && !at("main").hidden) drawDrift(await ask("drift"));
  } catch (error) {
    if (error instanceof Refused && error.status === 429) wait = Math.max(wait, 1000 * error.wait);
  }
  looking = setTimeout(drift, wait);
}

function drawDrift(d) {
  const verdict = at("drift-verdict"), words = at("drift-words");
  verdict.textContent = verdicts[d.verdict] ?? d.verdict;
  verdict.className = d.verdict;
  if (d.verdict === "off") words.textContent = "serve was started with --drift-window 0.";
  else if (d.verdict === "not_enough_data") words.textContent = `This model has answered ${d.rows} of the ${d.min_rows} that are needed since it was taken up.`;
  else words.textContent = `${d.checks.length} checks of the last ${d.rows} that this model answered, against its training rows.`;
  const columns = Map.groupBy(d.checks.filter((c) => c.level !== "ok"), (c) => c.column);
  const alarms = (checks) => checks.some((c) => c.level === "alert");
  const worst = [...columns].sort(([, a], [, b]) => alarms(b) - alarms(a));
  at("drift-checks").replaceChildren(...worst.map(([column, checks]) => make("li", {},
    `${alarms(checks) ? "▲ Alert" : "△ Watch"}: ${column === "(probability)" ? "the predicted probability" : column}`,
    make("small", { textContent: upper(checks.map((c) => c.sentence).join("; ")) + "." }))));
}
