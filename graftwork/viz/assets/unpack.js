// Reading the data of a picture: base64, deflate, columns of numbers. See pack.py.

export async function inflate(text) {
  const stream = new Blob([bytesOf(atob(text))]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function unpack(text) {
  const bytes = await inflate(text);
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const columns = {};
  let at = 4 + size;
  for (const [name, length, kind] of head.columns) {
    columns[name] = { i: integers, f: floats, b: plain }[kind](bytes, at, length);
    at += (kind === "b" ? 1 : 4) * length;
  }
  return { facts: head.facts, columns };
}

function bytesOf(letters) {
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function plain(bytes, at, length) {
  return bytes.subarray(at, at + length);
}

function integers(bytes, at, length) {
  const column = new Int32Array(length);
  let sum = 0;
  for (let i = 0; i < length; i++) {
    sum += wordAt(bytes, at + i, length);
    column[i] = sum;
  }
  return column;
}

function floats(bytes, at, length) {
  const words = new Int32Array(length);
  for (let i = 0; i < length; i++) words[i] = wordAt(bytes, at + i, length);
  return new Float32Array(words.buffer);
}

// The four bytes of a word stand `length` apart.
function wordAt(bytes, a, length) {
  return bytes[a] | (bytes[a + length] << 8) | (bytes[a + 2 * length] << 16) | (bytes[a + 3 * length] << 24);
}
