// Coordinates of open groups: ranks and order are given, places settle by isotonic regression. They
// are columns over cells and slots, so that a hundred thousand boxes are placed without an object
// each; lines.js makes what is seen of them. place.py does the same for the still picture.

import { childrenOf, startOf, titleOf } from "./data.js";
import { contentOf, labelOf, FONTS, TITLE, shorten, widthOf } from "./measure.js";
import { CHILD, ENTRY, LANE, standing } from "./plan.js";

const GAP_X = 26, GAP_Y = 54, LANE_WIDTH = 14, MARGIN = 20, HEADER = 38, SWEEPS = 10;

// A box of more wires shows no labels below it.
export const MOST_LABELS = 3;

// Where every box is within the group around it, how large it is, and how wide with its labels; where
// the slots of every group are; and which groups are placed.
export function makeLayout(model) {
  const { c } = model, starts = new Int32Array(c.group.length + 1);
  c.plan.forEach((plan, i) => { starts[i + 1] = starts[i] + c.slotEnds[plan] - startOf(c.slotEnds, plan); });
  const column = (length) => new Float64Array(length);
  return {
    x: column(model.outline), y: column(model.outline), width: column(model.outline), height: column(model.outline), span: column(model.outline),
    slotX: column(starts[c.group.length]), starts, fresh: new Uint8Array(c.group.length),
  };
}

// The places of the slots of a group.
export function slotsOf({ layout, model }, group) {
  const number = model.groupIndex[group];
  return layout.slotX.subarray(layout.starts[number], layout.starts[number + 1]);
}

// Places everything in an open group that is not placed yet, what is inside first.
export function placeGroup(scene, group) {
  const { model, open, layout } = scene, number = model.groupIndex[group];
  if (layout.fresh[number]) return;
  const made = standing(scene, group), children = childrenOf(model, group);
  for (const child of children) if (open.has(child) && (!scene.kept || scene.kept[child])) placeGroup(scene, child);
  measure(scene, group, made, children);
  columns(made);
  settle(scene, group, made, children);
  layout.fresh[number] = 1;
}

// The wires that a child names in a row of its own, as they are not drawn as lines.
export function rowsOf(model, group, made, child) {
  const nets = made.rows.get(child), first = startOf(model.c.netEnds, model.groupIndex[group]);
  return nets ? nets.map((net) => model.c.net[first + net]) : [];
}

// Whether a net has a label: if it comes from a child, and is drawn.
export function isLabelled(made, net) {
  return made.plan.sources[net] >= 0 && made.ends[net] > startOf(made.ends, net);
}

// --- widths and middles of the slots of the group that is being placed

let wide = new Float64Array(0), middle = wide, means = wide, weights = wide, counts = wide, offsets = wide;

function makeRoom(count) {
  if (wide.length >= count) return;
  [wide, middle, means, weights, counts, offsets] = Array.from({ length: 6 }, () => new Float64Array(2 * count));
}

// Boxes are as large as their words or what they hold; labels stand below the boxes that make the
// wires, one a wire, and widen them.
function measure({ model, open, layout }, group, made, children) {
  const { plan, order } = made, { net: wires, netEnds } = model.c, first = startOf(netEnds, model.groupIndex[group]);
  makeRoom(plan.what.length);
  wide.fill(0, 0, plan.what.length);
  counts.fill(0, 0, plan.what.length);
  for (let net = 0; net < plan.sources.length; net++) {
    if (!isLabelled(made, net)) continue;
    const slot = plan.ofChild[plan.sources[net]];
    wide[slot] += labelOf(model, wires[first + net]).width + 6;
    counts[slot]++;
  }
  for (const slot of order) {
    if (plan.what[slot] !== CHILD) {
      wide[slot] = LANE_WIDTH;
      continue;
    }
    const child = plan.ref[slot], cell = children[child], content = contentOf(model, cell, rowsOf(model, group, made, child));
    if (open.has(cell)) layout.width[cell] = Math.max(layout.width[cell], content.width + 20);
    else {
      layout.width[cell] = content.width;
      layout.height[cell] = content.height;
    }
    wide[slot] = Math.max(layout.width[cell], counts[slot] <= MOST_LABELS ? wide[slot] : 0);
    layout.span[cell] = wide[slot];
  }
}

function columns(made) {
  const { order, rankEnds } = made;
  for (let rank = 0, i = 0; rank < rankEnds.length; rank++) {
    const from = i;
    let x = 0;
    for (; i < rankEnds[rank]; i++) {
      middle[order[i]] = x + wide[order[i]] / 2;
      x += wide[order[i]] + GAP_X;
    }
    for (let k = from; k < i; k++) middle[order[k]] -= (x - GAP_X) / 2;
  }
  for (let turn = 0; turn < SWEEPS; turn++) {
    const down = turn % 2 === 0, last = rankEnds.length - 1;
    for (let i = 0; i <= last; i++) pull(made, down ? i : last - i, down ? made.above : made.below);
  }
}

// Moves a rank to the places nearest to the averages of what its slots are joined to, in their order
// and without overlap: neighbours that would overlap are pooled.
function pull({ plan, order, rankEnds }, rank, { ends, items }) {
  const { what } = plan, from = startOf(rankEnds, rank), to = rankEnds[rank];
  let pools = 0, x = 0;
  for (let i = from; i < to; i++) {
    const slot = order[i], lane = what[slot] === LANE ? 1 : 0;
    let total = 0, sum = 0;
    for (let k = startOf(ends, slot); k < ends[slot]; k++) {
      const lanes = what[items[k]] === LANE ? lane + 1 : lane, weight = lanes === 2 ? 8 : lanes + 1;
      total += weight;
      sum += weight * middle[items[k]];
    }
    if (i > from) x += (wide[order[i - 1]] + wide[slot]) / 2 + GAP_X;
    offsets[i - from] = x;
    let mean = (total ? sum / total : middle[slot]) - x, weight = total || 0.05, count = 1;
    while (pools && means[pools - 1] > mean) {
      pools--;
      mean = (means[pools] * weights[pools] + mean * weight) / (weights[pools] + weight);
      weight += weights[pools];
      count += counts[pools];
    }
    means[pools] = mean;
    weights[pools] = weight;
    counts[pools++] = count;
  }
  for (let pool = 0, i = from; pool < pools; pool++) {
    for (let k = 0; k < counts[pool]; k++, i++) middle[order[i]] = means[pool] + offsets[i - from];
  }
}

// --- places

// The top and the height of each rank.
export function ranksOf({ model, layout }, group, made) {
  const { plan, order, rankEnds } = made, children = childrenOf(model, group), tops = [], heights = [];
  let y = group === 0 ? 24 : HEADER;
  for (let rank = 0, i = 0; rank < rankEnds.length; rank++) {
    let height = 0, doorsOnly = true;
    for (; i < rankEnds[rank]; i++) {
      const what = plan.what[order[i]];
      doorsOnly &&= what === ENTRY;
      if (what === CHILD) height = Math.max(height, layout.height[children[plan.ref[order[i]]]]);
    }
    tops.push(y);
    heights.push(height);
    y += height + (doorsOnly ? 22 : GAP_Y);
  }
  return { tops, heights, end: y - GAP_Y + MARGIN };
}

// Heights and corners, relative to the group's corner.
function settle(scene, group, made, children) {
  const { model, layout } = scene, { plan, order, rankEnds } = made, slotX = slotsOf(scene, group);
  let left = Infinity, right = -Infinity;
  for (const slot of order) {
    left = Math.min(left, middle[slot] - wide[slot] / 2);
    right = Math.max(right, middle[slot] + wide[slot] / 2);
  }
  if (left > right) left = right = 0;
  const title = widthOf(shorten(titleOf(model, group), TITLE), FONTS.title) + 190;
  const room = MARGIN + Math.max(0, title - (right - left) - 2 * MARGIN) / 2;
  const { tops, heights, end } = ranksOf(scene, group, made);
  for (let rank = 0, i = 0; rank < rankEnds.length; rank++) {
    for (; i < rankEnds[rank]; i++) {
      const slot = order[i];
      slotX[slot] = middle[slot] - left + room;
      if (plan.what[slot] !== CHILD) continue;
      const cell = children[plan.ref[slot]];
      layout.x[cell] = slotX[slot] - layout.width[cell] / 2;
      layout.y[cell] = tops[rank] + (heights[rank] - layout.height[cell]) / 2;
    }
  }
  layout.width[group] = right - left + 2 * room;
  layout.height[group] = Math.max(end, HEADER + MARGIN);
}
