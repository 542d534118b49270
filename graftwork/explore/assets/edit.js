// The form that makes an edit, and the list of those that are made.

import { button, element, fill } from "./dom.js";
import { byId } from "./parts.js";

const MEANINGS = {
  Ablate: "Zeros stand there instead.",
  Scale: "What is there, times the factor.",
  Patch: "What another prompt of as many tokens has there stands there instead.",
  Steer: "The factor times what another prompt of as many tokens has there is added.",
};

// `changed(edits)` hears of every change of the list, and `chosen(site)` which site is typed.
export function makeEditor(changed, chosen) {
  const form = byId("edit"), site = byId("site");
  const editor = { form, site, sites: new Map(), edits: [], fields: new Map(), changed };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add(editor);
  });
  form.addEventListener("change", () => refresh(editor));
  site.addEventListener("change", () => {
    showAxes(editor, {});
    if (editor.sites.has(site.value)) chosen({ site: site.value });
  });
  refresh(editor);
  return editor;
}

// Takes the sites of another model: [path, { role: size }].
export function takeSites(editor, sites) {
  editor.sites = new Map(sites);
  editor.edits = [];
  fill(byId("sites"), sites.map(([path]) => element("option", { value: path })));
  for (const part of editor.form.querySelectorAll("input, fieldset, button")) part.disabled = false;
  pick(editor, { site: "" });
  list(editor);
}

// Takes what a picture selected: a site, positions along its axes, or both.
export function pick(editor, { site = editor.site.value, ...positions }) {
  editor.site.value = site;
  showAxes(editor, positions);
}

function showAxes(editor, positions) {
  const sizes = Object.entries(editor.sites.get(editor.site.value) ?? {}).filter(([role]) => role !== "batch");
  editor.fields = new Map(sizes.map(([role, size]) => [role, element("input", {
    placeholder: typeof size === "number" ? `all ${size}` : "all", value: positions[role], autocomplete: "off",
  })]));
  fill(byId("where"), [...editor.fields].map(([role, input]) => element("label", {}, role, input)));
}

function actionOf(editor) {
  return editor.form.elements.action.value;
}

function refresh(editor) {
  const action = actionOf(editor);
  byId("factor-field").hidden = action !== "Scale" && action !== "Steer";
  byId("other-field").hidden = action !== "Patch" && action !== "Steer";
  fill(byId("meaning"), MEANINGS[action]);
}

function add(editor) {
  const action = actionOf(editor), edit = { action, site: editor.site.value.trim(), where: {} };
  if (!edit.site) return editor.site.focus();
  for (const [role, input] of editor.fields) if (input.value.trim()) edit.where[role] = input.value.trim();
  if (action === "Scale" || action === "Steer") edit.factor = byId("factor").value;
  if (action === "Patch" || action === "Steer") edit.prompt = byId("other").value;
  change(editor, [...editor.edits, edit]);
}

function change(editor, edits) {
  editor.edits = edits;
  list(editor);
  editor.changed(edits);
}

function list(editor) {
  const remove = (i) => {
    change(editor, editor.edits.filter((_, j) => j !== i));
    (byId("recipe").querySelector("button") ?? byId("add")).focus();
  };
  fill(byId("recipe"), editor.edits.map((edit, i) => element("li", {},
    element("span", { class: "step" }, wordsOf(edit)),
    button("×", `Remove: ${wordsOf(edit)}`, () => remove(i), { class: "close" }))));
}

function wordsOf({ action, site, where, factor, prompt }) {
  const positions = Object.entries(where).map(([role, text]) => `${role} ${text}`);
  return [action, factor && `×${factor}`, site, positions.join(", "), prompt && `from “${prompt}”`]
    .filter(Boolean).join(" ");
}
