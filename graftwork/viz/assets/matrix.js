// A grid of coloured numbers on a canvas that scrolls: heads, layers, positions, cells of arrays.
//
// Only what is in sight is drawn. Keys move a cursor, whose cell is said aloud; `tableOf` gives the
// same grid as a table.

import { element } from "./dom.js";
import { isDark, onTheme, say } from "./page.js";
import { inkOn, written } from "./scales.js";

const FONT = '11px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif';
const GAP = 6, LETTER = 7, MARK = "#ffb000";

// grid: { label, rows: {name, labels}, columns: {name, labels}, value(row, column), scale,
//   text?(row, column), describe(row, column), pick(row, column), hover?(row, column),
//   least?, most?: the least and greatest width of a cell, square?, flipped?,
//   blank?: a cell without a number is left empty, not crossed out }
export function makeMatrix(page, grid) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const extent = element("div", { class: "extent" });
  const tip = element("div", { class: "tip", role: "presentation", hidden: true });
  const root = element("div", {
    class: "matrix", tabindex: "0", role: "application", "aria-roledescription": "heat map",
    "aria-label": `${grid.label}. Arrow keys move, Enter picks.`,
  }, canvas, extent, tip);
  const matrix = { page, grid, root, canvas, extent, tip, image: null, cursor: [-1, -1], hovered: [-1, -1], picked: [-1, -1], lines: [-1, -1] };
  new ResizeObserver(() => { layOut(matrix); draw(matrix); }).observe(root);
  root.addEventListener("scroll", () => draw(matrix));
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

// The same grid as a table, for reading by rows and columns.
export function tableOf({ rows, columns, value, text, label }) {
  const cell = (row, column) => `${text ? `${text(row, column)} ` : ""}${written(value(row, column))}`;
  return element("table", { class: "numbers" }, element("caption", {}, label),
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, `${rows.name} \\ ${columns.name}`),
      columns.labels.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, rows.labels.map((name, row) => element("tr", {}, element("th", { scope: "row" }, name),
      columns.labels.map((_, column) => element("td", {}, cell(row, column)))))));
}

// --- where things are

function widest(labels, limit) {
  let longest = 1;
  for (const label of labels) longest = Math.max(longest, Math.min(label.length, limit));
  return longest * LETTER;
}

function layOut(matrix) {
  const { root, grid, extent, canvas } = matrix, { rows, columns } = grid;
  const width = root.clientWidth, height = root.clientHeight;
  if (!width || !height) return;
  const left = widest(rows.labels, 22) + 2 * GAP + 14, across = widest(columns.labels, 16);
  const least = grid.least ?? 4, most = grid.most ?? 46;
  const wide = clamp((width - left - 8) / columns.labels.length, least, most);
  const steep = across > wide - 2;
  const top = (steep ? Math.min(across, 110) : 12) + 2 * GAP + 14;
  const high = grid.square ? wide : clamp((height - top - 8) / rows.labels.length, grid.text ? 20 : 4, 30);
  matrix.place = { left, top, wide, high, steep, width, height };
  extent.style.width = `${left + wide * columns.labels.length + 8}px`;
  extent.style.height = `${top + high * rows.labels.length + 8}px`;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

function clamp(number, low, high) {
  return Math.max(low, Math.min(high, number));
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

// --- drawing

function imageOf({ grid, page }) {
  const rows = grid.rows.labels.length, columns = grid.columns.labels.length, dark = isDark(page);
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at += 4) {
      const number = grid.value(row, column);
      if (Number.isNaN(number)) continue;
      image.data.set(grid.scale.rgb(number, dark), at);
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function draw(matrix) {
  const { canvas, place, root, grid } = matrix;
  if (!place) return;
  matrix.image ??= imageOf(matrix);
  const context = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
  const colours = getComputedStyle(root);
  const style = { ground: colours.getPropertyValue("--ground"), text: colours.getPropertyValue("--text"), soft: colours.getPropertyValue("--soft"), line: colours.getPropertyValue("--line") };
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = style.ground;
  context.fillRect(0, 0, place.width, place.height);
  context.font = FONT;
  const seen = inSight(matrix);
  drawCells(context, matrix, seen, style);
  drawMarks(context, matrix);
  drawLabels(context, matrix, seen, style);
  root.dataset.drawn = `${grid.rows.labels.length}x${grid.columns.labels.length}`;
}

function inSight({ place, root, grid }) {
  const first = (scroll, size) => Math.max(0, Math.floor(scroll / size));
  const last = (scroll, size, room, count) => Math.min(count, Math.ceil((scroll + room) / size));
  return {
    row: first(root.scrollTop, place.high), column: first(root.scrollLeft, place.wide),
    rows: last(root.scrollTop, place.high, place.height - place.top, grid.rows.labels.length),
    columns: last(root.scrollLeft, place.wide, place.width - place.left, grid.columns.labels.length),
  };
}

function drawCells(context, matrix, seen, style) {
  const { place, root, grid, image } = matrix, { wide, high } = place;
  context.save();
  context.beginPath();
  context.rect(place.left, place.top, place.width - place.left, place.height - place.top);
  context.clip();
  context.translate(place.left - root.scrollLeft, place.top - root.scrollTop);
  context.imageSmoothingEnabled = false;
  const width = seen.columns - seen.column, height = seen.rows - seen.row;
  if (width > 0 && height > 0) {
    context.drawImage(image, seen.column, seen.row, width, height, seen.column * wide, seen.row * high, width * wide, height * high);
  }
  if (wide >= 9 && high >= 9) drawGaps(context, seen, place, style);
  for (let row = seen.row; row < seen.rows; row++) {
    for (let column = seen.column; column < seen.columns; column++) drawCell(context, matrix, row, column, style);
  }
  context.restore();
}

function drawGaps(context, seen, { wide, high }, style) {
  context.fillStyle = style.ground;
  for (let row = seen.row; row <= seen.rows; row++) context.fillRect(seen.column * wide, row * high - 0.5, (seen.columns - seen.column) * wide, 1);
  for (let column = seen.column; column <= seen.columns; column++) context.fillRect(column * wide - 0.5, seen.row * high, 1, (seen.rows - seen.row) * high);
}

// The text of a cell, or the mark of one that has no number.
function drawCell(context, { grid, page, place }, row, column, style) {
  const { wide, high } = place, number = grid.value(row, column);
  if (Number.isNaN(number)) {
    if (grid.blank || wide < 6 || high < 6) return;
    context.strokeStyle = style.line;
    context.beginPath();
    context.moveTo(column * wide + 2, (row + 1) * high - 2);
    context.lineTo((column + 1) * wide - 2, row * high + 2);
    context.stroke();
  } else if (grid.text && wide >= 24 && high >= 12) {
    context.fillStyle = inkOn(grid.scale.rgb(number, isDark(page)));
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(cut(grid.text(row, column), (wide - 6) / LETTER), (column + 0.5) * wide, (row + 0.5) * high, wide - 4);
  }
}

function drawMarks(context, { place, root, grid, hovered, picked, cursor, lines: [row, column] }) {
  const frame = ([row, column], width) => {
    if (row < 0) return;
    const x = place.left + column * place.wide - root.scrollLeft, y = place.top + row * place.high - root.scrollTop;
    if (x < place.left - place.wide || y < place.top - place.high) return;
    context.lineWidth = width;
    context.strokeRect(x + 0.5, y + 0.5, place.wide - 1, place.high - 1);
  };
  const line = (x, y, width, height) => context.strokeRect(x - root.scrollLeft + 0.5, y - root.scrollTop + 0.5, width - 1, height - 1);
  context.strokeStyle = MARK;
  context.lineWidth = 1.5;
  if (row >= 0) line(place.left, place.top + row * place.high, grid.columns.labels.length * place.wide, place.high);
  if (column >= 0) line(place.left + column * place.wide, place.top, place.wide, grid.rows.labels.length * place.high);
  frame(hovered, 1.5);
  frame(cursor, 1.5);
  frame(picked, 3);
  context.lineWidth = 1;
}

function drawLabels(context, matrix, seen, style) {
  const { place, root, grid, hovered, picked } = matrix, { left, top, wide, high } = place;
  context.fillStyle = style.ground;
  context.fillRect(0, 0, place.width, top);
  context.fillRect(0, 0, left, place.height);
  context.textBaseline = "middle";
  context.fillStyle = style.soft;
  context.textAlign = "left";
  context.fillText(`${grid.columns.name} →`, left, 8 + GAP);
  context.fillText(`${grid.rows.name} ↓`, GAP, top - 8);
  const marked = (at, axis) => at === hovered[axis] || at === picked[axis];
  const ink = (at, axis) => (marked(at, axis) ? style.text : style.soft);
  const everyRow = Math.ceil(13 / high), everyColumn = Math.ceil(13 / wide);
  context.textAlign = "right";
  for (let row = seen.row; row < seen.rows; row++) {
    const y = top + (row + 0.5) * high - root.scrollTop;
    if ((row % everyRow && !marked(row, 0)) || y < top) continue;
    context.fillStyle = ink(row, 0);
    context.fillText(cut(grid.rows.labels[row], 22), left - GAP, y);
  }
  for (let column = seen.column; column < seen.columns; column++) {
    const x = left + (column + 0.5) * wide - root.scrollLeft;
    if ((column % everyColumn && !marked(column, 1)) || x < left) continue;
    context.fillStyle = ink(column, 1);
    drawAbove(context, cut(grid.columns.labels[column], 16), x, top - GAP, place.steep);
  }
}

function drawAbove(context, text, x, y, steep) {
  context.save();
  context.translate(x, y);
  if (steep) context.rotate(-Math.PI / 2);
  context.textAlign = steep ? "left" : "center";
  context.textBaseline = steep ? "middle" : "bottom";
  context.fillText(text, 0, 0);
  context.restore();
}

function cut(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, Math.max(1, Math.floor(limit) - 1))}…`;
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

function onMatrixKey(matrix, event) {
  const { grid, cursor: [row, column] } = matrix;
  const last = [grid.rows.labels.length - 1, grid.columns.labels.length - 1];
  const to = {
    ArrowDown: [row + 1, Math.max(column, 0)], ArrowUp: [row - 1, Math.max(column, 0)],
    ArrowRight: [Math.max(row, 0), column + 1], ArrowLeft: [Math.max(row, 0), column - 1],
    Home: [Math.max(row, 0), 0], End: [Math.max(row, 0), last[1]],
    PageUp: [0, Math.max(column, 0)], PageDown: [last[0], Math.max(column, 0)],
  }[event.key];
  if (to) {
    matrix.cursor = [clamp(to[0], 0, last[0]), clamp(to[1], 0, last[1])];
    bringIntoSight(matrix);
    say(matrix.page, grid.describe(...matrix.cursor));
    grid.hover?.(...matrix.cursor);
    draw(matrix);
  } else if (event.key === "Enter" || event.key === " ") pickCell(matrix, matrix.cursor);
  else return;
  event.preventDefault();
  event.stopPropagation();
}
