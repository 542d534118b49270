// The picture of a logit lens: layers by positions, in each cell the token that is likeliest. Of two
// runs, one, both, or how they differ.

import { keepAddress, recalled } from "./address.js";
import { makeBars, percentOf } from "./bars.js";
import { button, element, fill } from "./dom.js";
import { makeKeys } from "./keys.js";
import { makeMatrix, markCell, markHovered, paintWhole, refreshMatrix } from "./matrix.js";
import { makeBar, onKeys, onSave, onSelection, say, show, tellSelection, views } from "./page.js";
import { makeColourBar, makeScale, written } from "./scales.js";
import { drawSheet } from "./sheet.js";
import { quoted, tokenWords } from "./strip.js";
import { tableOf } from "./table.js";

const BEST = 0, ENTROPY = 1, SHARE = 2, DIFFERENCE = -1;
const WAYS = ["probability of the likeliest", "entropy (bits)", "probability of the target", "log₁₀ rank of the target"];
const KEYS = [["← →", "along the tokens"], ["↑ ↓", "along the layers"], ["Enter", "hold a cell"], ["v", "colour by the next number"], ["t", "next target"], ["Esc", "let go"], ["?", "these keys"]];
const RUN_KEY = ["r", "the next run, both, their difference"];

views.set("lens", (root, facts, columns, page) => {
  const rows = facts.rows.length, { runs } = facts, count = runs[0][1].length;
  const view = { root, page, facts, columns, rows, count, shown: [0], which: BEST, target: 0, row: rows - 1, at: count - 1, locked: false };
  view.choices = runs.length < 2 ? [] : [[[0, 1], "side by side"], [[DIFFERENCE], nameOf(view, DIFFERENCE)], [[0], runs[0][0]], [[1], runs[1][0]]];
  build(view);
  recall(view);
  keepAddress(root, () => ({
    by: view.which, target: view.target, run: view.runChoice?.value, table: !view.frame.hidden, ...(view.locked ? { row: view.row, at: view.at } : {}),
  }));
  onKeys(root, (event) => ({
    v: () => colourBy(view, (view.which + 1) % WAYS.length), t: () => aim(view, (view.target + 1) % facts.targets.length),
    r: view.runChoice && (() => showRuns(view, (Number(view.runChoice.value) + 1) % view.choices.length)),
    Escape: () => { view.locked = false; mark(view, -1, -1); }, "?": () => view.keys.dialog.showModal(),
  })[event.key]);
  onSelection(page, root, (selection) => hearSelection(view, selection));
  onSave(page, root, () => drawn(view));
});

function recall(view) {
  const { word, number } = recalled(view.root), row = number("row", view.rows), at = number("at", view.count);
  if (row >= 0 && at >= 0) Object.assign(view, { row, at, locked: true });
  view.which = Math.max(BEST, number("by", WAYS.length));
  view.target = Math.max(0, number("target", view.facts.targets.length));
  view.aim.value = view.target;
  showRuns(view, Math.max(0, number("run", view.choices.length)));
  if (word("table") === "true") showTable(view);
}

function build(view) {
  const { facts, page, choices } = view;
  const chooser = (label, names, change) => {
    const choice = element("select", { "aria-label": label, onchange: () => change(view, Number(choice.value)) }, names.map((name, i) => element("option", { value: i }, name)));
    return choice;
  };
  view.keys = makeKeys(choices.length ? [...KEYS, RUN_KEY] : KEYS, "The last layer is at the top.");
  view.legend = element("div", { class: "legend-bar" });
  view.runChoice = choices.length ? chooser("Show", choices.map(([, name]) => name), showRuns) : null;
  view.choice = chooser("Colour by", WAYS, colourBy);
  view.aim = chooser("Target", facts.targets, aim);
  view.card = element("aside", { class: "said", tabindex: "0", "aria-label": "The cell that is pointed at" });
  view.grids = element("div", { class: "grids" });
  view.frame = element("div", { class: "numbers-frame", tabindex: "0", role: "region", "aria-label": "Numbers", hidden: true });
  view.table = button("Table", "Show the grid as a table", () => showTable(view), { "aria-pressed": "false" });
  show(view.root, makeBar(page, facts.title, view.legend, element("div", { class: "tools" }, view.runChoice, view.choice, view.aim, view.table, view.keys.opener)),
    element("div", { class: "texts" }, view.grids, view.frame, view.card), view.keys.dialog);
}

// Rows are drawn from the last stream down.
function gridOf(view, source) {
  const { facts, rows } = view, row = (drawn) => rows - 1 - drawn, differs = source === DIFFERENCE;
  return {
    label: view.choices.length ? `${facts.title}: ${nameOf(view, source)}` : facts.title,
    rows: { name: "layer", labels: [...facts.rows].reverse() },
    columns: { name: "seq", labels: Array.from({ length: view.count }, (_, at) => `${at} ${tokenAt(view, source, at).trim() || "␣"}`) },
    least: differs ? 64 : 44, most: differs ? 116 : 78,
    value: (drawn, at) => numberOf(view, source, row(drawn), at), text: (drawn, at) => likeliest(view, source, row(drawn), at),
    describe: (drawn, at) => describe(view, source, row(drawn), at),
    hover: (drawn, at) => { if (drawn >= 0) point(view, source, row(drawn), at); },
    pick: (drawn, at) => lock(view, row(drawn), at),
  };
}

function nameOf({ facts: { runs } }, source) {
  return source === DIFFERENCE ? `${runs[0][0]} − ${runs[1][0]}` : runs[source][0];
}

function cellOf(view, row, at) {
  return row * view.count + at;
}

function targetAt(view, row, at) {
  return (row * view.facts.targets.length + view.target) * view.count + at;
}

// What a cell is coloured by; of DIFFERENCE how far two runs are apart, or by how much the first is above the other.
function numberOf(view, source, row, at) {
  const { columns, which, facts } = view, cell = cellOf(view, row, at), target = targetAt(view, row, at);
  if (source === DIFFERENCE) return which === BEST ? columns.apart[cell] : numberOf(view, 0, row, at) - numberOf(view, 1, row, at);
  if (which === BEST) return columns[`shares${source}`][cell * facts.top];
  if (which === ENTROPY) return columns[`entropy${source}`][cell];
  return which === SHARE ? columns[`targetShares${source}`][target] : Math.log10(columns[`targetRanks${source}`][target]);
}

function wordOf({ facts, columns, count }, source, row, at, nth) {
  return facts.strings[columns[`said${source}`][(row * count + at) * facts.top + nth]];
}

// The token of a prompt, or both where two differ.
function tokenAt({ facts: { runs } }, source, at) {
  const [one, other] = (source === DIFFERENCE ? [0, 1] : [source, source]).map((run) => runs[run][1][at]);
  return one === other ? one : `${one.trim()}|${other.trim()}`;
}

function likeliest(view, source, row, at) {
  const [one, other] = (source === DIFFERENCE ? [0, 1] : [source, source]).map((run) => wordOf(view, run, row, at, 0).trim() || "␣");
  return one === other ? one : `${one}|${other}`;
}

function describe(view, source, row, at) {
  const { facts, columns } = view, runs = source === DIFFERENCE ? [0, 1] : [source], cell = cellOf(view, row, at);
  const said = runs.map((run) => `${runs.length > 1 ? `${nameOf(view, run)} ` : ""}${quoted(wordOf(view, run, row, at, 0))} ${percentOf(columns[`shares${run}`][cell * facts.top])}`);
  const apart = source === DIFFERENCE ? `, ${written(columns.apart[cell])} bits apart` : "";
  return `layer ${facts.rows[row]}, ${at} ${quoted(tokenAt(view, source, at))}: ${said.join(", ")}${apart}`;
}

// What the numbers of a grid are.
function wayOf(source, which) {
  return source === DIFFERENCE && which === BEST ? "Kullback-Leibler divergence (bits)" : WAYS[which];
}

function scaleOf({ facts, which }, source) {
  return makeScale((source === DIFFERENCE ? facts.changes : facts.scales)[which]);
}

// --- doing

function showRuns(view, number) {
  const { page, grids, choices } = view;
  view.shown = choices.length ? choices[number][0] : [0];
  if (view.runChoice) view.runChoice.value = number;
  view.choice.options[BEST].textContent = wayOf(view.shown[0], BEST);
  view.matrices = view.shown.map((source) => ({ source, matrix: makeMatrix(page, { ...gridOf(view, source), scale: scaleOf(view, source) }) }));
  const title = (source) => (choices.length ? element("h3", {}, nameOf(view, source)) : null);
  fill(grids, view.matrices.map(({ source, matrix }) => element("div", { class: "facet" }, title(source), matrix.root)));
  if (view.locked) mark(view, view.row, view.at);
  colourBy(view, view.which);
  if (choices.length) say(page, choices[number][1]);
}

function colourBy(view, which) {
  const { page, matrices, legend, choices } = view;
  view.which = which;
  view.choice.value = which;
  const [{ source }] = matrices, change = source === DIFFERENCE && which !== BEST;
  const words = `${wayOf(source, which)}${change ? `: ${nameOf(view, source)}` : ""}`;
  fill(legend, choices.length ? element("span", { class: "soft" }, words) : null, makeColourBar(page, scaleOf(view, source)));
  for (const { source, matrix } of matrices) refreshMatrix(matrix, { scale: scaleOf(view, source) });
  refreshCard(view);
  if (!view.frame.hidden) fillTable(view);
}

function aim(view, target) {
  view.target = target;
  view.aim.value = target;
  colourBy(view, view.which < SHARE ? SHARE : view.which);
  say(view.page, `Target: ${view.facts.targets[target]}`);
}

function point(view, source, row, at) {
  for (const other of view.matrices) if (other.source !== source) markHovered(other.matrix, view.rows - 1 - row, at);
  if (view.locked) return;
  Object.assign(view, { row, at });
  refreshCard(view);
}

function lock(view, row, at) {
  view.locked = !(view.locked && view.row === row && view.at === at);
  Object.assign(view, { row, at });
  mark(view, row, at);
  refreshCard(view);
  const [, site, layer] = view.facts.sites[row];
  tellSelection(view.page, view.root, layer === null ? { site, seq: at } : { site, layer, seq: at });
}

// Marks the cell of a stream and a position in all grids; -1 is none.
function mark(view, row, at) {
  for (const { matrix } of view.matrices) markCell(matrix, row < 0 ? -1 : view.rows - 1 - row, at);
}

function refreshCard(view) {
  const { card, facts, columns, row, at, shown, choices } = view, [source] = shown;
  const runs = source === DIFFERENCE ? [0, 1] : shown;
  fill(card, element("h3", {}, tokenWords(tokenAt(view, runs.length > 1 ? DIFFERENCE : source, at)), element("span", { class: "soft" }, `  ${at}, layer ${facts.rows[row]}`)),
    element("p", { class: "soft" }, facts.sites[row][0]),
    runs.length > 1 ? element("p", { class: "soft" }, `${written(columns.apart[cellOf(view, row, at)])} bits from ${nameOf(view, 0)} to ${nameOf(view, 1)}`) : null,
    runs.flatMap((run) => [choices.length ? element("h4", {}, nameOf(view, run)) : null, ...saidBy(view, run)]),
    shown.flatMap((each) => [element("h4", {}, `${choices.length ? `${nameOf(view, each)}: ` : ""}${wayOf(each, view.which)}, layer by layer`), profile(view, each)]));
}

// What a run says in the cell that is pointed at.
function saidBy(view, run) {
  const { facts, columns, row, at } = view, target = targetAt(view, row, at), cell = cellOf(view, row, at);
  const rank = columns[`targetRanks${run}`][target], rows = [
    ["entropy", `${written(columns[`entropy${run}`][cell])} bits`],
    ["target", facts.targets[view.target]], ["its probability", percentOf(columns[`targetShares${run}`][target])], ["its rank", rank],
  ];
  const bars = Array.from({ length: facts.top }, (_, i) => {
    const share = columns[`shares${run}`][cell * facts.top + i];
    return { word: wordOf(view, run, row, at, i), share, text: percentOf(share), marked: i === rank - 1 };
  });
  return [
    makeBars(view.choices.length ? `Likeliest tokens, ${nameOf(view, run)}` : "Likeliest tokens", bars),
    element("dl", {}, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))])),
  ];
}

// The number of this position at every layer, as bars.
function profile(view, source) {
  const { low, high } = scaleOf(view, source), most = Math.max(Math.abs(low), high) || 1;
  const numbers = view.facts.rows.map((_, row) => numberOf(view, source, row, view.at));
  return element("div", { class: "profile", role: "img", "aria-label": `${wayOf(source, view.which)} layer by layer: ${numbers.map(written).join(", ")}` },
    numbers.map((number, row) => {
      const bar = element("span", { class: `${number < 0 ? "less " : ""}${row === view.row ? "here" : ""}` });
      bar.style.height = `${Math.max(2, (100 * Math.abs(number)) / most)}%`;
      return bar;
    }));
}

function showTable(view) {
  const shown = view.frame.hidden;
  view.frame.hidden = !shown;
  view.grids.hidden = shown;
  view.table.setAttribute("aria-pressed", String(shown));
  if (shown) fillTable(view);
}

function fillTable(view) {
  fill(view.frame, view.matrices.map(({ matrix }) => tableOf(matrix.grid)));
}

// The picture as it looks, for saving.
function drawn(view) {
  const { facts, matrices, choices } = view, [{ source }] = matrices;
  return drawSheet(view, `${facts.title}: ${wayOf(source, view.which)}`, scaleOf(view, source), matrices.map((each) => ({
    title: choices.length ? nameOf(view, each.source) : "", draw: (context, ...room) => paintWhole(context, each.matrix, ...room).height,
  })));
}

function hearSelection(view, { site, layer, seq }) {
  const row = view.facts.sites.findIndex(([, name, number]) => name === site || (number !== null && number === layer));
  const at = Number.isInteger(seq) && seq < view.count ? seq : view.at;
  if (row < 0 && at === view.at) return;
  Object.assign(view, { row: row < 0 ? view.row : row, at, locked: true });
  mark(view, view.row, view.at);
  refreshCard(view);
}
