// The same pairs through this model and through DistilBERT.

import { post, ServiceError } from "./api.js";
import { byId, element, notify } from "./dom.js";
import { drawBars } from "./plot.js";
import { cosine, digits, duration, percent } from "./units.js";

const COMMAND = "python -m export.baseline && cmow-serve --baselines runs/baselines";

let redraw = () => {};
new ResizeObserver(() => redraw()).observe(byId("plot"));

/** Ask the service for a comparison on what is typed, and draw it. */
export async function compare({ sentence, lines }) {
  const button = byId("compare-button");
  if (button.getAttribute("aria-disabled") === "true") return;
  if (!sentence || !lines.length) return explain("Nothing to compare", "Type a sentence, and at least one to compare it with.");
  notify(byId("compare-notice"));
  busy(button, true);
  try {
    const texts = lines.map(({ text }) => text);
    const { body } = await post("compare", { sentence1: sentence, sentence2: texts, task: byId("compare-task").value });
    show(body, lines);
  } catch (error) {
    clear();
    showError(error);
  } finally {
    busy(button, false);
  }
}

function busy(button, running) {
  // Not `disabled`, which would take the focus away.
  button.setAttribute("aria-disabled", String(running));
  button.textContent = running ? "Measuring…" : "Compare now";
  if (running) byId("compare-status").textContent = "Measuring.";
}

function show(body, lines) {
  const sides = body.sides.map((side, row) => ({ ...side, milliseconds: side.latency_ms, ours: row === 0 }));
  const headline = element("p", { class: "summary" }, speedup(sides));
  const canvas = element("div");
  const note = body.note ? [element("p", { class: "hint" }, body.note)] : [];
  byId("plot").replaceChildren(headline, canvas, ...note, ...table(sides, lines));
  redraw = () => canvas.replaceChildren(drawBars(sides.map(bar), Math.max(240, canvas.clientWidth)));
  redraw();
  byId("compare-status").textContent = headline.textContent;
}

function speedup([ours, ...others]) {
  return `${duration(ours.milliseconds)} for these pairs: ${others.map((side) => factor(ours, side)).join(", ")}`;
}

function factor(ours, { name, milliseconds }) {
  const times = milliseconds / ours.milliseconds;
  return times < 1 ? `${digits(1 / times)} times slower than ${name}` : `${digits(times)} times faster than ${name}`;
}

function bar({ name, milliseconds, ours, pairs_per_second: rate }) {
  return { name, milliseconds, ours, note: `${digits(rate)} pairs/s` };
}

/** The scores side by side, where a baseline has any: those of this model alone stand above already. */
function table(sides, lines) {
  const scored = sides.filter(({ scores }) => scores);
  if (scored.length < 2) return [];
  const head = ["", ...scored.map(({ name }) => name)].map((text) => element("th", { scope: "col" }, text));
  const rows = lines.map(({ text }, row) =>
    element(
      "tr",
      {},
      element("td", { class: "wrap" }, element("div", { class: "text", dir: "auto" }, text)),
      ...scored.map(({ scores }) => element("td", {}, shown(scores[row]))),
    ),
  );
  const content = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  return [element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores of both" }, content)];
}

/** A similarity, or the most probable label of an entailment. */
function shown(score) {
  if (typeof score === "number") return cosine(score);
  const [label, share] = Object.entries(score).reduce((best, entry) => (entry[1] > best[1] ? entry : best));
  return `${label} ${percent(share)}`;
}

function clear() {
  redraw = () => {};
  byId("plot").replaceChildren();
  byId("compare-status").textContent = "";
}

function showError(error) {
  if (!(error instanceof ServiceError)) explain("The page failed", error.message);
  else if (error.status === 404 && error.param === null) explain("No baseline here yet", "Export one and name it when the service starts: ", element("code", {}, COMMAND));
  else explain(`${error.status} ${error.type}`, error.message);
}

function explain(title, ...content) {
  notify(byId("compare-notice"), element("strong", {}, title), ...content);
}
