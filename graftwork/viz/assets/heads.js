// What heads attend to, as numbers, and the small pictures of all of them.

import { element, fill } from "./dom.js";
import { written } from "./scales.js";

const LEVELS = 255, SIDE = 44;
export const CHANGE = -1;

// Shares are stored layer by layer, over examples, heads, queries and keys; see attention.py.
export function makeHeads(facts, columns) {
  const [examples, queries, keys] = facts.sizes, heads = [];
  let rows = 0;
  facts.layers.forEach(([name, site, number, count], row) => {
    const first = rows;
    for (let head = 0; head < count; head++) {
      const layer = number ?? row;
      heads.push({
        index: heads.length, row, head, layer, site, label: `${layer}.${head}`, path: `${name} head ${head}`,
        place: (example) => first + example * count + head,
      });
    }
    rows += examples * count;
  });
  const codes = facts.scales.map((_, source) => columns[`shares${source}`]);
  return { ...facts, heads, rows, examples, queries, keys, codes, numbers: columns.scores, example: 0 };
}

// How many keys, from the first on, a query can see.
function seenBy({ causal, keys }, query) {
  return causal === null ? keys : Math.max(0, Math.min(keys, query + causal + 1));
}

export function isSeen(model, query, key) {
  return key < seenBy(model, query);
}

// The shares of a head, query after query, in units of `unit`; of CHANGE, by how much the first source
// is above the second.
function levelsOf(model, head, source) {
  const cells = model.queries * model.keys, first = head.place(model.example) * cells;
  if (source !== CHANGE) return { levels: model.codes[source].subarray(first, first + cells), unit: model.scales[source].high / LEVELS };
  const [now, before] = [0, 1].map((each) => levelsOf(model, head, each));
  return { levels: Float32Array.from(now.levels, (level, at) => level * now.unit - before.levels[at] * before.unit), unit: 1 };
}

export function shareOf(model, head, source, query, key) {
  const at = (head.place(model.example) * model.queries + query) * model.keys + key;
  const of = (i) => (model.codes[i][at] / LEVELS) * model.scales[i].high;
  return source === CHANGE ? of(0) - of(1) : of(source);
}

export function scoreOf(model, head, which) {
  return model.numbers[which * model.rows + head.place(model.example)];
}

export function largestOf(model, heads, source) {
  let largest = 0;
  for (const head of heads) {
    const { levels, unit } = levelsOf(model, head, source);
    for (const level of levels) largest = Math.max(largest, Math.abs(level) * unit);
  }
  return largest;
}

// The heads row by row: as the model has them, or by a score.
export function arranged(model, order) {
  if (order < 0) {
    return model.layers.map((_, row) => model.heads.filter((head) => head.row === row)).filter((row) => row.length);
  }
  const across = Math.max(...model.layers.map(([, , , count]) => count));
  const sorted = [...model.heads].sort((a, b) => scoreOf(model, b, order) - scoreOf(model, a, order) || a.index - b.index);
  return Array.from({ length: Math.ceil(sorted.length / across) }, (_, i) => sorted.slice(i * across, (i + 1) * across));
}

// --- thumbnails

// hears: { choose(head, more), paint(head) gives a function that paints its shares }
export function makeThumbnails(model, hears) {
  const root = element("div", { class: "thumbnails", role: "grid", "aria-label": "Heads", "aria-multiselectable": "true" });
  const thumbnails = { model, hears, root, rows: [], at: [0, 0] };
  root.addEventListener("click", (event) => {
    const cell = event.target.closest(".thumbnail");
    if (!cell) return;
    thumbnails.at = [Number(cell.dataset.row), Number(cell.dataset.column)];
    hears.choose(headAt(thumbnails), event.ctrlKey || event.metaKey || event.shiftKey);
  });
  root.addEventListener("keydown", (event) => onThumbnailKey(thumbnails, event));
  return thumbnails;
}

export function arrange(thumbnails, order) {
  const { model, root } = thumbnails;
  thumbnails.rows = arranged(model, order);
  thumbnails.at = [0, 0];
  fill(root, thumbnails.rows.map((heads, row) => element("div", { class: "heads-row", role: "row" },
    order < 0 ? element("span", { class: "layer", role: "rowheader", title: heads[0].site }, String(heads[0].layer)) : null,
    heads.map((head, column) => element("div", {
      class: "thumbnail", role: "gridcell", tabindex: "-1", "data-row": row, "data-column": column, "data-head": head.index,
      "aria-label": `layer ${head.layer} head ${head.head}${order < 0 ? "" : `, ${model.scores[order]} ${written(scoreOf(model, head, order))}`}`,
    }, element("canvas", { width: side(model.keys), height: side(model.queries), "aria-hidden": "true" }),
    element("small", {}, order < 0 ? head.label : `${head.label} ${scoreOf(model, head, order).toFixed(2).replace(/^0/, "")}`))))));
}

export function paintThumbnails(thumbnails) {
  const { model, hears, root } = thumbnails;
  for (const cell of root.querySelectorAll(".thumbnail")) {
    const head = model.heads[Number(cell.dataset.head)];
    paintThumbnail(cell.querySelector("canvas"), model, head, hears.source(), hears.paint(head));
  }
}

export function markThumbnails(thumbnails, chosen) {
  const cells = [...thumbnails.root.querySelectorAll(".thumbnail")];
  for (const cell of cells) {
    const isChosen = chosen.some((head) => head.index === Number(cell.dataset.head));
    cell.setAttribute("aria-selected", String(isChosen));
    cell.setAttribute("tabindex", "-1");
    if (isChosen && chosen[0].index === Number(cell.dataset.head)) thumbnails.at = [Number(cell.dataset.row), Number(cell.dataset.column)];
  }
  cellOf(thumbnails)?.setAttribute("tabindex", "0");
}

function side(extent) {
  return Math.min(extent, SIDE);
}

function headAt({ rows, at }) {
  const [row, column] = at;
  return rows[row][column];
}

function cellOf({ root, at }) {
  const [row, column] = at;
  return root.querySelector(`[data-row="${row}"][data-column="${column}"]`);
}

// Each pixel is the share that is farthest from 0 of those that it covers.
function paintThumbnail(canvas, model, head, source, paint) {
  const { width, height } = canvas, { levels, unit } = levelsOf(model, head, source), { queries, keys } = model;
  const most = new Float32Array(width * height), columns = Int32Array.from({ length: keys }, (_, key) => Math.floor((key * width) / keys));
  for (let query = 0; query < queries; query++) {
    const row = Math.floor((query * height) / queries) * width, seen = seenBy(model, query);
    for (let key = 0, i = query * keys; key < seen; key++, i++) {
      const at = row + columns[key];
      if (Math.abs(levels[i]) > Math.abs(most[at])) most[at] = levels[i];
    }
  }
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  paint(most.map((level) => level * unit), image.data);
  context.putImageData(image, 0, 0);
}

function onThumbnailKey(thumbnails, event) {
  const { rows, at: [row, column], hears } = thumbnails;
  const to = {
    ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column],
    Home: [row, 0], End: [row, rows[row].length - 1], PageUp: [0, column], PageDown: [rows.length - 1, column],
  }[event.key];
  if (to) {
    const next = Math.max(0, Math.min(rows.length - 1, to[0]));
    cellOf(thumbnails).setAttribute("tabindex", "-1");
    thumbnails.at = [next, Math.max(0, Math.min(rows[next].length - 1, to[1]))];
    cellOf(thumbnails).setAttribute("tabindex", "0");
    cellOf(thumbnails).focus();
  } else if (event.key === "Enter" || event.key === " ") hears.choose(headAt(thumbnails), event.key === " ");
  else return;
  event.preventDefault();
  event.stopPropagation();
}
