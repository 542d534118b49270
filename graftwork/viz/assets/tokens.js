// The picture of a text: its tokens coloured by numbers, and what was predicted for each place.

import { keepAddress, recalled } from "./address.js";
import { makeBars, percentOf } from "./bars.js";
import { element, fill } from "./dom.js";
import { makeKeys } from "./keys.js";
import { isDark, makeBar, onKeys, onSelection, onTheme, say, show, tellSelection, views } from "./page.js";
import { makeColourBar, makeScale, written } from "./scales.js";
import { colourStrip, focusToken, makeStrip, quoted, tokenWords } from "./strip.js";

const KEYS = [["← →", "along the tokens"], ["Enter", "hold a token"], ["v", "colour by the next number"], ["/", "to the tokens"], ["Esc", "let go"], ["?", "these keys"]];

views.set("tokens", (root, facts, columns, page) => {
  const view = { root, page, facts, columns, which: 0, at: 0, locked: false, count: facts.words.length };
  view.scales = facts.values.map(([, scale]) => makeScale(scale));
  view.strip = makeStrip("Tokens", facts.words, { point: (at) => point(view, at), leave: () => {}, pick: (at) => lock(view, at) });
  view.said = element("aside", { class: "said", "aria-label": "The token that is pointed at" });
  view.legend = element("div", { class: "legend-bar" });
  view.keys = makeKeys(KEYS);
  view.choice = element("select", { "aria-label": "Colour by", onchange: () => colourBy(view, Number(view.choice.value)) },
    facts.values.map(([name], i) => element("option", { value: i }, name)));
  show(root, makeBar(page, facts.title, view.legend, element("div", { class: "tools" }, facts.values.length > 1 ? view.choice : null, view.keys.opener)),
    element("div", { class: "texts" }, element("div", { class: "text" }, view.strip.root), view.said), view.keys.dialog);
  const { number } = recalled(root), at = number("at", view.count);
  if (at >= 0) Object.assign(view, { at, locked: true });
  colourBy(view, Math.max(0, number("by", facts.values.length)));
  keepAddress(root, () => ({ by: view.which, at: view.locked && view.at }));
  onTheme(page, () => refresh(view));
  onKeys(root, (event) => ({
    v: () => colourBy(view, (view.which + 1) % facts.values.length), "/": () => focusToken(view.strip, view.at),
    Escape: () => { view.locked = false; refresh(view); }, "?": () => view.keys.dialog.showModal(),
  })[event.key]);
  onSelection(page, root, ({ seq }) => {
    if (!Number.isInteger(seq) || seq >= view.count) return;
    Object.assign(view, { at: seq, locked: true });
    refresh(view);
  });
});

function numberOf(view, which, at) {
  return view.columns.numbers[which * view.count + at];
}

function colourBy(view, which) {
  view.which = which;
  view.choice.value = which;
  fill(view.legend, makeColourBar(view.page, view.scales[which]));
  refresh(view);
}

function refresh(view) {
  const { strip, which, at, locked, page, scales } = view, dark = isDark(page);
  colourStrip(strip, (i) => {
    const number = numberOf(view, which, i), known = !Number.isNaN(number);
    return { rgb: known ? scales[which].rgb(number, dark) : null, note: known ? written(number) : "", state: i === at ? (locked ? "locked" : "held") : "" };
  });
  fill(view.said, cardOf(view));
}

function cardOf(view) {
  const { facts, at } = view, word = facts.words[at];
  if (word === undefined) return [];
  const rows = facts.values.map(([name], i) => [name, numberOf(view, i, at)]).filter(([, number]) => !Number.isNaN(number));
  const said = saidFor(view, at), rank = view.columns.ranks?.[at];
  if (rank) rows.push(["rank", rank]);
  return [
    element("h3", {}, tokenWords(word), element("span", { class: "soft" }, `  ${at}`)),
    element("dl", {}, rows.flatMap(([name, number]) => [element("dt", {}, name), element("dd", {}, written(number))])),
    said.length ? element("h4", {}, "predicted in its place") : null,
    said.length ? makeBars("Predicted in its place", said) : null,
  ];
}

// The likeliest tokens for a place; the one that stands there is marked.
function saidFor({ facts, columns, count }, at) {
  if (!columns.said || !at) return [];
  const top = columns.said.length / (count - 1), start = (at - 1) * top;
  return Array.from({ length: top }, (_, i) => {
    const share = columns.shares[start + i];
    return { word: facts.strings[columns.said[start + i]], share, text: percentOf(share), marked: i === columns.ranks[at] - 1 };
  });
}

function point(view, at) {
  if (view.locked) return;
  view.at = at;
  refresh(view);
  sayToken(view);
}

function lock(view, at) {
  view.locked = !(view.locked && view.at === at);
  view.at = at;
  refresh(view);
  sayToken(view);
  tellSelection(view.page, view.root, { seq: at });
}

function sayToken(view) {
  const { facts, which, at } = view, best = saidFor(view, at).slice(0, 3).map(({ word, text }) => `${quoted(word)} ${text}`);
  const number = numberOf(view, which, at);
  say(view.page, `${quoted(facts.words[at])}${Number.isNaN(number) ? "" : `, ${facts.values[which][0]} ${written(number)}`}${best.length ? `; predicted ${best.join(", ")}` : ""}`);
}
