// How large things are: widths of text, each string measured once, and sizes of boxes.

import { contextOf } from "./dom.js";
import { CONSTANT, GROUP, INPUT, OP, SIGNS, attrsOf, changesInside, isGroup, noteOf, opOf, opsInside, sitesOf, startOf, stubName, titleOf, typeNumber, typeOf } from "./data.js";
import { overlayText } from "./overlay.js";

export const SANS = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",sans-serif';
const MONO = 'ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace';
export const FONTS = {
  title: `600 13px ${SANS}`, soft: `11px ${SANS}`, code: `11px ${MONO}`, chip: `10.5px ${MONO}`,
};
const ROW = 17, PAD = 12, PLAIN = /^[ -~]*$/;

const ruler = contextOf(document.createElement("canvas"));
// font -> text -> width
const widths = new Map(Object.values(FONTS).map((font) => [font, new Map()]));

const numbers = new Intl.NumberFormat("en");

export function grouped(count) {
  return numbers.format(count);
}

// Text of equal widths is counted; other text is measured, once.
export function widthOf(text, font) {
  if ((font === FONTS.code || font === FONTS.chip) && text.length > 1 && PLAIN.test(text)) {
    return text.length * widthOf("m", font);
  }
  const known = /** @type {Map<string, number>} */ (widths.get(font));
  let width = known.get(text);
  if (width === undefined) {
    ruler.font = font;
    width = ruler.measureText(text).width;
    known.set(text, width);
  }
  return width;
}

// So many letters of a title are written on its box.
export const TITLE = 44;

export function shorten(text, limit) {
  return text.length <= limit ? text : text.slice(0, limit - 1) + "…";
}

// The axes of a type as coloured words.
function axisWords(model, type) {
  if (!type.axes.length) return [{ text: type.dtype, axis: -1 }];
  return type.axes.map((axis) => ({ text: axis < 0 ? "?" : shorten(model.axes[axis][1], 40), axis }));
}

function wordsWidth(words, font) {
  return words.reduce((sum, word) => sum + widthOf(word.text, font) + 7, -7);
}

// What is written in the box of a cell that is closed: its face, and rows for its stubs and for the
// wires that are not drawn as lines.
export function contentOf(model, cell, wires) {
  const face = faceOf(model, cell), stubs = stubRows(model, cell);
  if (!stubs.length && !wires.length) return face;
  return sized({ ...face, rows: [...stubs, ...wires.map((wire) => wireRow(model, wire))] }, toggleOf(model, cell));
}

// Many boxes look the same; such a face is made once.
function faceOf(model, cell) {
  const { c } = model, kind = c.kind[cell], sites = c.sitesEnds[cell] - startOf(c.sitesEnds, cell);
  if (sites || c.note[cell] || model.overlay || (model.difference && isGroup(model, cell))) return makeFace(model, cell);
  const what = kind === GROUP ? opsInside(model, cell) : c.form[cell] + 1;
  const key = ((c.title[cell] * 2 ** 22 + what) * 4 + c.change[cell]) * 8 + kind;
  let face = model.faces.get(key);
  if (!face) model.faces.set(key, (face = makeFace(model, cell)));
  return face;
}

function toggleOf(model, cell) {
  return isGroup(model, cell) ? 24 : 0;
}

function makeFace(model, cell) {
  const kind = model.c.kind[cell], op = opOf(model, cell);
  const title = shorten(titleOf(model, cell), TITLE);
  const sites = sitesOf(model, cell);
  const content = { title, sign: SIGNS[model.c.change[cell]], site: "", soft: "", badge: null, value: overlayText(model, cell), rows: [] };
  if (kind === GROUP) {
    content.site = sites[0] && sites[0] !== title ? shorten(sites[0], 30) : "";
    const ops = opsInside(model, cell);
    content.soft = [noteOf(model, cell), `${grouped(ops)} op${ops === 1 ? "" : "s"}`].filter(Boolean).join(" · ");
  } else if (kind === OP) {
    content.site = sites[0] ? shorten(sites[0], 30) : "";
    const words = attrsOf(model, cell).map(([name, value]) => `${name} ${value}`);
    if (op[0] !== titleOf(model, cell)) words.unshift(op[0]);
    content.soft = shorten(words.join("  "), 42);
  } else {
    content.soft = kind === INPUT ? "input" : "output";
  }
  if (model.difference && isGroup(model, cell)) content.badge = changesInside(model, cell);
  return sized(content, toggleOf(model, cell));
}

function stubRows(model, cell) {
  const { c } = model, rows = [];
  for (let i = startOf(c.readsEnds, cell); i < c.readsEnds[cell]; i++) {
    const wire = c.reads[i], stub = c.wireMaker[wire];
    if (stub < model.outline) continue;
    const constant = c.kind[stub] === CONSTANT, type = typeOf(model, wire);
    rows.push({
      cell: stub, wire, mark: constant ? "=" : "◆", name: shorten(stubName(model, stub, cell), 34),
      words: constant && !type.axes.length ? [] : labelOf(model, wire).words, change: c.change[stub] || c.readChange[i],
    });
  }
  return rows;
}

function wireRow(model, wire) {
  const cell = model.c.wireMaker[wire];
  return {
    cell, wire, mark: "↖", name: shorten(titleOf(model, cell), 26),
    words: labelOf(model, wire).words, change: 0,
  };
}

function sized(content, toggle) {
  let width = widthOf(content.title, FONTS.title) + (content.sign ? 14 : 0) + toggle;
  if (content.site) width += widthOf(content.site, FONTS.chip) + 22;
  const second = content.soft || content.value ? 16 : 0;
  if (second) width = Math.max(width, widthOf(content.soft, FONTS.code) + badgeWidth(content));
  for (const row of content.rows) {
    row.nameWidth = widthOf(row.name, FONTS.code);
    width = Math.max(width, 18 + row.nameWidth + (row.words.length ? 10 + wordsWidth(row.words, FONTS.chip) : 0));
  }
  content.width = Math.ceil(Math.max(width, 34) + 2 * PAD + 4);
  content.height = 26 + second + (content.rows.length ? content.rows.length * ROW + 5 : 0) + 4;
  content.rowsTop = 26 + second + 5;
  content.rowHeight = ROW;
  return content;
}

function badgeWidth(content) {
  const badge = [badgeText(content.badge), content.value].filter(Boolean).join(" ");
  return badge ? widthOf(badge, FONTS.code) + 24 : 0;
}

export function badgeText(counts) {
  if (!counts) return "";
  return [1, 2, 3].filter((k) => counts[k]).map((k) => SIGNS[k] + counts[k]).join(" ");
}

// The axes written on a wire that a cell sends on; wires of one type share it.
export function labelOf(model, wire) {
  const number = typeNumber(model, wire), known = model.labels[number];
  if (known) return known;
  const words = axisWords(model, typeOf(model, wire));
  return (model.labels[number] = { words, width: wordsWidth(words, FONTS.chip) + 12 });
}
