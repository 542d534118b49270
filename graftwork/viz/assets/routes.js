// Which nodes of a flow lead to its root, above a threshold. See routes.py, which does the same.

export const STAY = "stay";
export const MLP = "mlp";
export const MOVE = "move";

export function makeFlow(facts, columns) {
  const steps = facts.streams.length - 1, count = facts.words.length;
  const flow = { ...facts, ...columns, steps, count, firsts: firstsOf(columns, steps, count) };
  flow.writers = new Map();
  for (let i = 0; i < columns.writer0.length; i++) flow.writers.set(`${columns.writer0[i]} ${columns.writer1[i]} ${columns.writer2[i]}`, i);
  flow.neuronRows = new Map(Array.from(columns.neuronStep, (step, i) => [step, i]));
  flow.neurons = columns.neuron.length / (columns.neuronStep.length * count) || 0;
  return flow;
}

// Where the moves of each sum and query begin; they are sorted.
function firstsOf({ step, query }, steps, count) {
  const firsts = new Int32Array(steps * count + 1).fill(-1);
  for (let i = step.length - 1; i >= 0; i--) firsts[step[i] * count + query[i]] = i;
  firsts[steps * count] = step.length;
  for (let i = steps * count - 1; i >= 0; i--) if (firsts[i] < 0) firsts[i] = firsts[i + 1];
  return firsts;
}

// The parts of one node: [{ kind, from, weight, heads }], those above the threshold, of sum 1.
export function partsOf(flow, level, at, threshold) {
  if (level === 0) return [];
  const step = level - 1, cell = step * flow.count + at, parts = [], moves = new Map();
  let total = 0;
  const add = (part) => { total += part.weight; parts.push(part); };
  if (flow.stays[cell] > threshold) add({ kind: STAY, from: at, weight: flow.stays[cell] });
  if (flow.added[cell] > threshold) add({ kind: MLP, from: at, weight: flow.added[cell] });
  for (let i = flow.firsts[cell]; i < flow.firsts[cell + 1]; i++) {
    if (flow.shares[i] <= threshold) continue;
    const from = flow.key[i];
    if (!moves.has(from)) moves.set(from, { kind: MOVE, from, weight: 0, heads: [] });
    const move = moves.get(from);
    move.weight += flow.shares[i];
    move.heads.push({ head: flow.head[i], weight: flow.shares[i] });
    total += flow.shares[i];
  }
  parts.push(...moves.values());
  for (const part of parts) {
    part.weight /= total;
    for (const head of part.heads ?? []) head.weight /= total;
  }
  return parts;
}

// Level by level from the last stream down: position -> the parts of the node there.
export function routesTo(flow, root, threshold) {
  const levels = Array.from({ length: flow.steps + 1 }, () => new Map());
  levels[flow.steps].set(root, null);
  let edges = 0;
  for (let level = flow.steps; level >= 0; level--) {
    for (const at of levels[level].keys()) {
      const parts = partsOf(flow, level, at, threshold);
      levels[level].set(at, parts);
      edges += parts.length;
      for (const { from } of parts) if (!levels[level - 1].has(from)) levels[level - 1].set(from, null);
    }
  }
  return { root, levels, edges };
}
