// The picture of attention: all heads small, the chosen ones large, and the tokens themselves,
// coloured by what the one that is pointed at attends to, or by what attends to it.

import { keepAddress } from "./address.js";
import { drawArcs, makeArcs, paintAllArcs } from "./arcs.js";
import { percentOf } from "./bars.js";
import { choicesOf, markHeld, pairOf, recallChoices, recallHeads } from "./chosen.js";
import { button, element, fill, pixelOf } from "./dom.js";
import { ALIKE, AS_MADE, CHANGE, arrange, inflated, isLoaded, isSeen, largestOf, makeHeads, makeThumbnails, markThumbnails, paintThumbnails, shareOf, topKeys } from "./heads.js";
import { makeKeys } from "./keys.js";
import { makeMatrix, markCell, markLines, paintWhole, refreshMatrix } from "./matrix.js";
import { isDark, makeBar, onKeys, onSave, onSelection, onTheme, say, show, tellSelection, views } from "./page.js";
import { makeColourBar, makeScale } from "./scales.js";
import { drawSheet } from "./sheet.js";
import { colourStrip, focusToken, makeStrip, quoted, tokenWords } from "./strip.js";
import { tableOf } from "./table.js";

const QUERY = 0, KEY = 1, MOST_CHOSEN = 12, LISTED = 6, LARGE = 512;

// What is shown of a head: a grid, so many arcs from each query, or a table.
const TABLE = -1, FORMS = [[0, "as a grid"], [1, "1 arc each"], [3, "3 arcs each"], [10, "10 arcs each"], [TABLE, "as a table"]];
const KEYS = [
  ["← →", "along the tokens"], ["↑ ↓", "along the grid or the heads"], ["x", "swap: attends to, attended by"],
  ["Enter", "hold a token or cell, choose a head"], ["Space", "add a head to those shown"], ["[ ]", "head before, next head"],
  ["s", "sort heads by the next score"], ["c", "stretch the colours"], ["v", "show the next source"], ["a", "as a grid, more arcs, or a table"], ["Esc", "let go"], ["?", "these keys"],
];

// `chosen` are the heads that are to be seen, `enlarged` those that are: their shares are inflated.
views.set("attention", async (root, facts, columns, page, chunks) => {
  const model = makeHeads(facts, columns, chunks), chosen = recallHeads(root, model, MOST_CHOSEN);
  const view = { root, page, model, chosen, enlarged: chosen, shown: [0], arcs: 0, order: AS_MADE, stretched: false, side: QUERY, at: model.queries - 1, other: -1, locked: false };
  model.codes = await inflated(model, chosen);
  build(view);
  rebuild(view);
  recallChoices(view);
  refresh(view);
  markHeld(view);
  keepAddress(root, () => choicesOf(view));
  onTheme(page, () => repaint(view));
  onKeys(root, (event) => keyOf(view, event));
  onSelection(page, root, (selection) => hearSelection(view, selection));
  onSave(page, root, () => drawn(view));
});

// --- parts

function build(view) {
  const { model, page } = view;
  view.thumbnails = makeThumbnails(model, {
    choose: (head, more) => choose(view, head, more), source: () => view.shown.at(-1) === CHANGE ? CHANGE : view.shown[0],
    pixels: (head, shares) => pixelsOf(view, head, shares),
  });
  view.keys = makeKeys(KEYS, "Hold Shift or Ctrl and click to show several heads.");
  view.legend = element("div", { class: "legend-bar" });
  view.reading = element("div", { class: "reading" });
  view.grids = element("div", { class: "grids" });
  view.swap = button("Swap", "Swap what is shown: attends to, attended by (x)", () => swap(view), { "aria-pressed": "false" });
  view.stretch = button("Stretch", "Stretch the colours to the largest share (c)", () => stretch(view), { "aria-pressed": "false" });
  const side = element("div", { class: "heads" }, element("div", { class: "controls" }, orderChooser(view)), view.thumbnails.root);
  show(view.root, makeBar(page, model.title, view.legend, element("div", { class: "tools" }, exampleChooser(view), sourceChooser(view), formChooser(view), view.stretch, view.swap, view.keys.opener)),
    element("div", { class: model.layers.length > 2 ? "content" : "content stacked" }, side, element("div", { class: "looking" }, view.reading, view.grids)), view.keys.dialog);
}

function select(label, options, change) {
  const choice = element("select", { "aria-label": label, onchange: () => change(Number(choice.value)) },
    options.map(([value, text]) => element("option", { value }, text)));
  return choice;
}

function orderChooser(view) {
  view.orders = [[AS_MADE, "as in the model"], [ALIKE, "likeness"], ...view.model.scores.map((name, i) => [i, name])];
  view.orderChoice = select("Sort heads by", view.orders, (order) => sortBy(view, order));
  return element("label", {}, "Heads", view.orderChoice);
}

function sourceChooser(view) {
  const { names } = view.model;
  if (names.length < 2) return null;
  view.sources = [[0, names[0], [0]], [1, names[1], [1]], [2, "side by side", [0, 1]], [3, "difference", [CHANGE]]];
  view.sourceChoice = select("Show", view.sources, (at) => showSource(view, at));
  return view.sourceChoice;
}

function formChooser(view) {
  view.formChoice = select("Show heads", FORMS, (arcs) => showForm(view, arcs));
  return view.formChoice;
}

function exampleChooser(view) {
  const { model } = view;
  if (model.examples < 2) return null;
  return select("Example", Array.from({ length: model.examples }, (_, i) => [i, `example ${i}`]), (example) => {
    model.example = example;
    rebuild(view);
  });
}

function wordsOf({ model }, side) {
  const rows = side === KEY ? model.keyWords ?? model.words : model.words;
  return rows[Math.min(model.example, rows.length - 1)];
}

function isCross({ model }) {
  return model.keyWords !== null;
}

function sourceName({ model }, source) {
  return source === CHANGE ? `${model.names[0]} − ${model.names[1]}` : model.names[source];
}

// --- building what depends on heads, sources and examples

function rebuild(view) {
  arrange(view.thumbnails, view.order);
  markThumbnails(view.thumbnails, view.chosen);
  view.strips = view.shown.flatMap((source) => (isCross(view) ? [QUERY, KEY] : [null]).map((side) => stripOf(view, source, side)));
  fill(view.reading, view.shown.map((source) => {
    const strips = view.strips.filter((strip) => strip.source === source);
    return element("section", {}, strips.flatMap((strip) => [strip.title, strip.strip.root]), strips.at(-1).list);
  }));
  rebuildEnlarged(view);
}

function stripOf(view, source, side) {
  const made = { source, side, title: element("p", { class: "strip-title" }), list: element("ol", { class: "shares" }) };
  const name = side === null ? "Tokens" : view.model.axes[side][0];
  made.strip = makeStrip(name, wordsOf(view, side ?? QUERY), {
    point: (at) => point(view, side ?? view.side, at), leave: () => {}, pick: (at) => lock(view, side ?? view.side, at, -1),
  });
  return made;
}

function rebuildEnlarged(view) {
  const made = view.arcs === TABLE ? tabled : view.arcs ? arcsOf : matrixOf;
  view.facets = view.enlarged.flatMap((head) => view.shown.map((source) => ({ head, source, ...made(view, head, source) })));
  fill(view.grids, view.facets.map(({ head, source, root }) => element("div", { class: "facet" },
    element("h3", { title: head.path }, `layer ${head.layer} head ${head.head}`,
      view.model.names.length > 1 ? element("span", { class: "soft" }, ` ${sourceName(view, source)}`) : null), root)));
  repaint(view);
  markHeld(view);
}

function numbered(view, side) {
  return wordsOf(view, side).map((word, at) => `${at} ${word.trim() || "␣"}`);
}

function matrixOf(view, head, source) {
  const { model, page } = view;
  const grid = {
    label: `${head.path}, ${sourceName(view, source)}`, square: true, blank: true, least: 6, most: 34, fits: model.keys > LARGE, scale: scaleOf(view, [head], source),
    rows: { name: model.axes[QUERY][0], labels: numbered(view, QUERY) }, columns: { name: model.axes[KEY][0], labels: numbered(view, KEY) },
    value: (query, key) => (isSeen(model, query, key) ? shareOf(model, head, source, query, key) : NaN),
    describe: (query, key) => describe(view, head, source, query, key),
    hover: (query, key) => { if (query >= 0) point(view, view.side, view.side === QUERY ? query : key, view.side === QUERY ? key : query); },
    pick: (query, key) => lock(view, view.side, view.side === QUERY ? query : key, view.side === QUERY ? key : query),
  };
  const matrix = makeMatrix(page, grid);
  return {
    grid, root: matrix.root, repaint: (scale) => refreshMatrix(matrix, { scale }), hold: () => markLines(matrix, ...pairOf(view, view.at, -1)),
    mark: (...cell) => markCell(matrix, ...cell), draw: (context, ...room) => paintWhole(context, matrix, ...room).height,
  };
}

// The same grid as a table; it is saved as a grid.
function tabled(view, head, source) {
  const made = matrixOf(view, head, source);
  return { ...made, root: element("div", { class: "numbers-frame", tabindex: "0", role: "region", "aria-label": `${made.grid.label}, table` }, tableOf({ ...made.grid, text: undefined })) };
}

function arcsOf(view, head, source) {
  const { model, page } = view;
  const figure = {
    label: `${head.path}, ${sourceName(view, source)}`, names: model.axes.map(([name]) => name), words: [QUERY, KEY].map((side) => numbered(view, side)),
    tops: Array.from({ length: model.queries }, (_, query) => topKeys(model, head, source, query, view.arcs)), scale: scaleOf(view, [head], source),
    held: () => view, point: (side, at) => point(view, side, at), pick: (side, at) => lock(view, side, at, -1),
  };
  const arcs = makeArcs(page, figure), draw = () => drawArcs(arcs);
  return { root: arcs.root, repaint: (scale) => { figure.scale = scale; draw(); }, hold: draw, mark: draw, draw: (context, width, _, style) => paintAllArcs(context, arcs, width, style) };
}

function describe(view, head, source, query, key) {
  const from = quoted(wordsOf(view, QUERY)[query]), to = quoted(wordsOf(view, KEY)[key]);
  if (!isSeen(view.model, query, key)) return `${query} ${from} cannot see ${key} ${to}`;
  return `${query} ${from} → ${key} ${to}: ${percentOf(shareOf(view.model, head, source, query, key))}`;
}

// --- colours

function scaleOf({ model, stretched }, heads, source) {
  const facts = source === CHANGE ? model.change : model.scales[source];
  if (!stretched) return makeScale(facts);
  const high = largestOf(model, heads, source) || facts.high;
  return makeScale({ ...facts, low: source === CHANGE ? -high : 0, high });
}

function pixelsOf(view, head, shares) {
  const scale = scaleOf(view, [head], view.thumbnails.hears.source()), dark = isDark(view.page);
  return shares.map((share) => pixelOf(scale.rgb(share, dark)));
}

function repaint(view) {
  paintThumbnails(view.thumbnails);
  for (const { head, source, repaint } of view.facets) repaint(scaleOf(view, [head], source));
  fill(view.legend, makeColourBar(view.page, scaleOf(view, view.enlarged, view.shown[0])));
  refresh(view);
}

// --- what the token that is held attends to

function meanShare(view, source, query, key) {
  let sum = 0;
  for (const head of view.enlarged) sum += shareOf(view.model, head, source, query, key);
  return sum / view.enlarged.length;
}

function shareWith(view, source, at) {
  const [query, key] = pairOf(view, view.at, at);
  return isSeen(view.model, query, key) ? meanShare(view, source, query, key) : null;
}

function refresh(view) {
  const dark = isDark(view.page), far = 1 - view.side;
  for (const { strip, source, side, title, list } of view.strips) {
    const scale = scaleOf(view, view.enlarged, source);
    const holds = side === null || side === view.side, shows = side === null || side === far;
    colourStrip(strip, (at) => {
      const share = shows ? shareWith(view, source, at) : null;
      const state = holds && at === view.at ? (view.locked ? "locked" : "held") : shows && share === null ? "unseen" : "";
      return { rgb: share === null ? null : scale.rgb(share, dark), note: share === null ? "" : percentOf(share), state };
    });
    fill(title, titleOf(view, source, side));
    if (shows || side === KEY) listShares(view, list, source);
  }
  for (const { hold } of view.facets) hold();
  view.swap.setAttribute("aria-pressed", String(view.side === KEY));
}

function titleOf(view, source, side) {
  const heads = view.enlarged.length > 1 ? `, mean of ${view.enlarged.length} heads` : "";
  const name = view.model.names.length > 1 ? `${sourceName(view, source)}: ` : "";
  if (side !== null) return `${name}${view.model.axes[side][0]}${side === view.side ? heads : ""}`;
  return `${name}${view.side === QUERY ? "what the marked token attends to" : "what attends to the marked token"}${heads}`;
}

function listShares(view, list, source) {
  const words = wordsOf(view, 1 - view.side), scale = scaleOf(view, view.enlarged, source);
  const shares = words.map((word, at) => ({ word, at, share: shareWith(view, source, at) })).filter(({ share }) => share);
  shares.sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
  const holder = element("li", { class: "holder" }, element("b", {}, tokenWords(wordsOf(view, view.side)[view.at])),
    ` ${view.at} ${view.side === QUERY ? "attends to" : "is attended by"}`);
  fill(list, holder, shares.slice(0, LISTED).map(({ word, at, share }) => {
    const bar = element("span", { class: share < 0 ? "bar-mark less" : "bar-mark" });
    bar.style.width = `${Math.min(1, Math.abs(share) / scale.high) * 56}px`;
    return element("li", {}, bar, element("span", { class: "token-word" }, tokenWords(word)), element("span", { class: "soft" }, ` ${at}`), element("b", {}, percentOf(share)));
  }));
}

// --- doing

function point(view, side, at, other = -1) {
  if (view.locked) return;
  Object.assign(view, { side, at, other });
  refresh(view);
  sayHeld(view);
}

function sayHeld(view) {
  const shares = wordsOf(view, 1 - view.side).map((word, at) => [shareWith(view, view.shown[0], at) ?? 0, word]);
  const best = shares.sort((a, b) => b[0] - a[0]).slice(0, 3).map(([share, word]) => `${quoted(word)} ${percentOf(share)}`);
  say(view.page, `${quoted(wordsOf(view, view.side)[view.at])} ${view.side === QUERY ? "attends to" : "is attended by"} ${best.join(", ")}`);
}

// Holds a token, until the same is picked again.
function lock(view, side, at, other) {
  view.locked = !(view.locked && view.side === side && view.at === at && other < 0);
  Object.assign(view, { side, at, other });
  refresh(view);
  sayHeld(view);
  markHeld(view);
  tell(view);
}

function tell(view) {
  const { model, chosen: [head], at, other, side } = view, axes = model.axes.map(([, name]) => name);
  const selection = { site: head.site, layer: head.layer, heads: head.head, [axes[side]]: at };
  if (other >= 0) selection[axes[1 - side]] = other;
  tellSelection(view.page, view.root, selection);
}

function letGo(view) {
  view.locked = false;
  for (const { mark } of view.facets) mark(-1, -1);
  refresh(view);
}

function swap(view) {
  const counts = [view.model.queries, view.model.keys];
  view.side = 1 - view.side;
  Object.assign(view, { at: Math.min(view.at, counts[view.side] - 1), other: -1 });
  refresh(view);
  sayHeld(view);
}

function stretch(view) {
  view.stretched = !view.stretched;
  view.stretch.setAttribute("aria-pressed", String(view.stretched));
  repaint(view);
}

function choose(view, head, more) {
  const was = view.chosen.indexOf(head);
  if (!more) view.chosen = [head];
  else if (was < 0) view.chosen = [...view.chosen, head].slice(-MOST_CHOSEN);
  else if (view.chosen.length > 1) view.chosen = view.chosen.filter((other) => other !== head);
  enlarge(view);
  say(view.page, `${view.chosen.map(({ layer, head }) => `layer ${layer} head ${head}`).join(", ")}`);
  tell(view);
}

// Shows the chosen heads large: at once, or when their shares are inflated.
function enlarge(view) {
  const { root, model, chosen } = view;
  markThumbnails(view.thumbnails, chosen);
  const finish = (codes) => {
    if (view.chosen !== chosen) return;
    model.codes = codes;
    view.enlarged = chosen;
    root.removeAttribute("aria-busy");
    rebuildEnlarged(view);
  };
  if (isLoaded(model, chosen)) return finish(model.codes);
  root.setAttribute("aria-busy", "true");
  inflated(model, chosen).then(finish);
}

function step(view, by) {
  const heads = view.thumbnails.rows.flat(), at = heads.indexOf(view.chosen[0]);
  choose(view, heads[(at + by + heads.length) % heads.length], false);
}

function sortBy(view, order) {
  view.order = order;
  view.orderChoice.value = order;
  arrange(view.thumbnails, order);
  paintThumbnails(view.thumbnails);
  markThumbnails(view.thumbnails, view.chosen);
  view.thumbnails.root.scrollTop = 0;
  say(view.page, `Heads: ${view.orderChoice.selectedOptions[0].text}`);
}

function showForm(view, arcs) {
  view.arcs = arcs;
  view.formChoice.value = arcs;
  rebuildEnlarged(view);
  say(view.page, `Heads ${view.formChoice.selectedOptions[0].text}`);
}

function showSource(view, at) {
  view.shown = view.sources[at][2];
  view.sourceChoice.value = at;
  rebuild(view);
  say(view.page, view.sources[at][1]);
}

function keyOf(view, event) {
  const { orders } = view, after = (options, now) => options[(options.findIndex(([option]) => option === now) + 1) % options.length][0];
  const next = () => showSource(view, (Number(view.sourceChoice.value) + 1) % view.sources.length);
  return {
    x: () => swap(view), c: () => stretch(view), s: () => sortBy(view, after(orders, view.order)), a: () => showForm(view, after(FORMS, view.arcs)),
    v: view.sources ? next : undefined, "[": () => step(view, -1), "]": () => step(view, 1), Escape: () => letGo(view),
    "?": () => view.keys.dialog.showModal(), "/": () => focusToken(view.strips[0].strip, view.at),
  }[event.key];
}

// The picture as it looks, for saving: the heads that are large.
function drawn(view) {
  return drawSheet(view, view.model.title, scaleOf(view, view.enlarged, view.shown[0]), view.facets.map(({ head, source, draw }) => ({
    title: `layer ${head.layer} head ${head.head}${view.model.names.length > 1 ? ` ${sourceName(view, source)}` : ""}`, draw,
  })));
}

// What another picture selected: a site, a head, a position.
function hearSelection(view, selection) {
  const { model } = view, axes = model.axes.map(([, name]) => name);
  const there = (head) => (selection.site === head.site || selection.layer === head.layer) && (selection.heads === undefined || selection.heads === head.head);
  const found = model.heads.find(there);
  if (found && !view.chosen.some(there)) {
    view.chosen = [found];
    enlarge(view);
  }
  const side = axes.findIndex((axis) => Number.isInteger(selection[axis]));
  if (side < 0 || selection[axes[side]] >= [model.queries, model.keys][side]) return;
  Object.assign(view, { side, at: selection[axes[side]], other: -1, locked: true });
  refresh(view);
}
