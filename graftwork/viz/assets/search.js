// Search: plain words match paths, ops, titles, sites and names of values; `op:` `axis:` `site:`
// `dtype:` `shape:` `param:` `pass:` and `changed:` ask for one thing. All words must match.

import { GROUP, PARAMETER, SIGNS, WORDS, makesOf, opOf, originOf, sitesOf, titleOf, typeOf } from "./data.js";

function haystacks(model) {
  model.hay ??= Array.from({ length: model.count }, (_, cell) => {
    const { module } = originOf(model, cell), op = opOf(model, cell);
    const names = makesOf(model, cell).map((wire) => model.strings[model.c.wireName[wire]]);
    return [module, op?.[0] ?? "", titleOf(model, cell), ...sitesOf(model, cell), ...names].join("\n").toLowerCase();
  });
  return model.hay;
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
  const hay = haystacks(model);
  return (cell) => hay[cell].includes(word);
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
