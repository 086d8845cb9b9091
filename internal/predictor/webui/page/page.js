"use strict";

// The page shows what the service's own endpoints answer. Whatever comes from
// files (names of columns, levels, models) goes into the document as text alone.

const lookEvery = 2000; // ms, at /health, which needs no key and has no limit
const typingPause = 120; // ms without a key pressed before the service is asked
const sayingPause = 900; // ms before a screen reader is told
const fullBar = 0.5; // log-odds, at least: pushes that are all small look it
const pushesShown = 8;
const modelsShown = 6;
const levelsByFrequency = 12; // more are sorted by name under the most frequent ones
const oftenShown = 5;

const at = (id) => document.getElementById(id);
const make = (name, props = {}, ...children) => {
  const node = Object.assign(document.createElement(name), props);
  node.append(...children);
  return node;
};
const percent = (p, digits = 1) => (100 * p).toFixed(digits) + "\u00a0%";
const signed = (x) => (Math.abs(x) < 0.005 ? "" : x < 0 ? "−" : "+") + Math.abs(x).toFixed(2);
const number = (x) => x.toLocaleString("en", { maximumSignificantDigits: 6 });
const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1);

let key = ""; // of the API, in memory only
let model = null; // what /models/current answered
let served = ""; // the model's name that /health told last
let fields = []; // in the model's order
let registered = []; // what /models answered

class Refused extends Error {
  constructor(answer, body) {
    super(typeof body?.detail === "string" ? body.detail : `status ${answer.status}`);
    this.status = answer.status;
    this.details = Array.isArray(body?.detail) ? body.detail : [];
    this.wait = Number(answer.headers.get("Retry-After")) || 5; // s
  }
}

async function ask(path, customer) {
  const init = { headers: {}, cache: "no-store" };
  if (key) init.headers["X-API-Key"] = key;
  if (customer) {
    init.method = "POST";
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(customer);
  }
  const answer = await fetch(path, init);
  const body = await answer.json().catch(() => null);
  if (answer.ok || path === "health") return body ?? {};
  throw new Refused(answer, body);
}

// explain tells the person why the service did not answer.
function explain(error) {
  if (error.status === 401) {
    at("key-why").textContent = key ? "The service does not know this key." : "It is kept in this tab's memory alone, until the tab is closed or reloaded.";
    at("unlock").hidden = false;
    at("main").hidden = true;
    notice("");
    return;
  }
  notice(error instanceof Refused ? upper(error.message) + ". The page tries again." : "The service does not answer. The page goes on as soon as it does.");
}

function notice(text) {
  if (at("notice").textContent !== text) at("notice").textContent = text;
  at("notice").hidden = !text;
}

let saying;
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => { at("said").textContent = text; }, sayingPause);
}

async function look() {
  let wait = lookEvery;
  try {
    const health = await ask("health");
    const waiting = !at("unlock").hidden;
    if (!health.current_model) {
      served = "";
      at("main").hidden = true;
      notice(`No model serves: ${health.detail ?? "no reason is given"}. Make one with train or evaluate, or make another one current with rollback; the page goes on by itself.`);
    } else if (!waiting && (health.current_model !== served || at("main").hidden)) {
      await load();
    } else if (!waiting) {
      notice(health.detail ? upper(health.detail) : "");
    }
  } catch (error) {
    explain(error);
    if (error.wait) wait = 1000 * error.wait;
  }
  setTimeout(look, wait);
}

async function load() {
  const [current, all] = await Promise.all([ask("models/current"), ask("models")]);
  const before = model;
  model = current;
  registered = all;
  served = model.model_file;
  notice("");
  document.title = `Predict ${model.target.name}`;
  at("title").textContent = document.title;
  at("lead").textContent = `What would ${model.model_file} say of a customer? Nothing typed here is logged or counted.`;
  at("card").hidden = !model.card;
  if (model.card) at("card").href = model.card;
  build(model.features);
  drawModels();
  at("main").hidden = false;
  if (before && before.model_file !== model.model_file) say(`Model ${model.model_file} serves now.`);
  score();
  drift();
}

// A card behind a key cannot be followed as a link, which has no header: it is saved.
at("card").addEventListener("click", async (event) => {
  if (!key) return;
  event.preventDefault();
  const answer = await fetch(model.card, { headers: { "X-API-Key": key } });
  if (!answer.ok) return notice("The card could not be had.");
  const url = URL.createObjectURL(await answer.blob());
  make("a", { href: url, download: model.card.split("/").pop() }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
});

at("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  if (/[^!-~]/.test(key) || !key) {
    at("key-why").textContent = "A key is printable ASCII without blanks.";
    return;
  }
  at("unlock").hidden = true;
  load().then(() => { at("key").value = ""; fields[0]?.input.focus(); }, (error) => { explain(error); at("key").select(); });
});

// build makes the fields of a model. What was there before keeps its node if it
// is the same, and else its text where that is still possible.
function build(features) {
  const old = new Map(fields.map((f) => [f.name, f]));
  const focused = fields.find((f) => f.input === document.activeElement)?.name;
  const next = features.map((feature) => {
    const was = old.get(feature.name);
    const shape = JSON.stringify({ ...feature, default: 0, levels: feature.levels?.map((l) => l.level) });
    if (was && was.shape === shape) return Object.assign(was, { feature });
    const field = feature.type === "number" ? numberField(feature) : levelField(feature);
    field.shape = shape;
    if (was && was.feature.type === feature.type) field.set(was.input.value);
    return field;
  });
  const same = next.length === fields.length && next.every((f, i) => f === fields[i]);
  fields = next;
  if (same) return;
  at("fields").replaceChildren(...fields.map((f) => f.node));
  fields.find((f) => f.name === focused)?.input.focus();
}

let made = 0; // fields, for ids

function fieldAround(feature, input, hint, extra) {
  const id = `field-${++made}`;
  input.id = id;
  const hinted = make("p", { id: id + "-hint", className: "hint", textContent: hint });
  const fault = make("p", { id: id + "-fault", className: "fault" });
  input.setAttribute("aria-describedby", `${hinted.id} ${fault.id}`);
  if (!feature.optional) input.setAttribute("aria-required", "true");
  const node = make("div", { className: "field" }, make("label", { htmlFor: id, textContent: feature.name }), input, ...extra, hinted, fault);
  node.dataset.name = feature.name;
  input.addEventListener("input", () => scoreIn(typingPause));
  return { name: feature.name, feature, input, node, fault, hinted };
}

function numberField(feature) {
  const input = make("input", { type: "number", step: feature.integer ? "1" : "any", inputMode: feature.integer ? "numeric" : "decimal", autocomplete: "off" });
  const extra = [];
  let slider;
  if (feature.min < feature.max) {
    slider = make("input", { type: "range", min: feature.min, max: feature.max, tabIndex: -1 });
    slider.step = feature.whole ? 1 : "any";
    slider.setAttribute("aria-label", feature.name + ", slider");
    extra.push(slider);
  }
  const parts = [];
  if (feature.min !== undefined) parts.push(feature.min === feature.max ? `${number(feature.min)} in training` : `${number(feature.min)} to ${number(feature.max)} in training`);
  if (feature.integer) parts.push("whole");
  if (feature.optional) parts.push("may be empty");
  const field = fieldAround(feature, input, parts.join(", "), extra);
  const follow = () => {
    if (slider && input.value !== "") slider.value = input.value;
    const x = input.valueAsNumber;
    field.hinted.textContent = parts.join(", ") + (x < feature.min || x > feature.max ? " – this is outside" : "");
  };
  input.addEventListener("input", follow);
  slider?.addEventListener("input", () => {
    const digits = Math.max(0, 2 - Math.floor(Math.log10(feature.max - feature.min)));
    input.value = feature.whole ? slider.value : Number(slider.valueAsNumber.toFixed(Math.min(digits, 12)));
    input.dispatchEvent(new Event("input"));
  });
  field.set = (text) => { input.value = text; follow(); };
  field.value = () => (input.value === "" ? undefined : input.valueAsNumber);
  field.broken = () => (input.validity.badInput ? "Not a number" : "");
  field.set(feature.default ?? "");
  return field;
}

function levelField(feature) {
  const levels = (feature.levels ?? []).map((l) => l.level);
  const option = (level) => make("option", { value: level, textContent: level });
  const select = make("select");
  if (feature.optional || levels.length === 0) select.append(make("option", { value: "", textContent: "(not given)" }));
  if (levels.length <= levelsByFrequency) {
    select.append(...levels.map(option));
  } else {
    const rest = levels.slice(oftenShown).sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    select.append(make("optgroup", { label: "Most frequent" }, ...levels.slice(0, oftenShown).map(option)),
      make("optgroup", { label: "Others, by name" }, ...rest.map(option)));
  }
  const parts = [];
  if (levels.length > levelsByFrequency) parts.push(`${levels.length} levels: type to find one`);
  if (feature.optional) parts.push("may be left out");
  const field = fieldAround(feature, select, parts.join(", "), []);
  field.set = (text) => { if ([...select.options].some((o) => o.value === text)) select.value = text; };
  field.value = () => (select.value === "" ? undefined : select.value);
  field.broken = () => "";
  field.set(feature.default ?? "");
  return field;
}

function clear(field) {
  field.fault.textContent = "";
  field.input.removeAttribute("aria-invalid");
}

at("form").addEventListener("submit", (event) => { event.preventDefault(); score(); });
at("form").addEventListener("reset", (event) => {
  event.preventDefault();
  for (const f of fields) { f.set(f.feature.default ?? ""); clear(f); }
  score();
});

let pause;
function scoreIn(ms) {
  clearTimeout(pause);
  pause = setTimeout(score, ms);
}

// score asks one question at a time: what is typed meanwhile is asked next.
let asking = false;
let again = false;
async function score() {
  if (asking) { again = true; return; }
  asking = true;
  again = false;
  const faults = fields.filter((f) => f.broken()).map((f) => ({ loc: ["body", f.name], msg: f.broken() }));
  const customer = Object.fromEntries(fields.map((f) => [f.name, f.value()]));
  try {
    if (faults.length) {
      refuse(faults);
    } else {
      const answer = await ask("what-if", customer);
      if (answer.model_version === served) draw(answer, customer);
      else await load(); // another model answered than the page is about
    }
  } catch (error) {
    if (error.details?.length) {
      refuse(error.details);
    } else if (error.status === 401) {
      explain(error);
    } else {
      stale(error instanceof Refused ? upper(error.message) + "." : "The service does not answer.");
      scoreIn(1000 * (error.wait ?? 3));
    }
  } finally {
    asking = false;
  }
  if (again) score();
}

// refuse shows what is wrong at the fields where it is.
function refuse(details) {
  fields.forEach(clear);
  const said = details.map(({ loc, msg }) => {
    const field = fields.find((f) => f.name === loc[1]);
    if (!field) return upper(msg);
    field.fault.textContent = upper(msg);
    field.input.setAttribute("aria-invalid", "true");
    return `${field.name}: ${msg}`;
  });
  stale(said.join("; ") + ".");
}

// stale tells that the number shown is not that of what is typed, and why.
function stale(why) {
  at("answer").classList.add("stale");
  at("why").classList.add("stale");
  at("verdict").textContent = "No answer yet";
  at("verdict").className = "none";
  at("words").textContent = why;
  say(why);
}

let pushed = [];
function draw(answer, customer) {
  fields.forEach(clear);
  at("answer").classList.remove("stale");
  at("why").classList.remove("stale");
  const p = answer.probability, t = answer.threshold;
  const outcome = `${model.target.name} = ${model.target.positive}`;
  const yes = answer.prediction === 1;
  const digits = Math.abs(p - t) < 0.001 && percent(p) === percent(t) ? 4 : 1;
  at("answer-title").textContent = `Probability of ${outcome}`;
  at("probability").textContent = percent(p, digits);
  at("verdict").textContent = yes ? `${outcome} predicted` : `${outcome} not predicted`;
  at("verdict").className = yes ? "yes" : "";
  at("filled").style.width = 100 * p + "%";
  at("mark").style.left = 100 * t + "%";
  const label = at("mark-label");
  label.textContent = `threshold ${percent(t)}`;
  label.style.left = `clamp(3.75rem, ${100 * t}%, calc(100% - 3.75rem))`;
  const [first, , last] = at("ends").children;
  first.style.visibility = t < 0.3 ? "hidden" : ""; // the label is in its place
  last.style.visibility = t > 0.7 ? "hidden" : "";
  at("words").textContent = yes
    ? `${percent(p, digits)} reaches the model's threshold of ${percent(t, digits)}.`
    : `${percent(p, digits)} is below the model's threshold of ${percent(t, digits)}.`;
  at("warnings").hidden = !answer.warnings;
  at("warnings").replaceChildren(...(answer.warnings ?? []).map((w) => make("li", { textContent: w })));
  pushed = answer.explanation.contributions.map((c) => ({ ...c, value: customer[c.feature] }));
  drawPushes();
  const total = pushed.reduce((sum, c) => sum + c.contribution, 0);
  const base = answer.explanation.base;
  at("sum").textContent = `Average ${signed(base)}, all features ${signed(total)}: log-odds ${signed(base + total)}, which is ${percent(p, digits)}.`;
  say(`${percent(p, digits)}. ${at("verdict").textContent}.`);
}

function drawPushes() {
  const all = at("all-pushes").getAttribute("aria-expanded") === "true";
  const most = Math.max(...pushed.map((c) => Math.abs(c.contribution)), fullBar);
  const shown = all ? pushed : pushed.slice(0, pushesShown);
  at("pushes").replaceChildren(...shown.map((c) => {
    const bar = make("i", { className: c.contribution < 0 ? "down" : "up" });
    bar.style.width = 50 * Math.abs(c.contribution) / most + "%";
    const value = make("small", { textContent: c.value === undefined ? "(not given)" : String(c.value) });
    return make("li", {}, make("span", {}, make("b", { textContent: c.feature }), value),
      make("span", { className: "figure", textContent: signed(c.contribution) }), make("span", { className: "bar" }, bar));
  }));
  toggle(at("all-pushes"), all, pushed.length, pushesShown, "features");
}

function toggle(button, all, have, shown, of) {
  button.hidden = have <= shown;
  button.textContent = all ? `Show ${shown}` : `Show all ${have} ${of}`;
}

for (const [id, redraw] of [["all-pushes", drawPushes], ["all-models", drawModels]]) {
  at(id).addEventListener("click", () => {
    at(id).setAttribute("aria-expanded", String(at(id).getAttribute("aria-expanded") !== "true"));
    redraw();
  });
}

function drawModels() {
  const all = at("all-models").getAttribute("aria-expanded") === "true";
  const list = registered.toReversed(); // the newest first
  const current = list.findIndex((m) => m.model_file === model.model_file);
  const shown = list.filter((m, i) => all || i < modelsShown || i === current);
  at("rows").replaceChildren(...shown.map((m) => {
    const name = make("th", { scope: "row" }, m.version);
    const row = make("tr", {}, name);
    if (m.model_file === model.model_file) {
      row.setAttribute("aria-current", "true");
      name.append(" ", make("span", { className: "badge", textContent: "current" }));
    }
    name.append(make("small", { textContent: m.model_file }));
    const when = String(m.trained_at_utc).slice(0, 16).replace("T", " ");
    row.append(make("td", {}, make("time", { dateTime: m.trained_at_utc, textContent: when })),
      make("td", { className: "figure", textContent: (m.metrics?.f1 ?? 0).toFixed(3) }),
      make("td", { textContent: `${m.passed_gate ? "passed" : "refused"} (at least ${number(m.gate_f1 ?? 0)})` }));
    return row;
  }));
  if (!list.length) at("rows").append(make("tr", {}, make("td", { colSpan: 4, textContent: "None is registered." })));
  toggle(at("all-models"), all, list.length, modelsShown, "models");
}

look();
