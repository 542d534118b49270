// Making elements: text is always text, and attributes are set by name.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

export function button(label, title, press, attributes = {}) {
  return element("button", { type: "button", title, "aria-label": title, onclick: press, ...attributes }, label);
}

// What paints on a canvas; every browser has it.
/** @param {HTMLCanvasElement} canvas */
export function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

// Fills a canvas: `paint` sets its pixels, row after row; 0 is nothing.
export function putPixels(canvas, paint) {
  const context = contextOf(canvas), image = context.createImageData(canvas.width, canvas.height);
  paint(new Uint32Array(image.data.buffer));
  context.putImageData(image, 0, 0);
}

// A colour as a pixel; every machine that shows pages has the least byte of a word first.
/** @param {Iterable<number>} rgb */
export function pixelOf(rgb) {
  const [red, green, blue] = rgb;
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
