// The same pairs through this model and through DistilBERT.

import { post, ServiceError } from "./api.js";
import { byId, element, notify } from "./dom.js";
import { logBars } from "./plot.js";
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
  byId("plot").replaceChildren(headline, canvas, table(sides, lines));
  redraw = () => canvas.replaceChildren(logBars(sides.map(bar), Math.max(260, canvas.clientWidth)));
  redraw();
  byId("compare-status").textContent = headline.textContent;
  if (body.note) explain("How to read this", body.note);
}

function speedup([ours, ...others]) {
  const factors = others.map(({ name, milliseconds }) => `${digits(milliseconds / ours.milliseconds)} times faster than ${name}`);
  return `${duration(ours.milliseconds)} for these pairs: ${factors.join(", ")}`;
}

function bar({ name, milliseconds, ours, pairs_per_second: rate }) {
  return { name, milliseconds, ours, note: `${digits(rate)} pairs/s` };
}

/** Scores a side; none where its weights are not trained. */
function table(sides, lines) {
  const head = ["", ...sides.map(({ name }) => name)].map((text) => element("th", { scope: "col" }, text));
  const rows = lines.map(({ text }, row) =>
    element(
      "tr",
      {},
      element("td", { class: "wrap" }, text),
      ...sides.map(({ scores }) => element("td", {}, scores ? shown(scores[row]) : "—")),
    ),
  );
  const content = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  const title = "Scores; — where the weights are not trained for the task";
  const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, content);
  return element("div", {}, element("p", { class: "hint" }, title), scroll);
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
