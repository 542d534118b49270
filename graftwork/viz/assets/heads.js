// What heads attend to, as numbers, and the small pictures of all of them.

import { element, fill, putPixels } from "./dom.js";
import { written } from "./scales.js";
import { inflate } from "./unpack.js";

// A thumbnail is so many steps deep, and so many pixels wide; PITCH is from one to the next.
const LEVELS = 255, FEW = 56, SIDE = 44, PITCH = 51;
export const CHANGE = -1;

// Orders of heads beside those by scores, which have numbers from 0 on.
export const AS_MADE = -1;
export const ALIKE = -2;

// Each chunk has the shares of a source and layer, over examples, heads, queries and keys, and is
// inflated when one of these heads is chosen; the thumbnails are there from the first. See attention.py.
export function makeHeads(facts, columns, chunks) {
  const [examples, queries, keys] = facts.sizes, heads = [];
  let rows = 0;
  facts.layers.forEach(([name, site, number, count], row) => {
    const first = rows;
    for (let head = 0; head < count; head++) {
      const layer = number ?? row;
      heads.push({
        index: heads.length, row, head, layer, site, label: `${layer}.${head}`, path: `${name} head ${head}`,
        place: (example) => first + example * count + head, inside: (example) => example * count + head,
      });
    }
    rows += examples * count;
  });
  facts.alike.forEach((group, number) => group.forEach((head) => (heads[head].group = number)));
  return { ...facts, heads, rows, examples, queries, keys, columns, chunks, codes: new Map(), numbers: columns.scores, example: 0 };
}

// Whether the shares of some heads are inflated.
export function isLoaded({ codes }, heads) {
  return heads.every(({ row }) => codes.has(row));
}

// The shares of the layers of some heads, as `codes` of the model are to be: row -> those of each source.
export async function inflated({ layers, chunks, scales, codes }, heads) {
  const found = new Map();
  for (const { row } of heads) {
    if (!found.has(row)) found.set(row, codes.get(row) ?? await Promise.all(scales.map((_, source) => inflate(chunks[source * layers.length + row]))));
  }
  return found;
}

// How many keys, from the first on, a query can see.
function seenBy({ causal, keys }, query) {
  return causal === null ? keys : Math.max(0, Math.min(keys, query + causal + 1));
}

export function isSeen(model, query, key) {
  return key < seenBy(model, query);
}

// A share; of CHANGE, by how much that of the first source is above that of the second.
export function shareOf(model, head, source, query, key) {
  const at = (head.inside(model.example) * model.queries + query) * model.keys + key, codes = model.codes.get(head.row);
  const of = (i) => (codes[i][at] / LEVELS) * model.scales[i].high;
  return source === CHANGE ? of(0) - of(1) : of(source);
}

// The thumbnail of a head: the level of each pixel, row after row, and the share of each level.
function inSmall({ queries, keys, columns, scales, change, example }, head, source) {
  const pixels = side(queries) * side(keys), first = head.place(example) * pixels;
  const { low, high } = source === CHANGE ? change : scales[source];
  return {
    levels: columns[source === CHANGE ? "smallChange" : `small${source}`].subarray(first, first + pixels),
    shares: Array.from({ length: FEW + 1 }, (_, level) => low + (level * (high - low)) / FEW),
  };
}

export function scoreOf(model, head, which) {
  return model.numbers[which * model.rows + head.place(model.example)];
}

// The keys of the largest shares of a query, with these shares, the largest first; what rounds to 0 is none.
export function topKeys(model, head, source, query, count) {
  const best = [];
  for (let key = 0; key < seenBy(model, query); key++) {
    const share = shareOf(model, head, source, query, key), size = Math.abs(share);
    if (!size || (best.length === count && size <= Math.abs(best[count - 1][1]))) continue;
    const at = best.findIndex(([, other]) => Math.abs(other) < size);
    best.splice(at < 0 ? best.length : at, 0, [key, share]);
    best.length = Math.min(best.length, count);
  }
  return best;
}

// The share of some heads that is farthest from 0; of heads that are not inflated, as their thumbnails show it.
export function largestOf(model, heads, source) {
  let largest = 0;
  const see = (share) => { largest = Math.max(largest, Math.abs(share)); };
  for (const head of heads) {
    if (!isLoaded(model, [head])) {
      const { levels, shares } = inSmall(model, head, source);
      levels.forEach((level) => see(shares[level]));
    } else for (let query = 0; query < model.queries; query++) for (let key = 0; key < seenBy(model, query); key++) see(shareOf(model, head, source, query, key));
  }
  return largest;
}

// The heads row by row: as the model has them, by a score, or like ones together, with those that
// are like no other at the end.
export function arranged(model, order) {
  const { heads, layers, alike } = model, across = Math.max(...layers.map(([, , , count]) => count));
  const rowsOf = (some) => Array.from({ length: Math.ceil(some.length / across) }, (_, i) => some.slice(i * across, (i + 1) * across));
  if (order === AS_MADE) return layers.map((_, row) => heads.filter((head) => head.row === row)).filter((row) => row.length);
  if (order === ALIKE) {
    const groups = [...alike.filter((group) => group.length > 1), alike.filter((group) => group.length < 2).flat()];
    return groups.flatMap((group) => rowsOf(group.map((head) => heads[head])));
  }
  return rowsOf([...heads].sort((a, b) => scoreOf(model, b, order) - scoreOf(model, a, order) || a.index - b.index));
}

// What stands before a row: its layer, or which group of like heads it is of.
function headerOf({ alike }, order, { layer, site, group }) {
  const [title, text] = order === AS_MADE ? [site, layer] : alike[group].length > 1 ? [`group ${group + 1}`, group + 1] : ["like no other", "·"];
  return element("span", { class: "layer", role: "rowheader", title }, String(text));
}

// What is said of a head in this order.
function saidOf(model, order, head) {
  if (order === ALIKE) return `, ${model.alike[head.group].length > 1 ? `group ${head.group + 1}` : "like no other"}`;
  return order < 0 ? "" : `, ${model.scores[order]} ${written(scoreOf(model, head, order))}`;
}

// --- thumbnails

// hears: { choose(head, more), source(), pixels(head, shares) gives their colours }
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
    order < 0 ? headerOf(model, order, heads[0]) : null,
    heads.map((head, column) => element("div", {
      class: "thumbnail", role: "gridcell", tabindex: "-1", "data-row": row, "data-column": column, "data-head": head.index,
      "aria-label": `layer ${head.layer} head ${head.head}${saidOf(model, order, head)}`,
    }, element("small", {}, order < 0 ? head.label : `${head.label} ${scoreOf(model, head, order).toFixed(2).replace(/^0/, "")}`))), canvasFor(model, heads))));
}

// One canvas for the heads of a row lies over their cells: a browser composes few of them much sooner than many.
function canvasFor(model, heads) {
  const width = heads.length * PITCH - (PITCH - SIDE), canvas = element("canvas", { width, height: side(model.queries), "aria-hidden": "true" });
  canvas.style.width = `${width}px`;
  return canvas;
}

export function paintThumbnails({ model, hears, root, rows }) {
  root.querySelectorAll("canvas").forEach((canvas, row) => putPixels(canvas, (pixels) => {
    rows[row].forEach((head, place) => paintThumbnail(model, head, hears, pixels.subarray(place * PITCH), canvas.width));
  }));
}

// Paints a head from the first of some pixels on, which stand in rows of so many.
function paintThumbnail(model, head, hears, pixels, width) {
  const { levels, shares } = inSmall(model, head, hears.source()), colours = hears.pixels(head, shares), across = side(model.keys);
  for (let y = 0; y < side(model.queries); y++) {
    for (let x = 0; x < SIDE; x++) pixels[y * width + x] = colours[levels[y * across + Math.floor((x * across) / SIDE)]];
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
