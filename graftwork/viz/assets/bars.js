// Tokens with bars as long as their shares: what is likely, what is promoted.

import { element } from "./dom.js";
import { written } from "./scales.js";
import { tokenWords } from "./strip.js";

// rows: { word, share, text?, marked? }; a bar is as long as the share is of `most`.
export function makeBars(label, rows, most = 1) {
  return element("ol", { class: "bars", "aria-label": label }, rows.map(({ word, share, text, marked }) => {
    const bar = element("span", { class: share < 0 ? "share-bar less" : "share-bar", "aria-hidden": "true" });
    bar.style.width = `${Math.min(1, Math.abs(share) / (most || 1)) * 100}%`;
    return element("li", { class: marked ? "marked" : "" }, bar,
      element("span", { class: "bar-word" }, tokenWords(word)),
      element("span", { class: "bar-number" }, marked ? "◂ " : "", text ?? written(share)));
  }));
}

export function percentOf(share) {
  const size = Math.abs(share) * 100;
  if (size && size < 0.05) return "< 0.1 %";
  return `${share < 0 ? "−" : ""}${size >= 9.95 || size === 0 ? size.toFixed(0) : size.toFixed(1)} %`;
}
