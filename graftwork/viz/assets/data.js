// The graph that a page shows, and questions about its cells. See encode.py.

import { readOverlay } from "./overlay.js";

// Kinds of cells, and what a rewrite did to them.
export const GROUP = 0;
export const OP = 1;
export const INPUT = 2;
export const OUTPUT = 3;
export const PARAMETER = 4;
export const CONSTANT = 5;
export const ADDED = 1;
export const REMOVED = 2;
export const CHANGED = 3;
export const SIGNS = ["", "+", "−", "~"];
export const WORDS = ["", "added", "removed", "changed"];

// The half-open range of row i in a column that is cut at `ends`.
export function startOf(ends, i) {
  return i ? ends[i - 1] : 0;
}

export function rowOf(column, ends, i) {
  return column.subarray(startOf(ends, i), ends[i]);
}

export function makeModel(facts, c) {
  const count = c.kind.length;
  let outline = c.kind.findIndex((kind) => kind >= PARAMETER);
  if (outline < 0) outline = count;
  const end = new Int32Array(count).map((_, i) => i + 1);
  for (let i = outline - 1; i > 0; i--) end[c.parent[i]] = Math.max(end[c.parent[i]], end[i]);
  const children = childRows(c.parent, outline), groupIndex = new Int32Array(count).fill(-1);
  c.group.forEach((cell, i) => (groupIndex[cell] = i));
  const all = { items: c.reads, ends: c.readsEnds, bits: c.readBits };
  const retyped = new Map(Object.entries(facts.retyped).map(([wire, types]) => [Number(wire), types]));
  const model = { ...facts, c, count, outline, end, children, groupIndex, all, retyped, plans: [], labels: [], firstWire: firstWires(c, count), overlay: readOverlay(facts, c) };
  setStep(model, 0);
  return model;
}

// Shows the difference of this number: the first is that of all passes together.
export function setStep(model, number) {
  const { c, count, outline } = model, step = model.differences[number];
  const [from, to] = step ? step.step : [0, 0], last = 1 << to, first = 1 << from, bit = 1 << number;
  const become = (bits) => (bits & first ? (bits & last ? 0 : REMOVED) : ADDED);
  model.number = number;
  model.version = to;
  model.difference = step ?? null;
  model.changed = null;
  model.absent = model.differences.length > 1 ? c.there.map((bits) => (bits & (first | last) ? 0 : 1)) : null;
  c.change = c.there.map((bits, i) => (model.absent?.[i] ? 0 : become(bits) || (c.changed[i] & bit ? CHANGED : 0)));
  c.readingNow = c.reading.map((bits) => (bits & (first | last) ? 1 << become(bits) : 0));
  chooseReads(model, first | last, become);
  model.totals = sumsOf(model, c, outline, count);
  model.readers = readersOf(c, count);
  model.faces = new Map();
}

// The children of every cell of the outline, as rows.
function childRows(parent, outline) {
  const ends = new Int32Array(outline);
  for (let cell = 1; cell < outline; cell++) ends[parent[cell]]++;
  for (let cell = 1; cell < outline; cell++) ends[cell] += ends[cell - 1];
  const items = new Int32Array(Math.max(0, outline - 1)), next = ends.slice();
  for (let cell = outline - 1; cell > 0; cell--) items[--next[parent[cell]]] = cell;
  return { ends, items };
}

// The readings of the versions that are shown.
function chooseReads(model, shown, become) {
  const { c, count, all } = model;
  const keep = model.absent ? all.bits.map((bits) => (bits & shown ? 1 : 0)) : null;
  c.reads = keep ? all.items.filter((_, i) => keep[i]) : all.items;
  c.readChange = (keep ? all.bits.filter((_, i) => keep[i]) : all.bits).map(become);
  if (!keep) return;
  c.readsEnds = new Int32Array(count);
  let seen = 0;
  for (let cell = 0, i = 0; cell < count; cell++) {
    for (; i < all.ends[cell]; i++) seen += keep[i];
    c.readsEnds[cell] = seen;
  }
}

// Running sums over the outline, from which what is inside of a group is a difference.
function sumsOf(model, c, outline, count) {
  const ops = new Int32Array(outline + 1);
  const changes = [0, 1, 2, 3].map(() => new Int32Array(outline + 1));
  const stubs = new Map();
  for (let i = outline; i < count; i++) {
    if (!c.change[i] || c.parent[i] < 0) continue;
    const home = c.parent[i];
    stubs.set(home, [...(stubs.get(home) ?? []), c.change[i]]);
  }
  for (let i = 0; i < outline; i++) {
    ops[i + 1] = ops[i] + Number(c.kind[i] === OP && !c.within[i] && !model.absent?.[i]);
    for (let k = 1; k < 4; k++) changes[k][i + 1] = changes[k][i] + Number(c.change[i] === k && c.kind[i] !== GROUP);
    for (const k of stubs.get(i) ?? []) changes[k][i + 1]++;
  }
  return { ops, changes };
}

// Which cells read each wire, as rows.
function readersOf(c, count) {
  const ends = new Int32Array(c.wireMaker.length + 1);
  for (const wire of c.reads) ends[wire + 1]++;
  for (let i = 1; i < ends.length; i++) ends[i] += ends[i - 1];
  const items = new Int32Array(c.reads.length);
  const next = ends.slice();
  for (let cell = 0; cell < count; cell++) {
    for (const wire of rowOf(c.reads, c.readsEnds, cell)) items[next[wire]++] = cell;
  }
  return { of: (wire) => items.subarray(ends[wire], ends[wire + 1]) };
}

// --- questions about cells

export function isStub(model, cell) {
  return model.c.kind[cell] >= PARAMETER;
}

export function isGroup(model, cell) {
  return model.groupIndex[cell] >= 0;
}

// Whether what a cell holds is the body that says what it means.
export function isComposite(model, cell) {
  return model.c.kind[cell] === OP && isGroup(model, cell) && model.c.within[cell + 1] > 0;
}

export function titleOf(model, cell) {
  return model.strings[model.c.title[cell]];
}

// What is said about a group beside how much it holds: `12 distinct, same structure`.
export function noteOf(model, cell) {
  return model.strings[model.c.note[cell]];
}

export function opOf(model, cell) {
  const form = model.c.form[cell];
  return form < 0 ? null : model.ops[model.c.formOp[form]];
}

// What is said about what a cell does: a row of a column of forms.
export function formRow(model, cell, name) {
  const form = model.c.form[cell];
  return form < 0 ? [] : rowOf(model.c[name], model.c[`${name}Ends`], form);
}

export function moduleOf(model, cell) {
  return model.strings[model.c.module[model.c.origin[cell]]];
}

export function originOf({ c, strings }, cell) {
  const origin = c.origin[cell], module = strings[c.module[origin]], quoted = c.quoted[origin];
  return {
    module, source: strings[c.source[origin]], op: strings[c.framework[origin]],
    passes: Array.from(rowOf(c.passes, c.passesEnds, origin), (word) => strings[word]),
    quoted: quoted < 0 ? `'${module}'` : strings[quoted],
  };
}

// How Python reaches the node, if it is one.
export function addressOf({ c, strings }, cell) {
  return c.place[cell] < 0 ? "" : `${strings[c.level[cell]]}nodes[${c.place[cell]}]`;
}

export function attrsOf(model, cell) {
  const row = formRow(model, cell, "attrs");
  const words = [];
  for (let i = 0; i < row.length; i += 2) words.push([model.strings[row[i]], model.strings[row[i + 1]]]);
  return words;
}

export function sitesOf(model, cell) {
  return Array.from(rowOf(model.c.sites, model.c.sitesEnds, cell), (i) => model.strings[i]);
}

export function readsOf(model, cell) {
  return rowOf(model.c.reads, model.c.readsEnds, cell);
}

export function readChangesOf(model, cell) {
  return rowOf(model.c.readChange, model.c.readsEnds, cell);
}

// The wires that a cell makes are numbered in a row.
export function makesOf(model, cell) {
  const wires = [];
  for (let w = model.firstWire[cell]; w >= 0 && model.c.wireMaker[w] === cell; w++) wires.push(w);
  return wires;
}

function firstWires({ wireMaker }, count) {
  const first = new Int32Array(count).fill(-1);
  for (let w = wireMaker.length - 1; w >= 0; w--) first[wireMaker[w]] = w;
  return first;
}

// The number of a wire's type in the version that is shown.
export function typeNumber(model, wire) {
  return model.retyped.get(wire)?.[model.version] ?? model.c.wireType[wire];
}

export function typeOf(model, wire) {
  const [dtype, axes] = model.types[typeNumber(model, wire)];
  return { dtype, axes };
}

export function childrenOf(model, cell) {
  return isStub(model, cell) ? [] : rowOf(model.children.items, model.children.ends, cell);
}

export function opsInside(model, cell) {
  return model.totals.ops[model.end[cell]] - model.totals.ops[cell];
}

export function changesInside(model, cell) {
  return model.totals.changes.map((sums) => sums[model.end[cell]] - sums[cell]);
}

// Whether it was matched with what it was before by structure alone, in any of the steps shown.
export function isGuessed(model, cell) {
  const [from, to] = model.difference?.step ?? [0, 0];
  return ((model.c.guessed[cell] >> (from + 1)) & ((1 << (to - from)) - 1)) !== 0;
}

// What a step put in the place of what: cells that took over the value of this one, or lost it.
export function replacementsOf(model, cell) {
  const [from, to] = model.difference?.step ?? [0, 0];
  const now = model.replaced.filter(([, , step]) => step > from && step <= to);
  return {
    by: now.filter(([, old]) => old === cell).map(([made]) => made),
    of: now.filter(([made]) => made === cell).map(([, old]) => old),
  };
}

// The box that shows a cell: itself, or the first reader of a stub.
export function boxOf(model, cell) {
  return isStub(model, cell) ? model.c.parent[cell] : cell;
}

export function groupsAround(model, cell) {
  const groups = [];
  for (let g = model.c.parent[cell]; g >= 0; g = model.c.parent[g]) groups.push(g);
  return groups;
}

// What a reader calls a stub: without the module that both are in.
export function stubName(model, stub, reader) {
  const title = titleOf(model, stub);
  const module = moduleOf(model, reader).replace(/^.*\//, "");
  return module && title.startsWith(module + ".") ? title.slice(module.length + 1) : title;
}
