// The picture of an array by two of its axes: sliders or small grids for the others, and a card
// with the number and the code of the cell that is picked.

import { button, copyText, element, fill } from "./dom.js";
import { makeMatrix, markCell, refreshMatrix, tableOf } from "./matrix.js";
import { makeBar, onSelection, say, show, tellSelection, views } from "./page.js";
import { makeColourBar, makeScale, written } from "./scales.js";

const MOST_FACETS = 12, MOST_ROWS_OF_TABLE = 4000;

views.set("heatmap", (root, facts, columns, page) => {
  const axes = facts.axes.map(([name, quoted, labels]) => ({ name, quoted, labels, extent: labels.length }));
  strides(axes);
  const view = {
    root, page, facts, axes, numbers: columns.numbers, edit: columns.edit, site: columns.site,
    scale: makeScale(facts.scale), at: axes.map(() => 0), rows: facts.rows, columns: facts.columns, facet: -1, picked: null,
  };
  view.facet = axes.findIndex((axis, i) => i !== view.rows && i !== view.columns && axis.extent > 1 && axis.extent <= MOST_FACETS);
  view.controls = element("div", { class: "controls" });
  view.body = element("div", { class: "content" });
  view.card = element("aside", { class: "card", "aria-label": "The cell that is picked" });
  const table = button("Table", "Show the numbers as a table", () => showTable(view), { "aria-pressed": "false" });
  view.tableButton = table;
  show(root, makeBar(page, facts.title, makeColourBar(page, view.scale), element("div", { class: "tools" }, table)), view.controls, view.body);
  rebuild(view);
  onSelection(page, root, (selection) => hearSelection(view, selection));
});

function strides(axes) {
  let stride = 1;
  for (const axis of [...axes].reverse()) {
    axis.stride = stride;
    stride *= axis.extent;
  }
}

// --- parts

function rebuild(view) {
  const { axes } = view, facet = axes[view.facet];
  view.matrices = (facet ? facet.labels : [null]).map((_, i) => makeMatrix(view.page, gridOf(view, i)));
  const grids = facet
    ? element("div", { class: "grids" }, view.matrices.map((matrix, i) => element("div", { class: "facet" },
        element("h3", {}, `${facet.name} = ${facet.labels[i]}`), matrix.root)))
    : view.matrices[0].root;
  fill(view.controls, controlsOf(view));
  view.controls.hidden = !view.controls.childElementCount;
  fill(view.body, grids, view.card);
  view.tableButton.setAttribute("aria-pressed", "false");
  refreshCard(view);
}

function gridOf(view, facet) {
  const { axes } = view, row = axes[view.rows], column = axes[view.columns] ?? { name: "", labels: [""], stride: 0, extent: 1 };
  const index = (i, j) => baseOf(view, facet) + i * row.stride + j * column.stride;
  return {
    label: view.facts.title, rows: row, columns: column, scale: view.scale, square: false,
    value: (i, j) => view.numbers[index(i, j)],
    describe: (i, j) => describe(view, index(i, j)),
    pick: (i, j) => pick(view, index(i, j)),
  };
}

// Where the numbers of one grid begin.
function baseOf(view, facet) {
  let base = 0;
  view.axes.forEach((axis, i) => {
    if (i === view.facet) base += facet * axis.stride;
    else if (i !== view.rows && i !== view.columns) base += view.at[i] * axis.stride;
  });
  return base;
}

function controlsOf(view) {
  const { axes } = view, controls = [];
  if (axes.length > 2) {
    controls.push(chooser(view, "Rows", "rows"), chooser(view, "Columns", "columns"), chooser(view, "Side by side", "facet"));
  }
  axes.forEach((axis, i) => {
    if (axis.extent > 1 && ![view.rows, view.columns, view.facet].includes(i)) controls.push(slider(view, axis, i));
  });
  return controls;
}

function chooser(view, label, role) {
  const choice = element("select", { onchange: () => choose(view, role, Number(choice.value)) },
    role === "facet" ? element("option", { value: -1 }, "nothing") : null,
    view.axes.map((axis, i) => element("option", { value: i, selected: view[role] === i, disabled: role === "facet" && axis.extent > MOST_FACETS }, axis.name)));
  return element("label", {}, label, choice);
}

// An axis has one role: whoever had it takes what this role had.
function choose(view, role, axis) {
  for (const other of ["rows", "columns", "facet"]) if (other !== role && view[other] === axis && axis >= 0) view[other] = other === "facet" ? -1 : view[role];
  view[role] = axis;
  rebuild(view);
}

function slider(view, axis, i) {
  const output = element("output", {}, axis.labels[view.at[i]]);
  const range = element("input", {
    type: "range", min: 0, max: axis.extent - 1, value: view.at[i], "aria-label": axis.name,
    oninput: () => {
      view.at[i] = Number(range.value);
      output.textContent = axis.labels[view.at[i]];
      range.setAttribute("aria-valuetext", axis.labels[view.at[i]]);
      for (const matrix of view.matrices) refreshMatrix(matrix);
    },
  });
  return element("label", {}, axis.name, range, output);
}

function showTable(view) {
  const shown = view.tableButton.getAttribute("aria-pressed") === "true";
  if (shown) return rebuild(view);
  const grids = view.matrices.map((matrix) => matrix.grid).filter((grid) => grid.rows.extent * grid.columns.extent <= MOST_ROWS_OF_TABLE);
  view.tableButton.setAttribute("aria-pressed", "true");
  fill(view.body, element("div", { class: "numbers-frame", tabindex: "0", role: "region", "aria-label": "Numbers" },
    grids.length ? grids.map(tableOf) : element("p", {}, "There are too many numbers for a table.")), view.card);
}

// --- cells

function placeOf(view, index) {
  return view.axes.map((axis) => Math.floor(index / axis.stride) % axis.extent);
}

function describe(view, index) {
  const words = placeOf(view, index).map((at, i) => `${view.axes[i].name} ${view.axes[i].labels[at]}`);
  return `${words.join(", ")}: ${written(view.numbers[index])}`;
}

function pick(view, index) {
  view.picked = index;
  refreshCard(view);
  const selection = {};
  placeOf(view, index).forEach((at, i) => { selection[view.axes[i].name] = at; });
  const site = view.facts.strings[view.site[editOf(view, index)] ?? 0];
  tellSelection(view.page, view.root, site ? { ...selection, site } : selection);
}

// Which edit made a number: what is swept comes first, so the rest of the axes do not count.
function editOf(view, index) {
  return view.edit.length ? Math.floor(index / (view.numbers.length / view.edit.length)) : -1;
}

function refreshCard(view) {
  const { card, picked, facts } = view;
  if (picked === null) {
    const plain = facts.plain === null ? null : element("p", { class: "soft" }, `Without any edit: ${written(facts.plain)}`);
    return fill(card, element("h3", {}, "No cell is picked"), element("p", { class: "soft" }, "Click a cell, or move with the arrow keys and press Enter."), plain);
  }
  const place = placeOf(view, picked);
  const rows = place.map((at, i) => [view.axes[i].name, view.axes[i].labels[at]]);
  rows.push(["value", written(view.numbers[picked])]);
  if (facts.plain !== null) rows.push(["without edit", written(facts.plain)], ["change", written(view.numbers[picked] - facts.plain)]);
  const code = codeOf(view, place);
  fill(card, element("h3", {}, written(view.numbers[picked])),
    element("dl", {}, rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])),
    element("div", { class: "finder" }, element("code", { class: "expression" }, code),
      button("Copy", "Copy the code", async () => say(view.page, (await copyText(code)) ? "Copied" : "The browser refused to copy"), { class: "copy" })));
}

function codeOf(view, place) {
  const edit = view.edit[editOf(view, view.picked)];
  if (edit) return view.facts.strings[edit];
  return `values[{${place.map((at, i) => `${view.axes[i].quoted}: ${at}`).join(", ")}}]`;
}

// What another picture selected, as far as these axes go.
function hearSelection(view, selection) {
  const place = view.axes.map((axis, i) => (axis.name in selection ? selection[axis.name] : view.at[i]));
  const found = (i) => i >= 0 && view.axes[i].name in selection && selection[view.axes[i].name] < view.axes[i].extent;
  if (!found(view.rows) && !found(view.columns)) return;
  const matrix = view.matrices[view.facet >= 0 ? place[view.facet] : 0];
  if (matrix) markCell(matrix, place[view.rows], view.columns < 0 ? 0 : place[view.columns]);
}
