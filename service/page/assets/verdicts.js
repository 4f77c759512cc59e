// Yes or no of each line: is it the same as the sentence, or supported by it?

import { post, ServiceError } from "./api.js";
import { byId, element, notify } from "./dom.js";
import { percent } from "./units.js";

/** By the names that the page offers: what is asked of the service, and a row of the table for each result. */
const QUESTIONS = {
  same: {
    body: (sentence, texts) => ({ query: sentence, candidates: texts }),
    row: ({ index, same, reason, paraphrase }, texts) => [
      texts[index],
      same ? "the same" : reason,
      paraphrase === null ? "" : percent(paraphrase),
    ],
    head: ["", "verdict", "paraphrase"],
  },
  check: {
    body: (sentence, texts) => ({ sources: sentence, claims: texts }),
    row: ({ claim, label, probability, evidence }) => [claim, label, `${percent(probability)}: “${evidence.text}”`],
    head: ["", "verdict", "evidence"],
  },
};

/** Ask the service for its verdicts on what is typed, and show them. */
export async function judge({ sentence, lines }) {
  if (!sentence || !lines.length) return explain("Nothing to judge", "Type a sentence, and at least one to compare it with.");
  notify(byId("verdict-notice"));
  const name = byId("verdict-task").value;
  const texts = lines.map(({ text }) => text);
  try {
    const { body } = await post(name, QUESTIONS[name].body(sentence, texts));
    show(QUESTIONS[name], body.results, texts);
  } catch (error) {
    byId("verdict-table").replaceChildren();
    byId("verdict-status").textContent = "";
    const known = error instanceof ServiceError;
    explain(known ? `${error.status} ${error.type}` : "The page failed", error.message);
  }
}

function show({ row, head }, results, texts) {
  const cells = head.map((text) => element("th", { scope: "col" }, text));
  const rows = results.map((result) => {
    const [text, ...others] = row(result, texts);
    const first = element("td", { class: "wrap" }, element("div", { class: "text", dir: "auto" }, text));
    return element("tr", {}, first, ...others.map((value) => element("td", { class: "wrap" }, value)));
  });
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...cells)), element("tbody", {}, ...rows));
  const region = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Verdicts" }, table);
  byId("verdict-table").replaceChildren(region);
  byId("verdict-status").textContent = `${results.length} judged.`;
}

function explain(title, ...content) {
  notify(byId("verdict-notice"), element("strong", {}, title), ...content);
}
