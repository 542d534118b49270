// Painting the scene on a canvas: only what is in sight, in as much detail as can be seen.

import { ADDED, CHANGED, GROUP, REMOVED, SIGNS, isGroup, isGuessed, makesOf, opOf, readsOf, typeOf } from "./data.js";
import { axisColour, changeColour } from "./palette.js";
import { FONTS, SANS, badgeText, labelOf, shorten, widthOf } from "./measure.js";
import { isHidden, isRowHidden, seenBits, sidesOf, wordsBefore } from "./panes.js";
import { actOn } from "./life.js";
import { tintOf } from "./tint.js";
import { cellHasAxis, rootOf } from "./scene.js";

const RADIUS = 8, MIDDLE = 0.45;

// Both sides of a scene, or its one; each has the width of `size`. Gives how many boxes are in sight.
export function paint(context, scene, camera, palette, size) {
  const { width, height, ratio } = size;
  let boxes = 0;
  sidesOf(scene).forEach((side, i) => {
    context.setTransform(ratio, 0, 0, ratio, ratio * i * width, 0);
    context.save();
    context.beginPath();
    context.rect(0, 0, width, height);
    context.clip();
    boxes += paintSide(context, scene, side, camera, palette, size, ratio * i * width);
    context.restore();
    if (!side.name) return;
    context.setTransform(ratio, 0, 0, ratio, ratio * i * width, 0);
    paintName(context, side, palette);
    context.fillStyle = palette.soft;
    if (i) context.fillRect(-0.5, 0, 1, height);
  });
  return boxes;
}

// The name of a side, in its upper left corner.
export function paintName(context, { name }, palette) {
  context.fillStyle = palette.chip;
  path(context, 10, 8, widthOf(name, FONTS.title) + 20, 22, 8);
  context.fill();
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.stroke();
  context.textBaseline = "middle";
  text(context, name, 20, 19.5, FONTS.title, palette.text);
}

export function paintSide(context, scene, side, camera, palette, { width, height, ratio }, left = 0) {
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, width, height);
  context.setTransform(ratio * camera.scale, 0, 0, ratio * camera.scale, left + ratio * camera.x, ratio * camera.y);
  context.textBaseline = "middle";
  context.direction = "ltr";
  const view = {
    left: -camera.x / camera.scale, top: -camera.y / camera.scale,
    right: (width - camera.x) / camera.scale, bottom: (height - camera.y) / camera.scale,
  };
  const pen = { context, scene, side, palette, view, scale: camera.scale, lit: litWires(scene), boxes: 0 };
  paintGroup(pen, rootOf(scene), 0, 0, 0);
  return pen.boxes;
}

// The wires of what is selected or pointed at, which stand out.
function litWires(scene) {
  const lit = new Set();
  for (const cell of [scene.selected, scene.hovered]) {
    if (cell < 0 || scene.open.has(cell) || scene.model.end[cell] - cell > 400) continue;
    for (let inner = cell; inner < scene.model.end[cell]; inner++) {
      for (const wire of readsOf(scene.model, inner)) lit.add(wire);
      for (const wire of makesOf(scene.model, inner)) lit.add(wire);
    }
  }
  if (scene.hoveredWire >= 0) lit.add(scene.hoveredWire);
  return lit;
}

function paintGroup(pen, placed, x, y, depth) {
  const { view } = pen;
  const seen = placed.boxes.filter((box) =>
    !isHidden(pen.side, box.cell) && x + box.x < view.right && x + box.x + box.span > view.left
    && y + box.y < view.bottom && y + box.y + box.height > view.top);
  for (const box of seen) if (box.inner) paintOpen(pen, box, x + box.x, y + box.y, depth);
  const lines = placed.lines.filter((line) => y + line.top < view.bottom && y + line.bottom > view.top);
  if (pen.scale > 0.06) {
    for (const lit of [false, true]) {
      for (const line of lines) if (pen.lit.has(line.wire) === lit) paintLine(pen, line, x, y, lit);
    }
  }
  if (pen.scale > MIDDLE) for (const line of lines) if (line.label && seenBits(pen.side, line.bits)) paintLabel(pen, line, x, y);
  for (const box of seen) {
    if (box.inner) paintGroup(pen, box.inner, x + box.x, y + box.y, depth + 1);
    else paintBox(pen, box, x + box.x, y + box.y);
  }
}

// --- boxes

function path(context, x, y, width, height, radius) {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
}

function dimmed(pen, cell) {
  const { scene } = pen;
  if (scene.axis >= 0 && !isGroup(scene.model, cell)) return !cellHasAxis(pen.side.model, cell, scene.axis);
  return false;
}

function outline(pen, cell, x, y, width, height, change) {
  const { context, palette, scene } = pen;
  const selected = scene.selected === cell;
  const guessed = change === CHANGED && isGuessed(scene.model, cell);
  context.setLineDash(change === REMOVED ? [5, 4] : guessed ? [2, 3] : []);
  context.strokeStyle = selected ? palette.accent : change ? changeColour(palette, change)
    : scene.hovered === cell ? palette.soft : palette.line;
  context.lineWidth = Math.max(selected ? 2.2 : change ? 1.8 : 1, (selected ? 1.6 : 0.6) / pen.scale);
  path(context, x, y, width, height, RADIUS);
  context.stroke();
  context.setLineDash([]);
  if (selected || scene.hitSet.has(cell)) {
    context.strokeStyle = selected ? palette.accentSoft : palette.hit;
    context.lineWidth = selected ? 6 : 3;
    path(context, x - 3, y - 3, width + 6, height + 6, RADIUS + 3);
    context.stroke();
  }
}

function paintOpen(pen, box, x, y, depth) {
  const { context, palette, scene } = pen;
  const change = scene.model.c.change[box.cell];
  context.fillStyle = palette.group[depth % 2];
  path(context, x, y, box.width, box.height, RADIUS + 2);
  context.fill();
  outline(pen, box.cell, x, y, box.width, box.height, change);
  pen.boxes++;
  if (pen.scale < MIDDLE) return paintFarTitle(pen, box, x, y, 38);
  paintDoors(pen, box, x, y);
  // stays in sight
  const left = Math.min(Math.max(x, pen.view.left), x + Math.max(0, box.width - 240));
  let end = text(context, box.content.title, left + 14, y + 19, FONTS.title, palette.text);
  if (box.content.site) end = chip(pen, box.content.site, end + 10, y + 19);
  const badge = badgeText(box.content.badge);
  if (badge) text(context, badge, end + 10, y + 19, FONTS.code, palette.soft);
  paintToggle(pen, x + box.width - 20, y + 18, true);
}

// Where wires come in that are not drawn as lines, the name of what makes them.
function paintDoors(pen, box, x, y) {
  const { context, palette } = pen;
  for (const row of box.content.rows) {
    const door = box.inner.entries.get(row.wire);
    if (door === undefined || isRowHidden(pen.side, row)) continue;
    const label = `${row.mark} ${row.name}`, width = widthOf(label, FONTS.chip) + 12;
    context.fillStyle = palette.chip;
    path(context, x + door - width / 2, y - 19, width, 16, 8);
    context.fill();
    text(context, label, x + door - width / 2 + 6, y - 10.5, FONTS.chip, palette.soft);
  }
}

function paintBox(pen, box, x, y) {
  const { context, palette, scene } = pen, { model } = scene;
  const change = model.c.change[box.cell];
  const kind = model.c.kind[box.cell], group = isGroup(model, box.cell);
  pen.boxes++;
  context.globalAlpha = dimmed(pen, box.cell) ? 0.28 : 1;
  if (pen.scale > MIDDLE) {
    context.fillStyle = palette.shadow;
    path(context, x, y + 1.5, box.width, box.height, RADIUS);
    context.fill();
    if (group) {
      path(context, x + 4, y + box.height - 4, box.width - 8, 8, 5);
      context.fill();
    }
  }
  context.fillStyle = [palette.box, palette.addedSoft, palette.removedSoft, palette.changedSoft][change];
  path(context, x, y, box.width, box.height, RADIUS);
  context.fill();
  const laid = palette.plain ? "" : tintOf(scene, box.cell);
  if (laid) {
    context.fillStyle = laid;
    context.fill();
  }
  paintSpine(pen, box.cell, kind, x, y, box.height);
  outline(pen, box.cell, x, y, box.width, box.height, change);
  if (pen.scale < MIDDLE) paintFarTitle(pen, box, x, y, box.height);
  else {
    paintContent(laid ? inkOnly(pen) : pen, box, x, y, group, change);
    paintAct(pen, box.cell, x, y);
  }
  context.globalAlpha = 1;
}

// Colours are not to be read on a tint: all text in the colour of text.
function inkOnly(pen) {
  const { text: ink } = pen.palette;
  pen.ink ??= { ...pen, palette: { ...pen.palette, soft: ink, faint: ink, accent: ink, axes: [ink] } };
  return pen.ink;
}

// The coloured edge that says what kind of op it is.
function paintSpine(pen, cell, kind, x, y, height) {
  const { context, palette, scene } = pen;
  const op = opOf(scene.model, cell);
  if (kind === GROUP) return;
  context.fillStyle = op ? palette.kinds[op[1]] : palette.kinds.input;
  context.save();
  path(context, x, y, 20, height, [RADIUS, 0, 0, RADIUS]);
  context.clip();
  context.fillRect(x, y, 4, height);
  context.restore();
}

// What an op does to the axis that is followed, on its upper edge.
function paintAct(pen, cell, x, y) {
  const { context, palette, scene } = pen, act = scene.axis >= 0 ? actOn(scene.model, cell, scene.axis) : null;
  if (!act) return;
  const words = shorten(act.words, 40), colour = axisColour(palette, scene.axis);
  context.fillStyle = palette.chip;
  path(context, x + 10, y - 9, widthOf(words, FONTS.chip) + 12, 17, 8);
  context.fill();
  context.strokeStyle = colour;
  context.lineWidth = 1.2;
  context.stroke();
  text(context, words, x + 16, y, FONTS.chip, colour);
}

function paintContent(pen, box, x, y, group, change) {
  const { context, palette } = pen, { content } = box;
  let left = x + 13;
  if (content.sign) left = text(context, content.sign, left, y + 17, FONTS.title, changeColour(palette, change)) + 5;
  const right = x + box.width - 12;
  const end = text(context, content.title, left, y + 17, FONTS.title, palette.text);
  if (content.site) chip(pen, content.site, Math.max(end + 10, right - widthOf(content.site, FONTS.chip) - 8 - (group ? 18 : 0)), y + 17);
  const soft = wordsBefore(pen.side, box.cell) ?? content.soft;
  if (soft) text(context, soft, x + 13, y + 34, FONTS.code, palette.soft);
  const free = content.value ? right - widthOf(content.value, FONTS.code) : right;
  if (content.value) text(context, content.value, free, y + 34, FONTS.code, palette.text);
  paintBadge(pen, content.badge, free - (content.value ? 8 : 0), y + 34);
  if (group) paintToggle(pen, x + box.width - 18, y + 17, false);
  content.rows.forEach((row, i) => paintRow(pen, row, x, y + content.rowsTop + i * content.rowHeight + 8));
}

function paintBadge(pen, counts, right, y) {
  if (!counts) return;
  const { context, palette } = pen;
  for (const k of [CHANGED, REMOVED, ADDED]) {
    if (!counts[k]) continue;
    const word = SIGNS[k] + counts[k];
    right -= widthOf(word, FONTS.code);
    text(context, word, right, y, FONTS.code, changeColour(palette, k));
    right -= 6;
  }
}

function paintRow(pen, row, x, y) {
  const { context, palette } = pen;
  if (isRowHidden(pen.side, row)) return;
  const colour = row.change ? changeColour(palette, row.change) : palette.soft;
  const mark = row.change ? SIGNS[row.change] : row.mark;
  text(context, mark, x + 13, y, FONTS.chip, row.change ? colour : palette.faint);
  text(context, row.name, x + 28, y, FONTS.code, row.change ? colour : palette.text);
  if (row.words.length) words(pen, labelOf(pen.side.model, row.wire).words, x + 38 + row.nameWidth, y);
}

function chip(pen, label, x, y) {
  const { context, palette } = pen, width = widthOf(label, FONTS.chip) + 10;
  context.fillStyle = palette.accentSoft;
  path(context, x, y - 8, width, 16, 8);
  context.fill();
  return text(context, label, x + 5, y + 0.5, FONTS.chip, palette.accent) + 5;
}

function paintToggle(pen, x, y, open) {
  const { context, palette } = pen;
  context.strokeStyle = palette.soft;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x - 4, y);
  context.lineTo(x + 4, y);
  if (!open) {
    context.moveTo(x, y - 4);
    context.lineTo(x, y + 4);
  }
  context.stroke();
}

// From far away there is a name, as large as fits.
function paintFarTitle(pen, box, x, y, height) {
  const { context, palette } = pen;
  const size = Math.min(height * 0.55, 12 / pen.scale);
  if (size * pen.scale < 5) return;
  const room = (box.width - 16) / (size * 0.58);
  if (room < 3) return;
  const label = `${box.content.sign} ${box.content.title}`.trim();
  const fits = shorten(label, Math.floor(room));
  if (fits.length < Math.min(label.length, 4)) return;
  context.font = `600 ${size}px ${SANS}`;
  context.fillStyle = palette.text;
  context.fillText(fits, x + 10, y + height / 2);
}

function text(context, string, x, y, font, colour) {
  context.font = font;
  context.fillStyle = colour;
  context.fillText(string, x, y);
  return x + widthOf(string, font);
}

function words(pen, list, x, y) {
  for (const word of list) {
    const faded = pen.scene.axis >= 0 && pen.scene.axis !== word.axis;
    x = text(pen.context, word.text, x, y, FONTS.chip, faded ? pen.palette.faint : axisColour(pen.palette, word.axis)) + 7;
  }
}

// --- lines

function paintLine(pen, line, x, y, lit) {
  const { context, palette, scene, scale } = pen;
  const onAxis = scene.axis >= 0 && typeOf(pen.side.model, line.wire).axes.includes(scene.axis);
  for (const piece of line.pieces) {
    const [x0, y0, x1, y1, all, arrow, bend0 = y0, bend1 = y1] = piece, bits = seenBits(pen.side, all);
    if (!bits) continue;
    const change = bits === 2 ? ADDED : bits === 4 ? REMOVED : bits === 6 ? CHANGED : 0;
    context.strokeStyle = onAxis ? axisColour(palette, scene.axis) : change ? changeColour(palette, change)
      : lit ? palette.accent : palette.wire;
    context.globalAlpha = scene.axis >= 0 && !onAxis ? 0.25 : 1;
    context.lineWidth = Math.max(lit || change || onAxis ? 2 : 1.35, 0.7 / scale);
    context.setLineDash(change === REMOVED ? [5, 4] : []);
    context.beginPath();
    context.moveTo(x + x0, y + y0);
    curve(context, x + x0, y + y0, x + x1, y + y1, y + bend0, y + bend1);
    context.stroke();
    if (arrow && scale > 0.3) arrowhead(context, x + x1, y + y1, context.strokeStyle);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
  if (line.dangling && seenBits(pen.side, line.bits)) paintDangling(pen, line, x, y);
}

// Down past the row, over in a smooth turn, and down to the box.
function curve(context, x0, y0, x1, y1, bend0, bend1) {
  const start = Math.min(Math.max(y0, bend0) + (x0 === x1 ? 0 : 6), y1), end = Math.max(Math.min(y1, bend1), start);
  context.lineTo(x0, start);
  const half = (start + end) / 2;
  context.bezierCurveTo(x0, half, x1, half, x1, end);
  context.lineTo(x1, y1);
}

function arrowhead(context, x, y, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 3.6, y - 6.5);
  context.lineTo(x + 3.6, y - 6.5);
  context.fill();
}

function paintDangling(pen, line, x, y) {
  const { context, palette } = pen;
  context.fillStyle = palette.wire;
  context.beginPath();
  context.arc(x + line.dangling[0], y + line.dangling[1], 2.5, 0, 7);
  context.fill();
}

function paintLabel(pen, line, x, y) {
  const { context, palette } = pen, { label } = line, { width, words: axes } = labelOf(pen.side.model, line.wire);
  const left = x + label.x - width / 2, middle = y + label.y;
  context.fillStyle = palette.chip;
  path(context, left, middle - 8, width, 16, 8);
  context.fill();
  if (pen.lit.has(line.wire)) {
    context.strokeStyle = palette.accent;
    context.lineWidth = 1;
    context.stroke();
  }
  words(pen, axes, left + 6, middle + 0.5);
}
