// Saving a picture as it looks, as SVG or PNG.

import { button, contextOf, element } from "./dom.js";
import { onKeys, say } from "./page.js";

const SHARPNESS = 2;

// Adds the button and the key; `still` is the picture of a kind that draws none itself.
export function offerSaving(page, root, still) {
  const title = root.getAttribute("aria-label");
  const svg = () => page.drawings.get(root)?.() ?? stillSvg(still);
  const save = (kind) => async () => {
    dialog.close();
    const name = `${fileName(title)}.${kind}`;
    const text = svg();
    download(kind === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await pngOf(text), name);
    say(page, `Saved ${name}`);
  };
  const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "saving", "aria-label": "Save the picture" },
    element("h3", {}, "Save the picture"),
    element("div", { class: "tools" }, button("SVG", "Save as SVG", save("svg")), button("PNG", "Save as PNG", save("png")), button("Cancel", "Cancel", () => dialog.close()))));
  const open = () => dialog.showModal();
  root.querySelector(".bar")?.append(button("⤓", "Save the picture (e)", open, { class: "icon" }));
  root.append(dialog);
  onKeys(root, (event) => (event.key === "e" ? open : null));
}

function fileName(title) {
  return title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "picture";
}

// The SVG in the address of an image.
function stillSvg(address) {
  return decodeURIComponent(address.slice(address.indexOf(",") + 1));
}

async function pngOf(svg) {
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })), image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * SHARPNESS;
  canvas.height = image.naturalHeight * SHARPNESS;
  contextOf(canvas).drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

function download(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
