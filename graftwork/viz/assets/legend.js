// The axes of the graph with their sizes and colours, and what a rewrite did, in words.

import { button, element, fill } from "./dom.js";
import { axisWord } from "./inspector.js";

export function makeLegend(scene, actions) {
  const list = element("div", { class: "legend", role: "group", "aria-label": "Axes" });
  fill(list, scene.model.axes.slice(0, 60).map((_, axis) => axisWord(scene.model, axis, actions)));
  return list;
}

export function refreshLegend(legend, scene) {
  Array.from(legend.children).forEach((word, axis) => {
    word.setAttribute("aria-pressed", String(scene.axis === axis));
  });
}

const KEYS = [
  ["↓ ↑", "first reader, first maker"], ["← →", "neighbours in the rank"],
  ["Enter", "open or close"], ["Shift+Enter", "open or close all inside"], ["Backspace", "to the group around"],
  ["/", "search"], ["n p", "next and previous hit or change"], ["f", "fit into sight"], ["0", "life size"],
  ["+ −", "nearer, farther"], ["a", "follow the next axis"], ["u d", "only what leads here, what follows"],
  ["b", "only between this and the next place"], ["c", "only what changed and what is around, farther each time"], ["s", "before and after side by side"], ["[ ]", "previous and next pass or rule"], ["Esc", "clear"], ["e", "save the picture"], ["?", "this help"],
];
const WORDS_TO_SEARCH = [
  ["attn q_proj", "paths, ops, sites, names; else their letters in order"], ["op:softmax", "an op"], ["axis:kv_seq", "an axis of the result"],
  ["site:resid", "canonical sites"], ["param:weight", "parameters"], ["shape:768", "an extent"], ["changed:", "what a rewrite changed"],
  ["pass:gelu", "what a pass or rule made"],
];

export function makeHelp(close) {
  const list = (rows) => element("dl", {}, rows.flatMap(([key, what]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)]));
  return element("dialog", { class: "help", "aria-label": "Help" },
    button("×", "Close", close, { class: "close" }),
    element("h2", {}, "Keys"), list(KEYS), element("h2", {}, "Search"), list(WORDS_TO_SEARCH),
    element("p", { class: "soft" }, "Drag or scroll to move; Ctrl+scroll or pinch to zoom; double-click opens a group."));
}
