// The scores of one sentence against a list, drawn as bars.

import { element } from "./dom.js";
import { cosine, percent } from "./units.js";

const LABELS = ["entailment", "neutral", "contradiction"];
const VISIBLE = 0.005; // smaller shares would be nothing but the gap beside them

/** One list item for each hypothesis; `threshold` is the cosine from which a pair counts as a paraphrase, or null. */
export function drawPairs(list, hypotheses, similarity, entailment, threshold) {
  list.replaceChildren(
    ...hypotheses.map((text, row) =>
      element(
        "li",
        {},
        element("p", { class: "text" }, text),
        similarityBar(similarity.scores[row], threshold),
        ...entailmentBar(entailment.results[row]),
        ...(similarity.usage.truncated[row] ? [cutNote()] : []),
      ),
    ),
  );
}

/** What a screen reader hears when new scores are there. */
export function summary(hypotheses, similarity) {
  const best = similarity.scores.reduce((top, score, row, all) => (score > all[top] ? row : top), 0);
  const closest = `${hypotheses[best]} at ${cosine(similarity.scores[best])}`;
  return hypotheses.length === 1 ? `Scored: ${closest}` : `${hypotheses.length} sentences scored. Closest: ${closest}`;
}

function similarityBar(score, threshold) {
  const fill = element("div", { class: "fill" });
  fill.style.width = `${100 * Math.max(0, score)}%`;
  const track = element("div", { class: "track" }, fill);
  if (threshold !== null) {
    const mark = element("div", { class: "mark", title: `paraphrase from ${cosine(threshold)}` });
    mark.style.left = `${100 * threshold}%`;
    track.append(mark);
  }
  return measure("similarity", track, cosine(score));
}

function entailmentBar({ label, scores }) {
  const stack = element("div", { class: "stack" });
  const legend = element("p", { class: "legend" });
  for (const name of LABELS) {
    if (scores[name] >= VISIBLE) stack.append(share(name, scores[name]));
    const key = element("i", { class: name });
    legend.append(element("span", { class: name === label ? "best" : "rest" }, key, `${name} ${percent(scores[name])}`));
  }
  return [measure("entailment", stack, ""), legend];
}

function share(name, part) {
  const segment = element("span", { class: name });
  segment.style.flexGrow = 100 * part; // a sum below 1 would leave a gap
  return segment;
}

function measure(name, bar, value) {
  bar.setAttribute("aria-hidden", "true");
  return element(
    "div",
    { class: "measure" },
    element("span", { class: "name" }, name),
    bar,
    element("span", { class: "value" }, value),
  );
}

function cutNote() {
  return element("p", { class: "cut" }, "Longer than the model reads: cut to its limit.");
}
