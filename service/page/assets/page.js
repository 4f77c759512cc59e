// The page: scores while one types, and says what went wrong where it did.

import { get, hasKey, post, ServiceError, setKey } from "./api.js";
import { compare } from "./compare.js";
import { byId, element, notify } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { drawPairs, join, summary } from "./scores.js";
import { drawTimings } from "./timings.js";
import { cosine, plural } from "./units.js";
import { judge } from "./verdicts.js";

const PAUSE = 180; // milliseconds without a key before the sentences are sent
const FIRST = 20; // sentences that a long list shows at first

const premise = byId("premise");
const hypotheses = byId("hypotheses");
let threshold = null;
let pairs = []; // as scored last
let mode = "cosine"; // of their similarity
let most = FIRST;
let timer = 0;
let running = new AbortController();

/** What is typed: the sentence, and of each line with text its number and the text. */
function typed() {
  const lines = hypotheses.value.split("\n").map((text, line) => ({ text: text.trim(), line: line + 1 }));
  return { sentence: premise.value.trim(), lines: lines.filter(({ text }) => text) };
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(score, PAUSE);
}

async function score() {
  clearTimeout(timer);
  running.abort();
  running = new AbortController();
  const { sentence, lines } = typed();
  if (!sentence || !lines.length) return ask();
  const texts = lines.map(({ text }) => text);
  const asked = { sentence1: sentence, sentence2: texts, mode: byId("mode").value };
  byId("results").setAttribute("aria-busy", "true");
  try {
    const [similarity, entailment] = await Promise.all([
      post("similarity", asked, running.signal),
      post("entailment", { premise: sentence, hypothesis: texts }, running.signal),
    ]);
    showScores(asked, similarity, entailment);
  } catch (error) {
    if (error.name !== "AbortError") showError(error, lines);
  }
}

function ask() {
  clearResults();
  byId("pairs").replaceChildren(element("li", { class: "empty" }, "Type a sentence, and at least one to compare it with."));
}

function showScores(asked, similarity, entailment) {
  clearResults();
  byId("key-field").hidden = true;
  const texts = asked.sentence2;
  pairs = join(texts, similarity.body, entailment.body);
  mode = asked.mode;
  draw();
  byId("status").textContent = summary(pairs);
  const read = `${plural(similarity.body.usage.tokens, "token")} in ${plural(texts.length, "pair")}`;
  drawTimings(byId("timings"), read, { similarity, entailment });
  byId("curl").textContent = shell(asked);
  byId("shell").hidden = false;
}

function draw() {
  drawPairs(byId("pairs"), pairs, { order: byId("order").value, most, mode, threshold });
  byId("threshold").hidden = mode !== "cosine";
  byId("order-field").hidden = pairs.length < 2;
  byId("all").hidden = pairs.length <= most;
  byId("all").textContent = `Show all ${pairs.length}`;
}

function showAll() {
  most = Infinity;
  draw();
  // The button is gone, and with it the focus: go on where the list goes on.
  const next = byId("pairs").children[FIRST];
  next.tabIndex = -1;
  next.focus();
}

function shell(payload) {
  const text = JSON.stringify(payload, null, 1).replaceAll("'", "'\\''");
  const key = hasKey() ? `  -H "Authorization: Bearer $KEY" \\\n` : "";
  return `curl ${new URL("similarity", document.baseURI)} \\\n${key}  --json '${text}'`;
}

function showError(error, lines) {
  clearResults();
  const known = error instanceof ServiceError;
  const field = known ? fieldAtFault(error.param, lines) : null;
  field?.area.setAttribute("aria-invalid", "true");
  if (known && error.status === 401) byId("key-field").hidden = false;
  const title = known ? titleOf(error, field) : "The page failed";
  notify(byId("error"), element("strong", {}, title), error.message);
}

function titleOf({ status, type }, field) {
  const name = status ? `${status} ${type}` : type;
  return field ? `${name}, in ${field.name}` : name;
}

/** The text area that the service's `param` means; its position counts the lines with text. */
function fieldAtFault(param, lines) {
  const [, name, position] = /^(\w+?)(?:\[(\d+)\])?$/.exec(param ?? "") ?? [];
  if (["sentence1", "premise"].includes(name)) return { area: premise, name: "“Sentence”" };
  if (!["sentence2", "hypothesis"].includes(name)) return null;
  const line = position === undefined ? "" : `, line ${lines[Number(position)]?.line}`;
  return { area: hypotheses, name: `“Compared with”${line}` };
}

function clearResults() {
  for (const area of [premise, hypotheses]) area.removeAttribute("aria-invalid");
  byId("results").setAttribute("aria-busy", "false");
  for (const id of ["pairs", "timings", "status", "error"]) byId(id).replaceChildren();
  for (const id of ["error", "shell", "order-field", "all"]) byId(id).hidden = true;
}

function show({ premise: sentence, hypotheses: texts }) {
  premise.value = sentence;
  hypotheses.value = texts.join("\n");
  most = FIRST;
  return score();
}

function addExamples() {
  for (const example of EXAMPLES) {
    const button = element("button", { type: "button", class: "quiet" }, example.name);
    button.addEventListener("click", () => show(example));
    byId("examples").append(button);
  }
}

/** What is served, and what is worse than it should be. Without it the page works all the same. */
async function describeService() {
  const info = await get("info").catch(() => null);
  if (info === null) return;
  threshold = info.model.paraphrase_threshold;
  byId("threshold").textContent = `The mark is a similarity of ${cosine(threshold)}: from there on, a paraphrase.`;
  byId("served").textContent = `${info.model.name} · ${info.kernel} · ${plural(info.threads, "thread")}`;
  notify(byId("degraded"), ...info.degraded.map((reason) => `Slower than it should be: ${reason}. `));
}

async function start() {
  addExamples();
  for (const area of [premise, hypotheses]) area.addEventListener("input", later);
  byId("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    setKey(byId("key").value);
    await describeService();
    await score();
  });
  byId("mode").addEventListener("change", score);
  byId("order").addEventListener("change", draw);
  byId("all").addEventListener("click", showAll);
  window.addEventListener("online", score);
  byId("verdict-button").addEventListener("click", () => judge(typed()));
  byId("compare-button").addEventListener("click", () => compare(typed()));
  await describeService();
  // A reload keeps what was typed.
  await (typed().sentence ? score() : show(EXAMPLES[0]));
}

start();
