// How dagre and d3-dag, which knows dagre's calls, lay out a fixed corpus of groups: `npm ci`, and
// then `node oracle.mjs > oracle.json`. Every box is 100 by 40; gaps are those of
// `graftwork.viz.place`; all else is as it is by default.

import dagre from "@dagrejs/dagre";
import { dagre as d3dag } from "d3-dag";

const BOX = { width: 100, height: 40 };

// The same numbers every time.
function randomFrom(seed) {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const MAKERS = {
  // A chain with skips over one to six boxes.
  deep(count, random) {
    const edges = [];
    for (let i = 1; i < count; i++) {
      edges.push([i - 1, i]);
      const back = 2 + random(6);
      if (random(4) === 0 && i >= back) edges.push([i - back, i]);
    }
    return edges;
  },
  // Layers of three to six boxes that each read one to three of the layer above.
  wide(count, random) {
    const edges = [];
    let above = [], layer = [];
    for (let i = 0; i < count; i++) {
      if (layer.length >= 3 + random(4)) [above, layer] = [layer, []];
      const wanted = above.length ? 1 + random(3) : 0;
      for (const source of new Set(Array.from({ length: wanted }, () => above[random(above.length)]))) {
        if (edges.filter(([from]) => from === source).length < 4) edges.push([source, i]);
      }
      layer.push(i);
    }
    return edges;
  },
  // Attention and an MLP between residual additions, again and again.
  blocks(count, random) {
    const edges = [];
    let x = 0, next = 1;
    const add = (...reads) => {
      for (const source of reads) edges.push([source, next]);
      return next++;
    };
    while (next + 9 < count) {
      const norm = add(x), [q, k, v] = [add(norm), add(norm), add(norm)];
      x = add(x, add(add(random(2) ? add(q, k) : q, k, v)));
      x = add(x, add(add(x)));
    }
    while (next < count) x = add(x);
    return edges;
  },
};

function layout({ graphlib, layout }, count, edges) {
  const graph = new graphlib.Graph();
  graph.setGraph({ nodesep: 28, edgesep: 14, ranksep: 58 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (let i = 0; i < count; i++) graph.setNode(String(i), { ...BOX });
  for (const [from, to] of edges) graph.setEdge(String(from), String(to));
  layout(graph);
  const paths = graph.edges().map((edge) => {
    const [start, end] = [graph.node(edge.v), graph.node(edge.w)];
    return { ends: [edge.v, edge.w], points: [start, ...graph.edge(edge.v, edge.w).points.slice(1, -1), end] };
  });
  return { crossings: crossingsOf(paths), width: Math.round(graph.graph().width) };
}

// Pairs of lines without a common end that cross, piece by piece.
function crossingsOf(paths) {
  let count = 0;
  for (let i = 0; i < paths.length; i++) {
    for (let j = 0; j < i; j++) {
      if (paths[i].ends.some((end) => paths[j].ends.includes(end))) continue;
      for (let a = 1; a < paths[i].points.length; a++) {
        for (let b = 1; b < paths[j].points.length; b++) {
          count += cross(paths[i].points[a - 1], paths[i].points[a], paths[j].points[b - 1], paths[j].points[b]);
        }
      }
    }
  }
  return count;
}

function cross(p, q, r, s) {
  const side = (a, b, c) => Math.sign((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x));
  return side(p, q, r) * side(p, q, s) < 0 && side(r, s, p) * side(r, s, q) < 0 ? 1 : 0;
}

const cases = [];
for (const [kind, make] of Object.entries(MAKERS)) {
  for (const count of [12, 25, 50, 100, 150, 200]) {
    const edges = make(count, randomFrom(count));
    cases.push({ name: `${kind} ${count}`, count, edges, dagre: layout(dagre, count, edges), "d3-dag": layout(d3dag, count, edges) });
  }
}
process.stdout.write(`[\n${cases.map((one) => JSON.stringify(one)).join(",\n")}\n]\n`);
