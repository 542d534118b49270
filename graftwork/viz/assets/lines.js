// What is seen of an open group that is placed: its boxes with their words, and its lines, which end
// side by side on the edges of boxes. It is made when it comes into sight.

import { childrenOf, startOf } from "./data.js";
import { contentOf, labelOf } from "./measure.js";
import { CHILD, LANE, standing } from "./plan.js";
import { MOST_LABELS, isLabelled, placeGroup, ranksOf, rowsOf, slotsOf } from "./place.js";

const MOST_DRAWN = 2000;

// The boxes and lines of an open group; many are kept, for they are soon in sight again.
export function drawnGroup(scene, group) {
  const known = scene.drawn.get(group);
  if (known) return known;
  placeGroup(scene, group);
  const { layout } = scene, made = standing(scene, group), places = placesOf(scene, group, made);
  const boxes = boxesOf(scene, group, made), nets = netsOf(scene, group, made);
  hangPorts(scene, made, boxes, nets, places);
  const drawn = {
    group, boxes: boxes.filter(Boolean).map(({ box }) => box), lines: linesOf(made, boxes, nets, places, layout.height[group]),
    entries: doorsOf(scene, group, "entries"), width: layout.width[group], height: layout.height[group],
  };
  if (scene.drawn.size >= MOST_DRAWN) scene.drawn.clear();
  scene.drawn.set(group, drawn);
  return drawn;
}

// The middle, top and bottom of every slot; the box of a child says more.
function placesOf(scene, group, made) {
  const { order, rankEnds } = made, { tops, heights } = ranksOf(scene, group, made);
  const x = slotsOf(scene, group), top = new Float64Array(x.length), bottom = new Float64Array(x.length);
  for (let rank = 0, i = 0; rank < rankEnds.length; rank++) {
    for (; i < rankEnds[rank]; i++) {
      top[order[i]] = tops[rank];
      bottom[order[i]] = tops[rank] + heights[rank];
    }
  }
  return { x, top, bottom };
}

// For each slot that a child stands in, its box and the ports that are going to hang on it.
function boxesOf(scene, group, made) {
  const { model, layout, open } = scene, children = childrenOf(model, group), boxes = new Array(made.plan.what.length);
  for (const slot of made.order) {
    if (made.plan.what[slot] !== CHILD) continue;
    const child = made.plan.ref[slot], cell = children[child], isOpen = open.has(cell);
    const box = {
      cell, content: contentOf(model, cell, rowsOf(model, group, made, child)), isOpen,
      x: layout.x[cell], y: layout.y[cell], width: layout.width[cell], height: layout.height[cell], span: layout.span[cell],
      get inner() { return isOpen ? drawnGroup(scene, cell) : null; },
    };
    boxes[slot] = { box, ins: [], outs: [], labels: [] };
  }
  return boxes;
}

function netsOf({ model }, group, made) {
  const first = startOf(model.c.netEnds, model.groupIndex[group]), { plan } = made;
  return Array.from(plan.sources, (source, net) => {
    const wire = model.c.net[first + net], slot = source < 0 ? plan.entries[net] : plan.ofChild[source];
    return {
      wire, slot, from: startOf(made.ends, net), to: made.ends[net], bits: made.netBits[net], exit: made.exits[net],
      isEntry: source < 0, label: isLabelled(made, net) ? labelOf(model, wire) : null, out: null,
    };
  });
}

// Where wires come into an open group (`entries`) or go out of it (`exits`): wire -> x.
function doorsOf(scene, group, side) {
  const { plan, stays } = standing(scene, group), { c, groupIndex } = scene.model;
  const first = startOf(c.netEnds, groupIndex[group]), x = slotsOf(scene, group), doors = new Map();
  plan[side].forEach((slot, net) => { if (stays[slot]) doors.set(c.net[first + net], x[slot]); });
  return doors;
}

// Where on the edges of boxes the wires go in and out: side by side, in the order of where they
// come from; at an open group, where its own doors are.
function hangPorts(scene, made, boxes, nets, { x }) {
  for (const net of nets) {
    for (let i = net.from; i < net.to; i++) {
      const upper = made.upper[i], lower = made.lower[i];
      if (boxes[upper] && !net.out) {
        net.out = { net, x: 0, toward: x[lower] };
        boxes[upper].outs.push(net.out);
      }
      if (boxes[lower]) boxes[lower].ins.push({ net, x: 0, toward: x[upper] });
    }
    if (net.label) boxes[net.slot].labels.push(net.label);
  }
  for (const { box, ins, outs, labels } of boxes.filter(Boolean)) {
    const widest = labels.length > MOST_LABELS ? 24 : Math.max(24, ...labels.map((label) => label.width + 6));
    const doors = (side) => (box.isOpen ? doorsOf(scene, box.cell, side) : null);
    alignPorts(box, ins, doors("entries"), 30);
    alignPorts(box, outs, doors("exits"), widest);
  }
}

function alignPorts(box, ports, doors, spacing) {
  ports.sort((a, b) => a.toward - b.toward);
  const step = Math.min(spacing, Math.max(box.span, box.width) / ports.length);
  const middle = box.x + box.width / 2;
  const slack = Math.max(0, box.width / 2 - 14 - ((ports.length - 1) * step) / 2);
  const mean = ports.reduce((sum, port) => sum + port.toward, 0) / ports.length;
  const shift = Math.abs(mean - middle) <= slack ? mean - middle : 0;
  ports.forEach((port, i) => {
    const door = doors?.get(port.net.wire);
    port.x = door === undefined ? middle + shift + (i - (ports.length - 1) / 2) * step : box.x + door;
  });
}

function linesOf(made, boxes, nets, places, height) {
  const lines = [];
  for (const net of nets) {
    const { wire, bits, slot } = net, { x, top } = places, pieces = [];
    const line = { wire, bits, pieces, label: null, dangling: /** @type {number[] | null} */ (null), top: Infinity, bottom: -Infinity };
    for (let i = net.from; i < net.to; i++) pieces.push(...piecesOf(net, made.upper[i], made.lower[i], made.bits[i], boxes, made, places));
    if (net.isEntry && made.stays[slot]) {
      pieces.push([x[slot], 0, x[slot], top[slot], bits, false]);
      if (net.from === net.to) line.dangling = [x[slot], top[slot]];
    }
    if (net.exit >= 0) pieces.push([x[net.exit], top[net.exit], x[net.exit], height, bits, false]);
    if (net.label && boxes[slot].labels.length <= MOST_LABELS) line.label = { ...net.label, x: net.out.x, y: bottomOf(boxes[slot].box) + 15 };
    for (const [, y0, , y1] of pieces) {
      line.top = Math.min(line.top, y0, y1);
      line.bottom = Math.max(line.bottom, y0, y1);
    }
    if (pieces.length) lines.push(line);
  }
  return lines;
}

// From a slot to one below it; a lane first runs from its own top to its bottom.
function piecesOf(net, upper, lower, bits, boxes, made, { x, top, bottom }) {
  const into = boxes[lower]?.ins.find((port) => port.net === net);
  const [startX, startY] = boxes[upper] ? [net.out.x, bottomOf(boxes[upper].box)] : [x[upper], bottom[upper]];
  const [endX, endY] = into ? [into.x, boxes[lower].box.y] : [x[lower], top[lower]];
  const piece = [startX, startY, endX, endY, bits, Boolean(into), bottom[upper], top[lower]];
  return made.plan.what[upper] === LANE ? [[x[upper], top[upper], x[upper], bottom[upper], bits, false], piece] : [piece];
}

function bottomOf(box) {
  return box.y + box.height;
}
