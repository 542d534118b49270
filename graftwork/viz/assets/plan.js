// How the children of a group stand and what joins them. Groups that are joined in the same way share
// a plan, so that it is read once; only where a part is left out does a group need one of its own.
// See arrange.py.

import { childrenOf, rowOf, startOf } from "./data.js";

export const CHILD = 0;
export const LANE = 1;
export const ENTRY = 2;
export const EXIT = 3;

// A plan's slots, rank after rank, each with what it holds and the number of its child or net; and its
// joints, net after net, each with an upper and a lower slot.
function readPlan(c, number) {
  const first = startOf(c.joinEnds, number), from = startOf(c.jointEnds, first), sources = rowOf(c.join, c.joinEnds, number);
  const slots = (column) => rowOf(column, c.slotEnds, number), ends = c.jointEnds.subarray(first, first + sources.length).map((end) => end - from);
  const joints = (column) => column.subarray(from, from + (ends.at(-1) ?? 0));
  const plan = {
    what: slots(c.slot), ref: slots(c.slotRef), rank: slots(c.slotRank), first, sources, ends, upper: joints(c.joint), lower: joints(c.jointLower),
    ofChild: /** @type {number[]} */ ([]), entries: /** @type {number[]} */ ([]), exits: /** @type {number[]} */ ([]), whole: null,
  };
  plan.what.forEach((what, slot) => { if (what !== LANE) [plan.ofChild, [], plan.entries, plan.exits][what][plan.ref[slot]] = slot; });
  return plan;
}

// What stands in a group now: its slots in order with the ends of the ranks, and the joints of its
// nets with what became of them.
export function standing(scene, group) {
  const { model, kept } = scene, { c } = model, number = model.groupIndex[group];
  const plan = (model.plans[c.plan[number]] ??= readPlan(c, c.plan[number]));
  const bits = rowOf(c.readingNow, c.readingEnds, number);
  if (kept || bits.some((of) => of !== 1)) return joined(c, plan, bits, kept && childrenOf(model, group).map((child) => kept[child]));
  plan.whole ??= joined(c, plan, bits, null);
  return plan.whole;
}

function joined(c, plan, bits, kept) {
  const { what, sources } = plan, count = what.length, nets = sources.length, upper = [], lower = [], joints = [], rows = new Map();
  const stays = what.map((of, slot) => Number(!kept || (of === CHILD && kept[plan.ref[slot]] > 0)));
  const ends = new Int32Array(nets), netBits = new Int32Array(nets), exits = new Int32Array(nets).fill(-1), reached = new Int32Array(count);
  for (let net = 0, at = 0; net < nets; net++) {
    for (let k = startOf(c.targetEnds, plan.first + net); k < c.targetEnds[plan.first + net]; k++, at++) {
      const target = c.target[k], slot = target < 0 ? plan.exits[net] : plan.ofChild[target];
      const gone = kept && ((sources[net] >= 0 && !kept[sources[net]]) || (target >= 0 && !kept[target])), seen = gone ? 0 : bits[at];
      reached[slot] = c.targetRow[k] ? 0 : seen;
      netBits[net] |= seen;
      if (seen && target < 0) stays[(exits[net] = slot)] = 1;
      else if (seen && c.targetRow[k]) rows.set(target, [...(rows.get(target) ?? []), net]);
    }
    // A lane is there as far down as something hangs on it.
    for (let i = plan.ends[net] - 1; i >= startOf(plan.ends, net); i--) if (what[plan.upper[i]] === LANE) reached[plan.upper[i]] |= reached[plan.lower[i]];
    for (let i = startOf(plan.ends, net); i < plan.ends[net]; i++) {
      if (!reached[plan.lower[i]]) continue;
      upper.push(plan.upper[i]);
      lower.push(plan.lower[i]);
      joints.push(reached[plan.lower[i]]);
      stays[plan.upper[i]] = stays[plan.lower[i]] = 1;
    }
    ends[net] = upper.length;
  }
  return {
    plan, rows, exits, stays, netBits, ends, upper, lower, bits: joints, ...ranked(plan, stays, kept),
    above: neighbours(count, lower, upper), below: neighbours(count, upper, lower),
  };
}

// The slots that stay, in order, and where each rank ends; of a part, ranks without slots are left out.
function ranked(plan, stays, part) {
  const order = Int32Array.from(plan.what.keys()).filter((slot) => stays[slot]), rankEnds = [];
  order.forEach((slot, i) => {
    const rank = plan.rank[slot];
    if (i && rank !== plan.rank[order[i - 1]]) rankEnds.push(i);
    while (!part && rankEnds.length < rank) rankEnds.push(i);
  });
  return { order, rankEnds: Int32Array.from([...rankEnds, order.length]) };
}

// For each slot the slots that it is joined to on one side, as rows.
function neighbours(count, from, to) {
  const ends = new Int32Array(count), items = new Int32Array(to.length);
  for (const slot of from) ends[slot]++;
  for (let slot = 1; slot < count; slot++) ends[slot] += ends[slot - 1];
  const next = ends.slice();
  for (let i = from.length - 1; i >= 0; i--) items[--next[from[i]]] = to[i];
  return { ends, items };
}
