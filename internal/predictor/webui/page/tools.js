"use strict";

// What the page does with a customer or a file besides scoring: the curve along one feature, the
// same request as curl, and files of customers. It is loaded last, and starts the page.

const curvePoints = 41; // at most, in one request
const curveLevels = 20; // shown, the most frequent
const errorsShown = 5;

// svg makes an element of a drawing.
const svg = (name, attributes, text = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
  node.textContent = text;
  return node;
};

let asked = ""; // what the curve shown is of
let points = []; // of it: value and probability

// curve draws the probability along the chosen feature. Moving along it asks for nothing new.
async function curve(customer, threshold) {
  const names = fields.map((f) => f.name), select = at("along");
  if ([...select.options].map((o) => o.value).join("\n") !== names.join("\n")) {
    const before = select.value;
    select.replaceChildren(...fields.map((f) => make("option", { value: f.name, textContent: f.label })));
    if (names.includes(before)) select.value = before;
  }
  const field = fields.find((f) => f.name === select.value);
  const question = JSON.stringify([model.model_file, field.name, { ...customer, [field.name]: 0 }]);
  if (question !== asked) {
    const values = valuesAlong(field.feature);
    try {
      const answers = await request("what-if/batch", values.map((v) => ({ ...customer, [field.name]: v })));
      points = answers.map((a, i) => ({ value: values[i], p: a.probability }));
      asked = question;
    } catch (error) {
      asked = "";
      at("curve-words").textContent = upper(reason(error)) + ".";
      at("drawn").replaceChildren();
      return;
    }
  }
  if (points.length) drawCurve(field, customer[field.name], threshold);
  else at("curve-words").textContent = "The training rows had no value of it.";
}

function valuesAlong({ type, min, max, integer, whole, levels = [] }) {
  if (type !== "number") return levels.slice(0, curveLevels).map((l) => l.level);
  if (min === undefined) return [];
  const n = Math.min(curvePoints, whole || integer ? max - min + 1 : curvePoints);
  const value = (i) => min + (max - min) * i / Math.max(n - 1, 1);
  return Array.from({ length: max === min ? 1 : n }, (_, i) => (whole || integer ? Math.round(value(i)) : value(i)));
}

function drawCurve(field, here, threshold) {
  const numbers = field.feature.type === "number";
  const width = 400, height = numbers ? 200 : 26 * points.length + 30, left = numbers ? 44 : 130, right = width - 14;
  const bottom = height - 24;
  const low = points[0].value, span = points.at(-1).value - low || 1;
  const y = (p) => bottom - (bottom - 12) * p;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const add = (name, attributes, text) => drawing.append(svg(name, attributes, text));
  if (numbers) {
    const x = (v) => left + (right - left) * (v - low) / span;
    for (const p of [0, 0.5, 1]) {
      add("path", { d: `M${left} ${y(p)}H${right}`, class: "grid" });
      add("text", { x: left - 6, y: y(p) + 4, "text-anchor": "end" }, percent(p, 0));
    }
    add("path", { d: `M${left} ${y(threshold)}H${right}`, class: "threshold" });
    const path = points.map((p) => `${x(p.value).toFixed(1)} ${y(p.p).toFixed(1)}`);
    add("path", { d: "M" + path.join("L"), class: "curve" });
    add("text", { x: left, y: height - 4 }, number(low));
    add("text", { x: right, y: height - 4, "text-anchor": "end" }, number(points.at(-1).value));
    if (here >= low && here <= points.at(-1).value) {
      const after = points.find((p) => p.value >= here), before = points.findLast((p) => p.value <= here);
      const part = after.value > before.value ? (here - before.value) / (after.value - before.value) : 0;
      add("circle", { cx: x(here), cy: y(before.p + part * (after.p - before.p)), r: 6, class: "here" });
    }
  } else {
    const x = (p) => left + (right - left) * p;
    points.forEach((p, i) => {
      const text = p.value.length > 17 ? p.value.slice(0, 16) + "…" : p.value;
      const chosen = p.value === here ? "chosen" : "other";
      add("text", { x: left - 8, y: 26 * i + 20, "text-anchor": "end", class: chosen }, text);
      add("rect", { x: left, y: 26 * i + 8, height: 14, width: Math.max(x(p.p) - left, 1), class: chosen });
    });
    add("path", { d: `M${x(threshold)} 4V${bottom}`, class: "threshold" });
    for (const p of [0, 0.5, 1]) add("text", { x: x(p), y: height - 4, "text-anchor": "middle" }, percent(p, 0));
  }
  const shown = (v) => (numbers ? number(v) : v);
  const sorted = points.toSorted((a, b) => a.p - b.p), lowest = sorted[0], highest = sorted.at(-1);
  const words = `Lowest ${percent(lowest.p, 0)} at ${shown(lowest.value)}, ` +
    `highest ${percent(highest.p, 0)} at ${shown(highest.value)}.`;
  drawing.setAttribute("aria-label", `Probability along ${field.label}. ${words}`);
  at("curve-words").textContent = words + (numbers || field.feature.levels.length <= curveLevels ? ""
    : ` The ${curveLevels} most frequent of ${field.feature.levels.length} levels.`);
  at("drawn").replaceChildren(drawing);
}

at("along").addEventListener("change", () => score());

// The command is shown too, since a page that is not from localhost or HTTPS may not copy.
at("copy").addEventListener("click", async () => {
  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const address = new URL("predict", document.baseURI).href;
  const command = `curl -s ${quoted(address)} -H 'Content-Type: application/json'` +
    (key ? ` -H "X-API-Key: $KEY"` : "") + ` -d ${quoted(JSON.stringify(currentCustomer()))}`;
  at("curl").hidden = false;
  at("curl").textContent = command;
  const copied = await navigator.clipboard?.writeText(command).then(() => true, () => false);
  announce(copied ? "Copied." : "The command is below the form.");
});

// A file is scored at once: the service bounds its rows and bytes, and logs nothing.
async function scoreFile(file) {
  const say = (...words) => at("file-words").replaceChildren(...words);
  say(`Scoring ${file.name}.`);
  try {
    const answer = await ask("what-if/batch", file, "text/csv");
    const name = file.name.replace(/\.[^.]*$/, "") + ".scored.csv";
    const warned = Number(answer.headers.get("X-Rows-With-Warnings"));
    save(await answer.blob(), name);
    say(`${file.name} is scored, and saved as ${name}.` +
      (answer.headers.get("X-Read-As") ? " It was read as Windows-1252, since it is not UTF-8." : "") +
      (warned ? ` Rows with a value unlike all training rows: ${warned}.` : ""));
  } catch (error) {
    if (error.status === 401) return showFailure(error);
    const details = error.details ?? [];
    const where = ({ loc: [, row, name], msg }) => { // the header's columns have "header" as their row
      if (typeof row !== "number") return [name ?? row, msg].filter(Boolean).join(": ");
      return (name ? `row ${row + 1}, ${name}: ` : `line ${row}: `) + msg; // of a text that is not CSV
    };
    const list = make("ul", {}, ...details.slice(0, errorsShown).map((d) => make("li", { textContent: where(d) })));
    const more = details.length > errorsShown ? `, the first ${errorsShown} of ${details.length} errors` : "";
    if (details.length) say(`${file.name} is not scored${more}:`, list);
    else say(`${file.name} is not scored: ${reason(error)}.`);
  }
}

at("csv").addEventListener("change", () => {
  if (at("csv").files.length) scoreFile(at("csv").files[0]);
  at("csv").value = ""; // so that the same file can be chosen again
});
document.addEventListener("dragover", (event) => { if (!at("main").hidden) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  if (at("main").hidden || !event.dataTransfer.files.length) return;
  event.preventDefault();
  scoreFile(event.dataTransfer.files[0]);
});

poll();
