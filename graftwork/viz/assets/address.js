// What a reader would send to a colleague, as the part of an address behind its `#`. Of several
// pictures on a page, each has its number before its words. A sandboxed page has no address of its own.

const LONGEST = 4000, SOON = 100;

function hasAddress() {
  return location.protocol !== "about:";
}

function prefixOf(root) {
  return document.body.classList.contains("alone") ? "" : `${[...document.querySelectorAll(".view")].indexOf(root)}.`;
}

// Words by name, of which those that say nothing are left out.
export function remember(root, words) {
  if (!hasAddress()) return;
  const own = prefixOf(root), others = [...new URLSearchParams(location.hash.slice(1))].filter(([name]) => own && !name.startsWith(own));
  const told = Object.entries(words).filter(([, word]) => ![null, undefined, false, ""].includes(word)).map(([name, word]) => [own + name, String(word)]);
  const text = new URLSearchParams([...others, ...told]).toString();
  if (text.length < LONGEST) history.replaceState(null, "", `#${text}`);
}

// Keeps the address at what `tell` gives, whatever the reader does.
export function keepAddress(root, tell) {
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => remember(root, tell()), SOON);
  };
  for (const type of ["click", "keyup", "input"]) document.addEventListener(type, soon, true);
}

// What the address says: words by name, whole numbers below a limit (else -1), and lists of them.
export function recalled(root) {
  const own = prefixOf(root);
  const words = new URLSearchParams(hasAddress() ? location.hash.slice(1) : "");
  const below = (word, limit) => (/^\d+$/.test(word) && Number(word) < limit ? Number(word) : -1);
  return {
    word: (name) => words.get(own + name) ?? "",
    number: (name, limit) => below(words.get(own + name) ?? "", limit),
    numbers: (name, limit) => (words.get(own + name) ?? "").split(".").map((word) => below(word, limit)),
  };
}
