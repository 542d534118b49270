// Coordinates of open groups: ranks and order are given, places settle by isotonic regression.
// place.py does the same for the still picture.

import { rowOf, startOf, titleOf } from "./data.js";
import { contentOf, labelOf, FONTS, widthOf, shorten } from "./measure.js";

const CHILD = 0, LANE = 1, ENTRY = 2, EXIT = 3;
const GAP_X = 26, GAP_Y = 54, LANE_WIDTH = 14, MARGIN = 20, HEADER = 38, SWEEPS = 10;

// A group's slots and nets, read from the columns; only those that are kept, if not all are.
function readArrangement(model, g, kept) {
  const c = model.c, ranks = [], bySource = new Map(), lanes = new Map(), doors = new Map();
  for (let i = startOf(c.slotEnds, g); i < c.slotEnds[g]; i++) {
    const slot = { what: c.slotWhat[i], ref: c.slotRef[i], rank: c.slotRank[i], above: [], below: [] };
    (ranks[slot.rank] ??= []).push(slot);
    slot.stays = !kept || (slot.what === CHILD && kept[slot.ref]);
    if (slot.what === CHILD) bySource.set(slot.ref, slot);
    else if (slot.what === LANE) lanes.set(slot.ref * 100000 + slot.rank, slot);
    else doors.set(slot.what * 1e9 + slot.ref, slot);
  }
  for (let r = 0; r < ranks.length; r++) ranks[r] ??= [];
  const nets = [], rows = new Map();
  for (let i = startOf(c.netEnds, g); i < c.netEnds[g]; i++) {
    const n = nets.length, net = { wire: c.netWire[i], joints: [], bits: 0, source: c.netSource[i] };
    const from = startOf(c.targetEnds, i), gone = kept && net.source >= 0 && !kept[net.source];
    net.slot = net.source < 0 ? doors.get(ENTRY * 1e9 + n) : bySource.get(net.source);
    const ends = [];
    rowOf(c.target, c.targetEnds, i).forEach((target, k) => {
      if (!c.targetBits[from + k]) return;
      if (gone || (kept && target >= 0 && !kept[target])) return;
      net.bits |= c.targetBits[from + k];
      const end = target < 0 ? doors.get(EXIT * 1e9 + n) : bySource.get(target);
      if (target < 0) {
        net.exit = end;
        end.stays = true;
      }
      if (!c.targetRow[from + k]) ends.push([end, c.targetBits[from + k]]);
      else if (target >= 0) rows.set(target, [...(rows.get(target) ?? []), net.wire]);
    });
    joinNet(net, n, ends, lanes);
    nets.push(net);
  }
  return { ranks: kept ? ranks.map((slots) => slots.filter((slot) => slot.stays)).filter((slots) => slots.length) : ranks, nets, rows };
}

function joinNet(net, n, ends, lanes) {
  const last = ends.reduce((rank, [end]) => Math.max(rank, end.rank), 0);
  let lane = net.slot;
  for (let rank = net.slot.rank + 1; rank <= last; rank++) {
    for (const [end, bits] of ends) if (end.rank === rank) join(net, lane, end, bits);
    const passing = lanes.get(n * 100000 + rank);
    if (!passing) continue;
    join(net, lane, passing, ends.reduce((sum, [end, bits]) => (end.rank > rank ? sum | bits : sum), 0));
    lane = passing;
  }
}

function join(net, upper, lower, bits) {
  upper.stays = lower.stays = true;
  upper.below.push(lower);
  lower.above.push(upper);
  net.joints.push([upper, lower, bits]);
}

// The places of everything in a group. `open` says which groups are open, `kept` which cells are
// to be seen; what was placed before and has not been touched since is in `placed`.
export function placeGroup(scene, group) {
  const { model, open, placed, kept } = scene, known = placed.get(group);
  if (known) return known;
  const made = readArrangement(model, model.groupIndex[group], kept);
  const boxes = [];
  for (const slots of made.ranks) {
    for (const slot of slots) {
      if (slot.what !== CHILD) continue;
      const inner = open.has(slot.ref) ? placeGroup(scene, slot.ref) : null;
      slot.box = makeBox(model, slot.ref, inner, made.rows.get(slot.ref) ?? []);
      boxes.push(slot.box);
    }
  }
  labelNets(model, made, boxes);
  for (const slots of made.ranks) {
    for (const slot of slots) slot.width = slot.what === CHILD ? slot.box.span : LANE_WIDTH;
  }
  columns(made);
  const result = settle(model, group, made, boxes);
  placed.set(group, result);
  return result;
}

function makeBox(model, cell, inner, rows) {
  const content = contentOf(model, cell, rows);
  const width = inner ? Math.max(inner.width, content.width + 20) : content.width;
  const height = inner ? inner.height : content.height;
  return { cell, inner, content, width, height, span: width, x: 0, y: 0, labels: [], ins: [], outs: [] };
}

// Labels stand below the boxes that make the wires, one a wire, and widen them.
function labelNets(model, made, boxes) {
  for (const net of made.nets) {
    net.label = null;
    if (net.slot.what !== CHILD || !net.joints.length) continue;
    const { box } = net.slot;
    net.label = labelOf(model, net.wire);
    box.labels.push(net.label);
  }
  for (const box of boxes) {
    const width = box.labels.reduce((sum, label) => sum + label.width + 6, 0);
    if (box.labels.length > 3) for (const label of box.labels) label.hidden = true;
    else box.span = Math.max(box.width, width);
  }
}

function columns(made) {
  for (const slots of made.ranks) {
    let x = 0;
    for (const slot of slots) {
      slot.middle = x + slot.width / 2;
      x += slot.width + GAP_X;
    }
    for (const slot of slots) slot.middle -= (x - GAP_X) / 2;
  }
  for (let turn = 0; turn < SWEEPS; turn++) {
    const down = turn % 2 === 0;
    for (let i = 0; i < made.ranks.length; i++) {
      pull(made.ranks[down ? i : made.ranks.length - 1 - i], down ? "above" : "below");
    }
  }
}

function pull(slots, side) {
  const wanted = slots.map((slot) => {
    let total = 0, sum = 0;
    for (const other of slot[side]) {
      const lanes = Number(slot.what === LANE) + Number(other.what === LANE);
      const weight = lanes === 2 ? 8 : lanes + 1;
      total += weight;
      sum += weight * other.middle;
    }
    return total ? [sum / total, total] : [slot.middle, 0.05];
  });
  spread(slots, wanted).forEach((x, i) => { slots[i].middle = x; });
}

// The places nearest to those wanted that keep the order and do not overlap.
function spread(slots, wanted) {
  const offsets = [], pools = [];
  let x = 0;
  slots.forEach((slot, i) => {
    if (i) x += (slots[i - 1].width + slot.width) / 2 + GAP_X;
    offsets.push(x);
    let mean = wanted[i][0] - x, weight = wanted[i][1], count = 1;
    while (pools.length && pools[pools.length - 1][0] > mean) {
      const last = pools.pop();
      mean = (last[0] * last[1] + mean * weight) / (last[1] + weight);
      weight += last[1];
      count += last[2];
    }
    pools.push([mean, weight, count]);
  });
  const places = [];
  for (const [mean, , count] of pools) {
    for (let i = 0; i < count; i++) places.push(mean + offsets[places.length]);
  }
  return places;
}

// Heights, doors and lines, relative to the group's corner.
function settle(model, group, made, boxes) {
  let left = Infinity, right = -Infinity;
  for (const slots of made.ranks) {
    for (const slot of slots) {
      left = Math.min(left, slot.middle - slot.width / 2);
      right = Math.max(right, slot.middle + slot.width / 2);
    }
  }
  if (left > right) left = right = 0;
  const title = widthOf(shorten(titleOf(model, group), 44), FONTS.title) + 190;
  const spare = Math.max(0, title - (right - left) - 2 * MARGIN) / 2;
  left -= MARGIN + spare;
  right += MARGIN + spare;
  const entries = new Map(), exits = new Map();
  let y = group === 0 ? 24 : HEADER;
  made.ranks.forEach((slots) => {
    const height = slots.reduce((tall, slot) => Math.max(tall, slot.what === CHILD ? slot.box.height : 0), 0);
    for (const slot of slots) {
      slot.x = slot.middle - left;
      slot.top = y;
      slot.bottom = y + height;
      if (slot.what === ENTRY) entries.set(made.nets[slot.ref].wire, slot.x);
      if (slot.what === EXIT) exits.set(made.nets[slot.ref].wire, slot.x);
      if (slot.what !== CHILD) continue;
      const { box } = slot;
      box.x = slot.x - box.width / 2;
      box.y = y + (height - box.height) / 2;
    }
    const doorsOnly = slots.every((slot) => slot.what === ENTRY);
    y += height + (doorsOnly ? 22 : GAP_Y);
  });
  const height = Math.max(y - GAP_Y + MARGIN, HEADER + MARGIN);
  hangPorts(made, boxes);
  const lines = linesOf(made, height);
  for (const box of boxes) box.ins = box.outs = box.labels = null; // they have served
  const ranks = made.ranks.map((slots) => slots.filter((slot) => slot.what === CHILD).map((slot) => slot.ref));
  return { group, boxes, lines, entries, exits, width: right - left, height, ranks };
}

// Where on the edges of boxes the wires go in and out: side by side, in the order of where they
// come from; at an open group, where its own doors are.
function hangPorts(made, boxes) {
  for (const net of made.nets) {
    for (const [upper, lower] of net.joints) {
      if (upper.what === CHILD && !upper.box.outs.some((port) => port.net === net)) {
        upper.box.outs.push({ net, x: 0, toward: lower.x });
      }
      if (lower.what === CHILD) lower.box.ins.push({ net, x: 0, toward: upper.x });
    }
  }
  for (const box of boxes) {
    alignPorts(box, box.ins, box.inner?.entries, 30);
    const widest = box.labels.reduce((wide, label) => Math.max(wide, label.hidden ? 0 : label.width + 6), 24);
    alignPorts(box, box.outs, box.inner?.exits, widest);
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

function linesOf(made, height) {
  const lines = [];
  for (const net of made.nets) {
    const line = { wire: net.wire, bits: net.bits, pieces: [], label: null, top: Infinity, bottom: -Infinity };
    for (const [upper, lower, bits] of net.joints) {
      const from = outPoint(net, upper), to = inPoint(net, lower);
      const below = upper.bottom;
      if (upper.what === LANE) line.pieces.push([from.x, upper.top, from.x, below, bits, false]);
      line.pieces.push([from.x, from.y, to.x, to.y, bits, lower.what === CHILD, below, lower.top]);
    }
    if (net.slot.what === ENTRY && net.slot.stays) {
      const { x, top } = net.slot;
      line.pieces.push([x, 0, x, top, net.bits, false]);
      if (!net.joints.length) line.dangling = [x, top];
    }
    if (net.exit) {
      const { x, top } = net.exit;
      line.pieces.push([x, top, x, height, net.bits, false]);
    }
    if (net.label && !net.label.hidden && net.slot.what === CHILD) {
      const from = outPoint(net, net.slot);
      line.label = { ...net.label, x: from.x, y: from.y + 15 };
    }
    for (const [, y0, , y1] of line.pieces) {
      line.top = Math.min(line.top, y0, y1);
      line.bottom = Math.max(line.bottom, y0, y1);
    }
    if (line.pieces.length) lines.push(line);
  }
  return lines;
}

function outPoint(net, slot) {
  if (slot.what !== CHILD) return { x: slot.x, y: slot.bottom };
  const { box } = slot, port = box.outs.find((out) => out.net === net);
  return { x: port.x, y: box.y + box.height };
}

function inPoint(net, slot) {
  if (slot.what !== CHILD) return { x: slot.x, y: slot.top };
  const { box } = slot, port = box.ins.find((into) => into.net === net);
  return { x: port.x, y: box.y };
}
