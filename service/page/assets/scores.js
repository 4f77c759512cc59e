// The scores of one sentence against a list, drawn as bars.

import { element } from "./dom.js";
import { cosine, percent } from "./units.js";

const LABELS = ["entailment", "neutral", "contradiction"];
const VISIBLE = 0.005; // smaller shares would be nothing but the gap beside them

/** What a similarity is called, by the mode that it was asked for in. */
const NAMES = { cosine: "similarity", paraphrase: "paraphrase", relatedness: "relatedness" };

/** By the names that the page offers: which of two sentences stands first. */
const ORDERS = {
  typed: () => 0,
  similarity: (a, b) => b.similarity - a.similarity,
  entailment: (a, b) => b.shares.entailment - a.shares.entailment,
};

/** What both answers say of each sentence: { text, similarity, label, shares, truncated, unread }. */
export function join(texts, { scores, usage }, { results }) {
  return texts.map((text, row) => ({
    text,
    similarity: scores[row],
    label: results[row].label,
    shares: results[row].scores,
    truncated: usage.truncated[row],
    unread: usage.unread[row],
  }));
}

/**
 * A list item for each of the first `most`, with the similarity of `mode`; `threshold` is the cosine from which a pair is
 * a paraphrase, or null.
 */
export function drawPairs(list, pairs, { order, most, mode, threshold }) {
  const shown = pairs.toSorted(ORDERS[order]).slice(0, most);
  const mark = mode === "cosine" ? threshold : null;
  list.replaceChildren(...shown.map((pair) => drawPair(pair, NAMES[mode], mark)));
}

/** What a screen reader hears when new scores are there. */
export function summary(pairs) {
  const [best] = pairs.toSorted(ORDERS.similarity);
  const closest = `${best.text} at ${cosine(best.similarity)}`;
  return pairs.length === 1 ? `Scored: ${closest}` : `${pairs.length} sentences scored. Closest: ${closest}`;
}

function drawPair({ text, similarity, label, shares, truncated, unread }, name, threshold) {
  return element(
    "li",
    {},
    element("p", { class: "text", dir: "auto" }, text),
    similarityBar(name, similarity, threshold),
    ...entailmentBar(label, shares),
    ...(truncated ? [element("p", { class: "cut" }, "Longer than the model reads: cut to its limit.")] : []),
    ...(unread ? [element("p", { class: "cut" }, "The model knows no word of one of the two: the scores say nothing.")] : []),
  );
}

function similarityBar(name, score, threshold) {
  const fill = element("div", { class: "fill" });
  fill.style.width = `${100 * Math.max(0, score)}%`;
  const track = element("div", { class: "track" }, fill);
  if (threshold !== null) {
    const mark = element("div", { class: "mark", title: `paraphrase from ${cosine(threshold)}` });
    mark.style.left = `${100 * threshold}%`;
    track.append(mark);
  }
  return measure(name, track, cosine(score));
}

function entailmentBar(label, shares) {
  const stack = element("div", { class: "stack" });
  const legend = element("p", { class: "legend" });
  for (const name of LABELS) {
    if (shares[name] >= VISIBLE) stack.append(segment(name, shares[name]));
    const key = element("i", { class: name });
    legend.append(element("span", { class: name === label ? "best" : "rest" }, key, `${name} ${percent(shares[name])}`));
  }
  return [measure("entailment", stack, ""), legend];
}

function segment(name, share) {
  const part = element("span", { class: name });
  part.style.flexGrow = 100 * share; // a sum below 1 would leave a gap
  return part;
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
