// Elements without markup in strings: texts stay texts, whatever is in them.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with attributes and children (elements or texts). */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function byId(id) {
  return document.getElementById(id);
}

/** Show texts and elements in a notice, or hide it where there are none. */
export function notify(notice, ...content) {
  notice.replaceChildren(...content);
  notice.hidden = content.length === 0;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
