// The picture of a logit lens: layers by positions, in each cell the token that is likeliest.

import { makeBars, percentOf } from "./bars.js";
import { button, element, fill } from "./dom.js";
import { makeKeys } from "./keys.js";
import { makeMatrix, markCell, refreshMatrix, tableOf } from "./matrix.js";
import { makeBar, onKeys, onSelection, say, show, tellSelection, views } from "./page.js";
import { makeColourBar, makeScale, written } from "./scales.js";
import { quoted, tokenWords } from "./strip.js";

const BEST = 0, ENTROPY = 1, SHARE = 2;
const KEYS = [["← →", "along the tokens"], ["↑ ↓", "along the layers"], ["Enter", "hold a cell"], ["v", "colour by the next number"], ["t", "next target"], ["Esc", "let go"], ["?", "these keys"]];

views.set("lens", (root, facts, columns, page) => {
  const rows = facts.rows.length, count = facts.words.length;
  const view = { root, page, facts, columns, rows, count, which: BEST, target: 0, row: rows - 1, at: count - 1, locked: false };
  view.ways = [["probability of the likeliest", facts.probability], ["entropy (bits)", facts.entropy], ["probability of the target", facts.probability], ["log₁₀ rank of the target", facts.rank]];
  build(view);
  colourBy(view, BEST);
  onKeys(root, (event) => ({
    v: () => colourBy(view, (view.which + 1) % view.ways.length), t: () => aim(view, (view.target + 1) % facts.targets.length),
    Escape: () => { view.locked = false; markCell(view.matrix, -1, -1); }, "?": () => view.keys.dialog.showModal(),
  })[event.key]);
  onSelection(page, root, (selection) => hearSelection(view, selection));
});

function build(view) {
  const { facts, page } = view;
  const chooser = (label, names, change) => {
    const choice = element("select", { "aria-label": label, onchange: () => change(view, Number(choice.value)) }, names.map((name, i) => element("option", { value: i }, name)));
    return choice;
  };
  view.keys = makeKeys(KEYS, "The last layer is at the top.");
  view.legend = element("div", { class: "legend-bar" });
  view.choice = chooser("Colour by", view.ways.map(([name]) => name), colourBy);
  view.aim = chooser("Target", facts.targets, aim);
  view.card = element("aside", { class: "said", "aria-label": "The cell that is pointed at" });
  view.matrix = makeMatrix(page, gridOf(view));
  view.frame = element("div", { class: "numbers-frame", tabindex: "0", role: "region", "aria-label": "Numbers", hidden: true });
  view.table = button("Table", "Show the grid as a table", () => showTable(view), { "aria-pressed": "false" });
  show(view.root, makeBar(page, facts.title, view.legend, element("div", { class: "tools" }, view.choice, view.aim, view.table, view.keys.opener)),
    element("div", { class: "texts" }, view.matrix.root, view.frame, view.card), view.keys.dialog);
}

// Rows are drawn from the last stream down.
function gridOf(view) {
  const { facts, rows } = view, row = (drawn) => rows - 1 - drawn;
  return {
    label: facts.title, rows: { name: "layer", labels: [...facts.rows].reverse() },
    columns: { name: "seq", labels: facts.words.map((word, at) => `${at} ${word.trim() || "␣"}`) }, least: 44, most: 78,
    value: (drawn, at) => numberOf(view, row(drawn), at), text: (drawn, at) => wordOf(view, row(drawn), at, 0).trim() || "␣",
    describe: (drawn, at) => describe(view, row(drawn), at),
    hover: (drawn, at) => { if (drawn >= 0) point(view, row(drawn), at); },
    pick: (drawn, at) => lock(view, row(drawn), at),
  };
}

function cellOf(view, row, at) {
  return row * view.count + at;
}

function targetAt(view, row, at) {
  return (row * view.facts.targets.length + view.target) * view.count + at;
}

function numberOf(view, row, at) {
  const { columns, which, facts } = view;
  if (which === BEST) return columns.shares[cellOf(view, row, at) * facts.top];
  if (which === ENTROPY) return columns.entropy[cellOf(view, row, at)];
  const target = targetAt(view, row, at);
  return which === SHARE ? columns.targetShares[target] : Math.log10(columns.targetRanks[target]);
}

function wordOf({ facts, columns, count }, row, at, nth) {
  return facts.strings[columns.said[(row * count + at) * facts.top + nth]];
}

function describe(view, row, at) {
  const { facts, columns } = view, share = columns.shares[cellOf(view, row, at) * facts.top];
  return `layer ${facts.rows[row]}, ${at} ${quoted(facts.words[at])}: ${quoted(wordOf(view, row, at, 0))} ${percentOf(share)}`;
}

// --- doing

function colourBy(view, which) {
  view.which = which;
  view.choice.value = which;
  const scale = makeScale(view.ways[which][1]);
  fill(view.legend, makeColourBar(view.page, scale));
  refreshMatrix(view.matrix, { scale });
  refreshCard(view);
}

function aim(view, target) {
  view.target = target;
  view.aim.value = target;
  colourBy(view, view.which < SHARE ? SHARE : view.which);
  say(view.page, `Target: ${view.facts.targets[target]}`);
}

function point(view, row, at) {
  if (view.locked) return;
  Object.assign(view, { row, at });
  refreshCard(view);
}

function lock(view, row, at) {
  view.locked = !(view.locked && view.row === row && view.at === at);
  Object.assign(view, { row, at });
  refreshCard(view);
  const [, site, layer] = view.facts.sites[row];
  tellSelection(view.page, view.root, layer === null ? { site, seq: at } : { site, layer, seq: at });
}

function refreshCard(view) {
  const { card, facts, columns, row, at } = view, target = targetAt(view, row, at);
  const rank = columns.targetRanks[target], rows = [
    ["entropy", `${written(columns.entropy[cellOf(view, row, at)])} bits`],
    ["target", facts.targets[view.target]], ["its probability", percentOf(columns.targetShares[target])], ["its rank", rank],
  ];
  fill(card, element("h3", {}, tokenWords(facts.words[at]), element("span", { class: "soft" }, `  ${at}, layer ${facts.rows[row]}`)),
    element("p", { class: "soft" }, facts.sites[row][0]),
    makeBars("Likeliest tokens", Array.from({ length: facts.top }, (_, i) => {
      const share = columns.shares[cellOf(view, row, at) * facts.top + i];
      return { word: wordOf(view, row, at, i), share, text: percentOf(share), marked: i === rank - 1 };
    })),
    element("dl", {}, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))])),
    element("h4", {}, `${view.ways[view.which][0]}, layer by layer`), profile(view));
}

// The number of this position at every layer, as bars.
function profile(view) {
  const [, scale] = view.ways[view.which], numbers = view.facts.rows.map((_, row) => numberOf(view, row, view.at));
  return element("div", { class: "profile", role: "img", "aria-label": `${view.ways[view.which][0]} layer by layer: ${numbers.map(written).join(", ")}` },
    numbers.map((number, row) => {
      const bar = element("span", { class: row === view.row ? "here" : "" });
      bar.style.height = `${Math.max(2, (100 * number) / (scale.high || 1))}%`;
      return bar;
    }));
}

function showTable(view) {
  const shown = view.frame.hidden;
  view.frame.hidden = !shown;
  view.matrix.root.hidden = shown;
  view.table.setAttribute("aria-pressed", String(shown));
  if (shown) fill(view.frame, tableOf(view.matrix.grid));
}

function hearSelection(view, { site, layer, seq }) {
  const row = view.facts.sites.findIndex(([, name, number]) => name === site || (number !== null && number === layer));
  const at = Number.isInteger(seq) && seq < view.count ? seq : view.at;
  if (row < 0 && at === view.at) return;
  Object.assign(view, { row: row < 0 ? view.row : row, at, locked: true });
  markCell(view.matrix, view.rows - 1 - view.row, view.at);
  refreshCard(view);
}
