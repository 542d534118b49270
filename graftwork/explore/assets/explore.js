// The page of the explorer: a model, a prompt, edits, and what comes of them.

import { ask } from "./ask.js";
import { listenToCopy, showAnswer } from "./answer.js";
import { makeEditor, pick, takeSites } from "./edit.js";
import { byId } from "./parts.js";
import { makeFrame, showPicture, showWords, takePictures, tell } from "./picture.js";

const state = { model: "", at: -1, busy: 0 };
const editor = makeEditor(run, (selection) => tell(shown, selection));
const shown = makeFrame(draw, (selection) => pick(editor, selection));

// Does something slow, and says what went wrong.
async function trying(doing) {
  const trouble = byId("trouble");
  document.body.setAttribute("aria-busy", String(++state.busy > 0));
  try {
    await doing();
    trouble.hidden = true;
  } catch (error) {
    trouble.textContent = error instanceof Error ? error.message : String(error);
    trouble.hidden = false;
  }
  document.body.setAttribute("aria-busy", String(--state.busy > 0));
}

function question(more) {
  const edits = byId("edited").checked ? editor.edits : [];
  return { model: state.model, prompt: byId("prompt").value, edits, ...more };
}

function open() {
  return trying(async () => {
    showWords(shown, "The model is being loaded and converted …");
    const model = await ask("/model", { model: byId("model").value.trim() });
    if (!model) return;
    state.model = model.model;
    takeSites(editor, model.sites);
    takePictures(shown, model.pictures);
    byId("facts").textContent = `${model.nodes.toLocaleString("en")} ops, ${model.sites.length} sites`;
    byId("prompt").placeholder = model.text ? "Some text" : "Token ids, such as 5 17 3: there is no tokenizer";
    byId("prompt").disabled = byId("run").disabled = false;
    await (byId("prompt").value ? answer() : drawn());
  });
}

function run() {
  return trying(answer);
}

function draw() {
  showWords(shown, "The picture is being drawn …");
  return trying(drawn);
}

async function answer() {
  if (!byId("prompt").value) return drawn();
  const edited = editor.edits.length > 0;
  const found = await ask("/run", { ...question({ at: state.at }), edits: editor.edits });
  if (!found) return;
  state.at = found.at;
  showAnswer(found, edited, (at) => {
    state.at = at;
    run();
  });
  await drawn();
}

async function drawn() {
  try {
    const found = await ask("/picture", question({ picture: shown.kind }));
    if (found) showPicture(shown, found);
  } catch (error) {
    showWords(shown, "There is no such picture.");
    throw error;
  }
}

byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  open();
});
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  state.at = -1;
  run();
});
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
byId("edited").addEventListener("change", draw);
listenToCopy();
if (byId("model").value) open();
