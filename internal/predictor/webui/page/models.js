"use strict";

// The models section of the page. It uses functions of page.js.

const modelsShown = 6;
const spansShown = 3; // the latest times in which a model was current
const shownMetrics = [["f1", "F1"], ["roc_auc", "ROC AUC"], ["log_loss", "Log loss"]];

const minute = (ts) => make("time", { dateTime: ts, textContent: String(ts).slice(0, 16).replace("T", " ") });

// decimals returns how many decimals of a metric its 95 % interval deserves: that is about as wide
// as 2 / √n for n evaluated customers.
function decimals({ rows, test_size: share }) {
  const n = share > 0 ? rows * share / (1 - share) : rows;
  return n > 0 ? Math.min(Math.max(Math.ceil(Math.log10(Math.sqrt(n))), 1), 4) : 2;
}

function drawModels() {
  const list = registered.toReversed(); // the newest first
  const all = allModels(list.length);
  const current = list.findIndex((m) => m.model_file === model.model_file);
  const shown = list.filter((m, i) => all || i < modelsShown || i === current);
  at("rows").replaceChildren(...shown.map(modelRow));
  const none = make("td", { colSpan: 6, textContent: "No models are registered." });
  if (!list.length) at("rows").append(make("tr", {}, none));
}

function modelRow(m) {
  const name = make("th", { scope: "row" }, m.version);
  const row = make("tr", {}, name);
  name.ariaLabel = m.version; // what is said again at each cell of the row
  if (m.model_file === model.model_file) {
    row.setAttribute("aria-current", "true");
    name.append(" ", make("span", { className: "badge", textContent: "current" }));
  }
  const card = history.cards.find((c) => c === `models/${m.model_file.replace(/\.json$/, ".html")}`);
  const of = make("span", { className: "unseen", textContent: " of " + m.version });
  if (card) name.append(" ", make("a", { href: card, textContent: "card" }, of));
  name.append(make("small", { textContent: m.model_file }));
  const spans = history.current.filter((s) => s.model_file === m.model_file).slice(-spansShown);
  name.append(...spans.map((s) => make("small", {}, "current from ", minute(s.from),
    ...(s.to ? [" to ", minute(s.to)] : []), `, by ${s.by}`)));
  row.append(make("td", {}, minute(m.trained_at_utc)));
  for (const [key, title] of shownMetrics) {
    const x = m.metrics?.[key];
    const cell = make("td", { className: "figure", textContent: x == null ? "–" : x.toFixed(decimals(m)) });
    cell.dataset.title = title;
    row.append(cell);
  }
  row.append(make("td", { title: m.verdict ?? "", textContent: m.passed_gate ? "passed" : "failed" }));
  return row;
}

const allModels = expands("all-models", modelsShown, "models", drawModels);
