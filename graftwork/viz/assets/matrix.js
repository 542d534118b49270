// A grid of coloured numbers that scrolls and zooms: heads, layers, positions, cells of arrays.
//
// Only what is in sight is drawn. Keys move a cursor, whose cell is said aloud; table.js
// shows the same grid as a table.

import { contextOf, element } from "./dom.js";
import { blockOf, clamp, imageOf, paintGrid, placeGrid } from "./grid.js";
import { isDark, onTheme, say } from "./page.js";

const NEAREST = 64;

// grid: { label, rows: {name, labels}, columns: {name, labels}, value(row, column), scale,
//   text?(row, column): words in a cell, inside?(context, box, number, dark): paints one,
//   describe(row, column), pick(row, column), hover?(row, column),
//   least?, most?: the least and greatest width of a cell, fits?: whether all is in sight at first,
//   square?, pool?: what cells smaller than a pixel become, alarm?: whether NaN stands out,
//   blank?: a cell without a number is left empty, not crossed out }
export function makeMatrix(page, grid) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const extent = element("div", { class: "extent" });
  const tip = element("div", { class: "tip", role: "presentation", hidden: true });
  const root = element("div", {
    class: "matrix", tabindex: "0", role: "application", "aria-roledescription": "heat map",
    "aria-label": `${grid.label}. Arrow keys move, Enter picks, plus and minus zoom.`,
  }, canvas, extent, tip);
  const matrix = { page, grid, root, canvas, extent, tip, image: null, place: null, zoom: 1, cursor: [-1, -1], hovered: [-1, -1], picked: [-1, -1], lines: [-1, -1] };
  new ResizeObserver(() => { layOut(matrix); draw(matrix); }).observe(root);
  root.addEventListener("scroll", () => draw(matrix));
  root.addEventListener("wheel", (event) => onWheel(matrix, event), { passive: false });
  root.addEventListener("pointermove", (event) => point(matrix, cellAt(matrix, event), event));
  root.addEventListener("pointerleave", () => point(matrix, [-1, -1]));
  root.addEventListener("click", (event) => pickCell(matrix, cellAt(matrix, event)));
  root.addEventListener("keydown", (event) => onMatrixKey(matrix, event));
  onTheme(page, () => refreshMatrix(matrix));
  return matrix;
}

// After values, labels or colours changed.
export function refreshMatrix(matrix, grid = {}) {
  Object.assign(matrix.grid, grid);
  matrix.image = null;
  layOut(matrix);
  draw(matrix);
}

// Marks a cell, and brings it into sight; without telling anyone.
export function markCell(matrix, row, column) {
  matrix.cursor = matrix.picked = [row, column];
  if (row >= 0) bringIntoSight(matrix);
  draw(matrix);
}

// Frames a whole row or column; -1 is none.
export function markLines(matrix, row, column) {
  matrix.lines = [row, column];
  draw(matrix);
}

// Marks the cell that the pointer is over in another matrix.
export function markHovered(matrix, row, column) {
  matrix.hovered = [row, column];
  draw(matrix);
}

// Makes cells so many times larger, around a point of the matrix; 0 fits them again.
/** @param {number | null} x @param {number | null} y */
export function zoomMatrix(matrix, factor, x = null, y = null) {
  const { place, root, zoom } = matrix;
  if (!place) return;
  const most = Math.max(1, NEAREST / Math.min(place.wide / zoom, place.high / zoom));
  const next = factor ? clamp(zoom * factor, 1, most) : 1;
  const atX = (x ?? (place.left + place.width) / 2) - place.left, atY = (y ?? (place.top + place.height) / 2) - place.top;
  const cells = [(root.scrollLeft + atX) / place.wide, (root.scrollTop + atY) / place.high];
  matrix.zoom = next;
  layOut(matrix);
  root.scrollLeft = cells[0] * matrix.place.wide - atX;
  root.scrollTop = cells[1] * matrix.place.high - atY;
  draw(matrix);
}

// Paints the whole grid, within so much room, on a canvas of any kind; returns what it took.
export function paintWhole(context, matrix, width, height, style) {
  const { grid, page, picked } = matrix, dark = isDark(page);
  const fitted = placeGrid(grid, width, height);
  const place = {
    ...fitted, width: fitted.left + fitted.wide * grid.columns.labels.length + 8,
    height: fitted.top + fitted.high * grid.rows.labels.length + 8,
  };
  const none = [-1, -1];
  paintGrid(context, { grid, place, dark, style, image: imageOf(grid, dark, place), scroll: [0, 0], hovered: none, cursor: none, lines: none, picked });
  return place;
}

// The colours of the page, for painting.
export function styleOf(root) {
  const colours = getComputedStyle(root), of = (name) => colours.getPropertyValue(name);
  return { ground: of("--ground"), text: of("--text"), soft: of("--soft"), line: of("--line") };
}

// --- where things are

function layOut(matrix) {
  const { root, grid, extent, canvas } = matrix;
  const width = root.clientWidth, height = root.clientHeight;
  const place = matrix.place = width && height ? placeGrid(grid, width, height, matrix.zoom) : null;
  if (!place) return;
  extent.style.width = `${place.left + place.wide * grid.columns.labels.length + 8}px`;
  extent.style.height = `${place.top + place.high * grid.rows.labels.length + 8}px`;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

function cellAt({ root, place, grid }, event) {
  if (!place) return [-1, -1];
  const { left, top } = root.getBoundingClientRect();
  const x = event.clientX - left - place.left + root.scrollLeft, y = event.clientY - top - place.top + root.scrollTop;
  const row = Math.floor(y / place.high), column = Math.floor(x / place.wide);
  const covered = event.clientX - left < place.left || event.clientY - top < place.top;
  const inside = row >= 0 && column >= 0 && row < grid.rows.labels.length && column < grid.columns.labels.length;
  return inside && !covered ? [row, column] : [-1, -1];
}

function bringIntoSight({ root, place, cursor: [row, column] }) {
  if (!place) return;
  const x = column * place.wide, y = row * place.high;
  root.scrollLeft = clamp(root.scrollLeft, x + place.wide + place.left - place.width + 8, x);
  root.scrollTop = clamp(root.scrollTop, y + place.high + place.top - place.height + 8, y);
}

function draw(matrix) {
  const { canvas, place, root, grid, page, image } = matrix;
  if (!place) return;
  const dark = isDark(page);
  if (!image || image.across !== blockOf(place.wide) || image.down !== blockOf(place.high)) matrix.image = imageOf(grid, dark, place);
  const context = contextOf(canvas), ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  paintGrid(context, { ...matrix, dark, style: styleOf(root), scroll: [root.scrollLeft, root.scrollTop] });
  root.dataset.drawn = `${grid.rows.labels.length}x${grid.columns.labels.length}`;
}

// --- doing

function point(matrix, cell, event) {
  const { hovered, tip, grid, root } = matrix;
  if (cell[0] === hovered[0] && cell[1] === hovered[1]) return;
  matrix.hovered = cell;
  tip.hidden = cell[0] < 0 || !event;
  if (!tip.hidden) {
    const { left, top } = root.getBoundingClientRect();
    tip.textContent = grid.describe(...cell);
    tip.style.left = `${root.scrollLeft + Math.max(4, Math.min(event.clientX - left + 14, root.clientWidth - 250))}px`;
    tip.style.top = `${root.scrollTop + Math.min(event.clientY - top + 16, Math.max(0, root.clientHeight - 70))}px`;
  }
  grid.hover?.(...cell);
  draw(matrix);
}

function pickCell(matrix, cell) {
  if (cell[0] < 0) return;
  markCell(matrix, ...cell);
  say(matrix.page, matrix.grid.describe(...cell));
  matrix.grid.pick(...cell);
}

function onWheel(matrix, event) {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  const { left, top } = matrix.root.getBoundingClientRect();
  zoomMatrix(matrix, Math.exp(-event.deltaY / 200), event.clientX - left, event.clientY - top);
}

function onMatrixKey(matrix, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { grid, cursor: [row, column] } = matrix;
  const last = [grid.rows.labels.length - 1, grid.columns.labels.length - 1];
  const to = {
    ArrowDown: [row + 1, Math.max(column, 0)], ArrowUp: [row - 1, Math.max(column, 0)],
    ArrowRight: [Math.max(row, 0), column + 1], ArrowLeft: [Math.max(row, 0), column - 1],
    Home: [Math.max(row, 0), 0], End: [Math.max(row, 0), last[1]],
    PageUp: [0, Math.max(column, 0)], PageDown: [last[0], Math.max(column, 0)],
  }[event.key];
  const zoom = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, "0": 0 }[event.key];
  if (to) {
    matrix.cursor = [clamp(to[0], 0, last[0]), clamp(to[1], 0, last[1])];
    bringIntoSight(matrix);
    say(matrix.page, grid.describe(...matrix.cursor));
    grid.hover?.(...matrix.cursor);
    draw(matrix);
  } else if (zoom !== undefined) zoomMatrix(matrix, zoom);
  else if (event.key === "Enter" || event.key === " ") pickCell(matrix, matrix.cursor);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
