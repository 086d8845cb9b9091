"use strict";

// The page shows what the service's own endpoints answer. Whatever comes from
// files (names of columns, levels, models) goes into the document as text alone.

const pollEvery = 2000; // ms, of /health, which needs no key and has no rate limit
const typingPause = 120; // ms after the last keystroke, before a request is sent
const announcePause = 900; // ms before a screen reader reads a new result
const leastScale = 0.5; // log-odds of a full bar, at least, so that small contributions look small
const contributionsShown = 8;
const times = " × "; // between the names of a pair
const levelsByFrequency = 12; // more are sorted by name under the most frequent ones
const frequentShown = 5;

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
let fields = []; // in the model's order
let registered = []; // what /models answered
let history = { current: [], cards: [] }; // what /models/history answered

class HTTPError extends Error {
  constructor(answer, body) {
    super(typeof body?.detail === "string" ? body.detail : `status ${answer.status}`);
    this.status = answer.status;
    this.details = Array.isArray(body?.detail) ? body.detail : [];
    this.wait = Number(answer.headers.get("Retry-After")) || 5; // s
  }
}

// ask sends a request, with the API key, and returns what answers it well.
async function ask(path, body, type = "application/json") {
  const headers = key ? { "X-API-Key": key } : {};
  if (body) headers["Content-Type"] = type;
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body, cache: "no-store" });
  if (answer.ok || path === "health") return answer;
  throw new HTTPError(answer, await answer.json().catch(() => null));
}

async function request(path, customer) {
  const answer = await ask(path, customer && JSON.stringify(customer));
  return answer.json().catch(() => ({}));
}

const reason = (error) => (error instanceof HTTPError ? error.message : "the service is not responding");

// showFailure shows why a request failed: an API key is needed, or else the error.
function showFailure(error) {
  if (error.status === 401) {
    at("key-why").textContent = key ? "This key is not valid."
      : "It is kept only in this tab's memory, until the tab is closed or reloaded.";
    at("unlock").hidden = false;
    at("main").hidden = true;
    notice("");
    return;
  }
  notice(upper(reason(error)) + ". Retrying.");
}

function notice(text) {
  if (at("notice").textContent !== text) at("notice").textContent = text;
  at("notice").hidden = !text;
}

let announcing;
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { at("announcement").textContent = text; }, announcePause);
}

async function poll() {
  let wait = pollEvery;
  try {
    const health = await request("health");
    const waiting = !at("unlock").hidden;
    if (!health.current_model) {
      at("main").hidden = true;
      notice(`There is no usable model: ${health.detail ?? "no reason given"}. ` +
        "Train one, or make another one current with rollback; this page updates automatically.");
    } else if (!waiting && (health.current_model !== model?.model_file || at("main").hidden)) {
      await load();
    } else if (!waiting) {
      notice(health.detail ? upper(health.detail) : "");
    }
  } catch (error) {
    showFailure(error);
    if (error.wait) wait = 1000 * error.wait;
  }
  setTimeout(poll, wait);
}

async function load() {
  const [current, all, past] = await Promise.all([request("models/current"), request("models"),
    request("models/history").catch(() => ({ current: [], cards: [] }))]);
  const before = model;
  model = current;
  registered = all.filter((m) => !m.pruned_at_utc);
  history = past;
  notice("");
  document.title = `Predict ${model.target.name}`;
  at("title").textContent = document.title;
  at("lead").textContent = `${model.model_file} scores what you type. Nothing typed here is logged or counted.`;
  document.querySelector('.pages a[href="models/current.html"]').hidden = !model.card;
  build(model.features);
  drawModels();
  at("main").hidden = false;
  if (before && before.model_file !== model.model_file) announce(`The current model is now ${model.model_file}.`);
  score();
  drift();
}

// A link cannot send an API key: behind one, the page is fetched and saved.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href*=".html"]');
  if (!key || !link) return;
  event.preventDefault();
  const name = link.href.split("/").pop().replace("current", model.model_file.slice(0, -5));
  ask(link.href).then(async (answer) => save(await answer.blob(), name),
    () => notice("The page could not be loaded."));
});

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

at("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  if (/[^!-~]/.test(key) || !key) {
    at("key-why").textContent = "An API key has only printable ASCII characters and no spaces.";
    return;
  }
  at("unlock").hidden = true;
  const unlocked = () => { at("key").value = ""; fields[0]?.input.focus(); };
  load().then(unlocked, (error) => { showFailure(error); at("key").select(); });
});

// build makes the form fields of a model. A field that is the same as before keeps its node,
// and another one its text where the new model allows it.
function build(features) {
  const old = new Map(fields.map((f) => [f.name, f]));
  const focused = fields.find((f) => f.input === document.activeElement)?.name;
  const next = features.map((feature) => {
    const previous = old.get(feature.name);
    const shape = JSON.stringify({ ...feature, default: 0, levels: feature.levels?.map((l) => l.level) });
    if (previous && previous.shape === shape) return Object.assign(previous, { feature });
    const field = feature.type === "number" ? numberField(feature) : levelField(feature);
    field.shape = shape;
    field.set(feature.default ?? "");
    if (previous?.feature.type === feature.type) field.set(previous.input.value);
    return field;
  });
  const same = next.length === fields.length && next.every((f, i) => f === fields[i]);
  fields = next;
  if (same) return;
  at("fields").replaceChildren(...fields.map((f) => f.node));
  fields.find((f) => f.name === focused)?.input.focus();
}

let fieldCount = 0; // for ids

// labelOf returns a feature's label, with its unit; without one in the schema it is the name.
const labelOf = (f) => (f.label ?? f.name) + (f.unit ? ` (${f.unit})` : "");

function fieldAround(feature, input, hints, slider = "") {
  const id = `field-${++fieldCount}`;
  input.id = id;
  const hint = [feature.description, ...hints, feature.optional && "optional"].filter(Boolean).join(", ");
  const hinted = make("p", { id: id + "-hint", className: "hint", textContent: hint });
  const error = make("p", { id: id + "-error", className: "error" });
  input.setAttribute("aria-describedby", `${hinted.id} ${error.id}`);
  if (!feature.optional) input.setAttribute("aria-required", "true");
  const label = make("label", { htmlFor: id, textContent: labelOf(feature) });
  const node = make("div", { className: "field" }, label, input, slider, hinted, error);
  node.dataset.name = feature.name;
  input.addEventListener("input", () => scoreIn(typingPause));
  return { name: feature.name, label: labelOf(feature), feature, input, node, error, hint, hinted };
}

function numberField(feature) {
  const input = make("input", { type: "number", autocomplete: "off", step: feature.integer ? "1" : "any",
    inputMode: feature.integer ? "numeric" : "decimal" });
  let slider;
  if (feature.min < feature.max) {
    slider = make("input", { type: "range", min: feature.min, max: feature.max, tabIndex: -1 });
    slider.step = feature.whole ? 1 : "any";
    slider.setAttribute("aria-label", labelOf(feature) + ", slider");
  }
  const upTo = feature.min === feature.max ? "" : ` to ${number(feature.max)}`;
  const range = feature.min !== undefined && `training range: ${number(feature.min)}${upTo}`;
  const field = fieldAround(feature, input, [range, feature.integer && "whole number"], slider);
  const follow = () => {
    if (slider && input.value !== "") slider.value = input.value;
    const x = input.valueAsNumber;
    const outside = x < feature.min || x > feature.max ? " – outside the training range" : "";
    field.hinted.textContent = field.hint + outside;
  };
  input.addEventListener("input", follow);
  let comma = false; // Chromium leaves one out where it reads none: 21,5 would be 215
  input.addEventListener("beforeinput", ({ data }) => { if (/[.,]/.test(data)) comma = data.includes(","); });
  input.addEventListener("input", ({ data, inputType }) => {
    if (!inputType?.startsWith("insert") || data?.includes(",")) comma = false; // deleted, or read
  });
  slider?.addEventListener("input", () => {
    const digits = Math.max(0, 2 - Math.floor(Math.log10(feature.max - feature.min)));
    input.value = feature.whole ? slider.value : Number(slider.valueAsNumber.toFixed(Math.min(digits, 12)));
    input.dispatchEvent(new Event("input"));
  });
  field.set = (text) => { input.value = text; comma = false; follow(); };
  field.value = () => (input.value === "" ? undefined : input.valueAsNumber);
  field.broken = () => (input.validity.badInput ? "Not a number" : !comma ? ""
    : "A comma was left out: delete the number, and write a decimal point or no comma");
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
    const rest = levels.slice(frequentShown).sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    select.append(make("optgroup", { label: "Most frequent" }, ...levels.slice(0, frequentShown).map(option)),
      make("optgroup", { label: "All others, by name" }, ...rest.map(option)));
  }
  const many = levels.length > levelsByFrequency && `${levels.length} levels: type to find one`;
  const field = fieldAround(feature, select, [many]);
  field.set = (text) => { if ([...select.options].some((o) => o.value === text)) select.value = text; };
  field.value = () => (select.value === "" ? undefined : select.value);
  field.broken = () => "";
  return field;
}

function clear(field) {
  field.error.textContent = "";
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

const currentCustomer = () => Object.fromEntries(fields.map((f) => [f.name, f.value()]));

// score sends one request at a time. What is typed meanwhile is sent next.
let scoring = false;
let rescore = false;
async function score() {
  if (scoring) { rescore = true; return; }
  scoring = true;
  rescore = false;
  const errors = fields.filter((f) => f.broken()).map((f) => ({ loc: ["body", f.name], msg: f.broken() }));
  const customer = currentCustomer();
  try {
    if (errors.length) {
      showErrors(errors);
    } else {
      const answer = await request("what-if", customer);
      if (answer.model_version === model.model_file) {
        draw(answer, customer);
        await curve(customer, answer.threshold);
      } else {
        await load(); // the current model has changed
      }
    }
  } catch (error) {
    if (error.details?.length) {
      showErrors(error.details);
    } else if (error.status === 401) {
      showFailure(error);
    } else {
      stale(upper(reason(error)) + ".");
      scoreIn(1000 * (error.wait ?? 3));
    }
  } finally {
    scoring = false;
  }
  if (rescore) score();
}

// showErrors shows each validation error beside its field.
function showErrors(details) {
  fields.forEach(clear);
  const messages = details.map(({ loc, msg }) => {
    const field = fields.find((f) => f.name === loc[1]);
    if (!field) return upper(msg);
    field.error.textContent = upper(msg);
    field.input.setAttribute("aria-invalid", "true");
    return `${field.name}: ${msg}`;
  });
  stale(messages.join("; ") + ".");
}

// stale marks the answer as not that of the current input, and shows why.
function stale(why) {
  for (const id of ["answer", "why", "what-if"]) at(id).classList.add("stale");
  at("verdict").textContent = "No prediction";
  at("verdict").className = "none";
  at("words").textContent = why;
  announce(why);
}

let contributions = [];
function draw(answer, customer) {
  fields.forEach(clear);
  for (const id of ["answer", "why", "what-if"]) at(id).classList.remove("stale");
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
  at("words").textContent =
    `${percent(p, digits)} ${yes ? "reaches" : "is below"} the model's threshold of ${percent(t, digits)}.`;
  at("warnings").hidden = !answer.warnings;
  at("warnings").replaceChildren(...(answer.warnings ?? []).map((w) => make("li", { textContent: w })));
  contributions = answer.explanation.contributions.map((c) => ({ ...c, value: valueOf(c.feature, customer) }));
  drawContributions();
  const total = contributions.reduce((sum, c) => sum + c.contribution, 0);
  const base = answer.explanation.base;
  at("sum").textContent = `Average ${signed(base)} plus contributions ${signed(total)} = ` +
    `log-odds ${signed(base + total)}, a probability of ${percent(p, digits)}.`;
  announce(`${percent(p, digits)}. ${at("verdict").textContent}.`);
}

// valueOf returns what a contribution is of, in words: a feature's value, or both of a pair's.
function valueOf(name, customer) {
  const names = fields.map((f) => f.name);
  const shown = (name) => String(customer[name] ?? "(not given)");
  if (names.includes(name)) return shown(name);
  const second = (first) => name.slice(first.length + times.length);
  const first = names.find((first) => name.startsWith(first + times) && names.includes(second(first)));
  return shown(first) + times + shown(second(first));
}

function drawContributions() {
  const most = Math.max(...contributions.map((c) => Math.abs(c.contribution)), leastScale);
  const shown = contributions.slice(0, allContributions(contributions.length) ? undefined : contributionsShown);
  at("contributions").replaceChildren(...shown.map((c) => {
    const bar = make("i", { className: c.contribution < 0 ? "down" : "up" });
    bar.style.width = 50 * Math.abs(c.contribution) / most + "%";
    const value = make("small", { textContent: c.value });
    return make("li", {}, make("span", {}, make("b", { textContent: c.feature }), value),
      make("span", { className: "figure", textContent: signed(c.contribution) }),
      make("span", { className: "bar" }, bar));
  }));
}

// expands makes a button show all of a list, and fewer again. What it returns says whether all of so
// many are to be shown, and words the button.
function expands(id, shown, of, redraw) {
  const button = at(id);
  const all = () => button.getAttribute("aria-expanded") === "true";
  button.addEventListener("click", () => {
    button.setAttribute("aria-expanded", String(!all()));
    redraw();
  });
  return (have) => {
    button.hidden = have <= shown;
    button.textContent = all() ? `Show ${shown}` : `Show all ${have} ${of}`;
    return all();
  };
}
const allContributions = expands("all-contributions", contributionsShown, "contributions", drawContributions);
