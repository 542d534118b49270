// Painting a grid of coloured numbers: its cells, the words at its sides, and the marks on it.
//
// It paints on any canvas, at any size; matrix.js moves it about, and a saved picture is the same.

import { pixelOf, putPixels } from "./dom.js";
import { inkOn } from "./scales.js";

export const FONT = '11px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif';
export const GAP = 6;
export const LETTER = 7;
export const MARK = "#ffb000";
const ALARM = [214, 0, 180], SMALLEST_MARK = 5;

// grid: what matrix.js says. Where everything is when the grid has so much room.
export function placeGrid(grid, width, height, zoom = 1) {
  const { rows, columns } = grid;
  const left = Math.max(widest(rows.labels, 22) + 14, widest([`${rows.name} ↓ `], 24)) + 2 * GAP, across = widest(columns.labels, 16);
  const least = grid.fits ? 0.01 : grid.least ?? 4, most = grid.most ?? 46;
  let wide = clamp((width - left - 8) / columns.labels.length, least, most) * zoom;
  const steep = across > wide - 2;
  const top = (steep ? Math.min(across, 110) : 12) + 2 * GAP + 14;
  const low = grid.fits ? 0.01 : grid.text ? 20 : 4;
  if (grid.square && grid.fits) wide = Math.min(wide, ((height - top - 8) / rows.labels.length) * zoom);
  const high = grid.square ? wide : clamp((height - top - 8) / rows.labels.length, low, 30) * zoom;
  return { left, top, wide, high, steep, width, height };
}

function widest(labels, limit) {
  let longest = 1;
  for (const label of labels) longest = Math.max(longest, Math.min(label.length, limit));
  return longest * LETTER;
}

export function clamp(number, low, high) {
  return Math.max(low, Math.min(high, number));
}

// The whole grid as an image: a pixel for each cell, or for a block of cells where they are smaller.
export function imageOf(grid, dark, place) {
  const rows = grid.rows.labels.length, columns = grid.columns.labels.length;
  const across = blockOf(place.wide), down = blockOf(place.high);
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(columns / across);
  canvas.height = Math.ceil(rows / down);
  const empty = grid.alarm ? pixelOf(ALARM) : 0;
  putPixels(canvas, (pixels) => {
    for (let row = 0, at = 0; row < rows; row += down) {
      for (let column = 0; column < columns; column += across, at++) {
        const number = across * down === 1 ? grid.value(row, column)
          : pooled(grid, row, Math.min(row + down, rows), column, Math.min(column + across, columns));
        pixels[at] = Number.isNaN(number) ? empty : pixelOf(grid.scale.rgb(number, dark));
      }
    }
  });
  return { canvas, across, down, curves: grid.curves?.() ?? [] };
}

// How many cells share a pixel: a power of two.
export function blockOf(size) {
  return size >= 1 ? 1 : 2 ** Math.ceil(Math.log2(1 / size));
}

// One number for a block of cells, as pooled.py makes it; cells that are left empty do not count.
function pooled(grid, row, rows, column, columns) {
  let best = NaN, sum = 0;
  for (let i = row; i < rows; i++) {
    for (let j = column; j < columns; j++) {
      const number = grid.value(i, j);
      if (Number.isNaN(number) && grid.blank) continue;
      if (Number.isNaN(number)) return NaN;
      if (!(Math.abs(number) <= Math.abs(best))) best = number;
      sum += number;
    }
  }
  return grid.pool === "mean" ? sum / ((rows - row) * (columns - column)) : best;
}

// frame: { grid, place, image, scroll: [x, y], dark, style, hovered, picked, cursor, lines }
export function paintGrid(context, frame) {
  const { place, style } = frame, seen = inSight(frame);
  context.fillStyle = style.ground;
  context.fillRect(0, 0, place.width, place.height);
  context.font = FONT;
  paintCells(context, frame, seen);
  paintMarks(context, frame);
  paintLabels(context, frame, seen);
}

function inSight({ place, scroll: [x, y], grid }) {
  const first = (scroll, size) => Math.max(0, Math.floor(scroll / size));
  const last = (scroll, size, room, count) => Math.min(count, Math.ceil((scroll + room) / size));
  return {
    row: first(y, place.high), column: first(x, place.wide),
    rows: last(y, place.high, place.height - place.top, grid.rows.labels.length),
    columns: last(x, place.wide, place.width - place.left, grid.columns.labels.length),
  };
}

function paintCells(context, frame, seen) {
  const { place, image, scroll, style } = frame, { wide, high } = place;
  context.save();
  context.beginPath();
  context.rect(place.left, place.top, place.width - place.left, place.height - place.top);
  context.clip();
  context.translate(place.left - scroll[0], place.top - scroll[1]);
  context.imageSmoothingEnabled = false;
  const width = seen.columns - seen.column, height = seen.rows - seen.row;
  if (width > 0 && height > 0) {
    context.drawImage(image.canvas, seen.column / image.across, seen.row / image.down, width / image.across, height / image.down,
      seen.column * wide, seen.row * high, width * wide, height * high);
  }
  if (wide >= 9 && high >= 9) paintGaps(context, seen, place, style, frame.grid.gap ?? 1);
  paintCurves(context, image.curves, place, style);
  if (wide >= 6 && high >= 6) {
    for (let row = seen.row; row < seen.rows; row++) {
      for (let column = seen.column; column < seen.columns; column++) paintCell(context, frame, row, column);
    }
  }
  context.restore();
}

// Lines over the cells, dark on pale or pale on dark, so that they are seen on every colour.
function paintCurves(context, curves, { wide, high }, style) {
  for (const { dash, lines } of curves) {
    context.beginPath();
    for (const line of lines) line.forEach(([x, y], i) => (i ? context.lineTo(x * wide, y * high) : context.moveTo(x * wide, y * high)));
    Object.assign(context, { strokeStyle: style.ground, lineWidth: 4 });
    context.stroke();
    context.setLineDash(dash);
    Object.assign(context, { strokeStyle: style.text, lineWidth: 1.6 });
    context.stroke();
    context.setLineDash([]);
  }
}

function paintGaps(context, seen, { wide, high }, style, gap) {
  context.fillStyle = style.ground;
  for (let row = seen.row; row <= seen.rows; row++) context.fillRect(seen.column * wide, row * high - gap / 2, (seen.columns - seen.column) * wide, gap);
  for (let column = seen.column; column <= seen.columns; column++) context.fillRect(column * wide - gap / 2, seen.row * high, gap, (seen.rows - seen.row) * high);
}

// What is within a cell: digits, words, or the mark of what is no number or beyond the colours.
function paintCell(context, { grid, place, dark, style }, row, column) {
  const { wide, high } = place, number = grid.value(row, column), x = column * wide, y = row * high;
  if (Number.isNaN(number) && !grid.alarm) {
    if (grid.blank) return;
    context.strokeStyle = style.line;
    context.beginPath();
    context.moveTo(x + 2, y + high - 2);
    context.lineTo(x + wide - 2, y + 2);
    context.stroke();
    return;
  }
  grid.inside?.(context, { x, y, wide, high }, number, dark);
  const words = grid.text && wide >= 24 && high >= 12 ? cut(grid.text(row, column), (wide - 6) / LETTER) : markOf(grid, number);
  if (!words) return;
  context.fillStyle = Number.isNaN(number) ? "#ffffff" : inkOn(grid.scale.rgb(number, dark));
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(words, x + wide / 2, y + high / 2, Math.max(wide - 4, 4));
}

// NaN, infinities, and what lies beyond the colours.
function markOf({ alarm, scale }, number) {
  if (!alarm) return "";
  if (Number.isNaN(number)) return "×";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  return number > scale.high ? "+" : number < scale.low ? "−" : "";
}

function paintMarks(context, { place, grid, scroll, hovered, picked, cursor, lines: [row, column] }) {
  const line = (x, y, width, height) => context.strokeRect(x - scroll[0] + 0.5, y - scroll[1] + 0.5, width - 1, height - 1);
  const mark = ([row, column], width) => {
    if (row < 0) return;
    const wide = Math.max(place.wide, SMALLEST_MARK), high = Math.max(place.high, SMALLEST_MARK);
    const x = place.left + (column + 0.5) * place.wide - scroll[0], y = place.top + (row + 0.5) * place.high - scroll[1];
    if (x < place.left || y < place.top) return;
    context.lineWidth = width;
    context.strokeRect(x - wide / 2 + 0.5, y - high / 2 + 0.5, wide - 1, high - 1);
  };
  context.strokeStyle = MARK;
  context.lineWidth = 1.5;
  if (row >= 0) line(place.left, place.top + row * place.high, grid.columns.labels.length * place.wide, place.high);
  if (column >= 0) line(place.left + column * place.wide, place.top, place.wide, grid.rows.labels.length * place.high);
  mark(hovered, 1.5);
  mark(cursor, 1.5);
  mark(picked, 3);
  context.lineWidth = 1;
}

function paintLabels(context, { grid, place, scroll, style, hovered, picked }, seen) {
  const { left, top, wide, high } = place;
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
  context.textAlign = "right";
  for (const row of shownOf(seen.row, seen.rows, high, hovered[0], picked[0])) {
    const y = top + (row + 0.5) * high - scroll[1];
    if (y < top) continue;
    context.fillStyle = ink(row, 0);
    context.fillText(cut(grid.rows.labels[row], 22), left - GAP, y);
  }
  for (const column of shownOf(seen.column, seen.columns, wide, hovered[1], picked[1])) {
    const x = left + (column + 0.5) * wide - scroll[0];
    if (x < left) continue;
    context.fillStyle = ink(column, 1);
    paintAbove(context, cut(grid.columns.labels[column], 16), x, top - GAP, place.steep);
  }
}

// The positions with a label: every so many, at round numbers, and those that are marked, alone.
function shownOf(first, end, size, ...marked) {
  const every = stepOf(14 / size), shown = [];
  const kept = marked.filter((at) => at >= first && at < end);
  for (let at = Math.ceil(first / every) * every; at < end; at += every) {
    if (kept.every((other) => Math.abs(other - at) * size >= 14)) shown.push(at);
  }
  return [...kept.filter((at, i) => kept.indexOf(at) === i && (i === 0 || Math.abs(at - kept[0]) * size >= 14)), ...shown];
}

function stepOf(least) {
  if (least <= 1) return 1;
  const tens = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5].map((step) => step * tens).find((step) => step >= least) ?? 10 * tens;
}

function paintAbove(context, text, x, y, steep) {
  context.save();
  context.translate(x, y);
  if (steep) context.rotate(-Math.PI / 2);
  context.textAlign = steep ? "left" : "center";
  context.textBaseline = steep ? "middle" : "bottom";
  context.fillText(text, 0, 0);
  context.restore();
}

export function cut(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, Math.max(1, Math.floor(limit) - 1))}…`;
}
