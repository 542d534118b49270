// Search: plain words match paths, ops, titles, sites and names of values, or, where a word is in none,
// those that have its letters in their order; `op:` `axis:` `site:` `dtype:` `shape:` `param:` `pass:`
// and `changed:` ask for one thing. All words must match.

import { GROUP, PARAMETER, SIGNS, WORDS, makesOf, opOf, originOf, sitesOf, startOf, titleOf, typeOf } from "./data.js";

// The cells with a text that fits, as flags. Cells share their strings, so each of these is looked at
// once, and then the columns that refer to them.
function cellsWith(model, fits) {
  const { c, strings } = model, found = new Uint8Array(model.count);
  model.lower ??= strings.map((string) => string.toLowerCase());
  const has = new Uint8Array(strings.length);
  model.lower.forEach((string, i) => { has[i] = Number(fits(string)); });
  const ops = model.ops.map(([name]) => Number(fits(name.toLowerCase())));
  const inModule = c.module.map((module) => has[module]), inForm = c.formOp.map((op) => ops[op]);
  for (let cell = 0; cell < model.count; cell++) {
    found[cell] = has[c.title[cell]] | inModule[c.origin[cell]] | (c.form[cell] < 0 ? 0 : inForm[c.form[cell]]);
    for (let i = startOf(c.sitesEnds, cell); i < c.sitesEnds[cell]; i++) found[cell] |= has[c.sites[i]];
  }
  c.wireName.forEach((name, wire) => { found[c.wireMaker[wire]] |= has[name]; });
  return found;
}

// Whether the letters of a word stand in a text in their order, close to each other.
function isSpread(word, text) {
  for (let start = text.indexOf(word[0]); start >= 0; start = text.indexOf(word[0], start + 1)) {
    let at = start;
    for (let i = 1; i < word.length && at >= 0; i++) at = text.indexOf(word[i], at + 1);
    if (at < 0) return false;
    if (at - start < 2 * word.length) return true;
  }
  return false;
}

const MATCHERS = {
  op: (model, cell, word) => opOf(model, cell)?.[0].toLowerCase().startsWith(word) ?? false,
  site: (model, cell, word) => sitesOf(model, cell).some((site) => site.toLowerCase().includes(word)),
  param: (model, cell, word) => model.c.kind[cell] === PARAMETER && titleOf(model, cell).toLowerCase().includes(word),
  axis: (model, cell, word) => someAxis(model, cell, ([name]) => name.toLowerCase() === word),
  shape: (model, cell, word) => someAxis(model, cell, ([name, shown]) => shown.slice(name.length + 1) === word),
  dtype: (model, cell, word) => makesOf(model, cell).some((wire) => typeOf(model, wire).dtype.startsWith(word)),
  pass: (model, cell, word) => originOf(model, cell).passes.some((name) => name.toLowerCase().startsWith(word)),
  changed: (model, cell, word) => {
    const change = model.c.change[cell];
    return change > 0 && (!word || WORDS[change].startsWith(word) || SIGNS[change] === word);
  },
};

function someAxis(model, cell, holds) {
  return makesOf(model, cell).some((wire) => typeOf(model, wire).axes.some((axis) => axis >= 0 && holds(model.axes[axis])));
}

function matcher(model, word) {
  const at = word.indexOf(":"), ask = MATCHERS[word.slice(0, at)];
  if (at > 0 && ask) {
    const rest = word.slice(at + 1);
    return (cell) => ask(model, cell, rest);
  }
  let found = cellsWith(model, (text) => text.includes(word));
  if (word.length > 2 && !found.includes(1)) found = cellsWith(model, (text) => isSpread(word, text));
  return (cell) => found[cell] > 0;
}

// The cells that match, best first: where a title or site begins or ends with the words.
export function find(model, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const tests = words.map((word) => matcher(model, word));
  const found = [];
  for (let cell = 1; cell < model.count; cell++) if (!model.absent?.[cell] && tests.every((test) => test(cell))) found.push(cell);
  const last = words[words.length - 1];
  const score = (cell) => {
    const sites = sitesOf(model, cell), title = titleOf(model, cell).toLowerCase();
    if (sites.some((site) => site.toLowerCase() === last)) return 0;
    if (title === last) return 1;
    if (sites.some((site) => site.toLowerCase().endsWith(last))) return 2;
    return title.startsWith(last) ? 3 : model.c.kind[cell] === GROUP ? 4 : 5;
  };
  if (found.length > 5000) return found;
  return found.map((cell) => [score(cell), cell]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, cell]) => cell);
}
