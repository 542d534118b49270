// The numbers of an array as the page holds them. See stored.py.

const NAN = 1, FALLING = 2, RISING = 3, FIRST = 4, CODES = 251;

// The elements of array `number`, from the columns of the page; `scale` has the ends of the codes.
export function numbersOf(columns, number, scale) {
  const codes = columns[`codes${number}`], numbers = columns[`numbers${number}`];
  if (!codes) return numbers;
  const step = (scale.high - scale.low) / CODES || 1, values = new Float32Array(256);
  for (let code = FIRST; code < 256; code++) values[code] = scale.low + (code - FIRST) * step;
  values[NAN] = NaN;
  values[FALLING] = -Infinity;
  values[RISING] = Infinity;
  const all = new Float32Array(codes.length), apart = columns[`apart${number}`];
  for (let i = 0; i < codes.length; i++) all[i] = values[codes[i]];
  for (let i = 0; i < apart.length; i++) all[apart[i]] = numbers[i];
  return all;
}

// An array with its axes, positions named and counted in steps of the whole.
export function makeArray(facts, numbers) {
  const axes = facts.axes.map(([name, quoted, whole, block, labels]) => {
    const extent = Math.ceil(whole / block), word = (at) => labels?.[at] ?? String(at);
    const range = (i) => (block === 1 ? word(i) : `${word(i * block)}–${Math.min((i + 1) * block, whole) - 1}`);
    return { name, quoted, whole, block, extent, range, labels: Array.from({ length: extent }, (_, i) => word(i * block)) };
  });
  let stride = 1;
  for (const axis of [...axes].reverse()) {
    axis.stride = stride;
    stride *= axis.extent;
  }
  return { ...facts, axes, numbers, pooled: axes.some((axis) => axis.block > 1) };
}

// Where an element is: a position on each axis, counted in blocks.
export function placeOf(array, index) {
  return array.axes.map((axis) => Math.floor(index / axis.stride) % axis.extent);
}

export function indexOf(array, place) {
  return place.reduce((index, at, i) => index + at * array.axes[i].stride, 0);
}

// The block that holds an element of the whole array, from its flat position there.
export function placeOfWhole(array, flat) {
  const place = [];
  for (const axis of [...array.axes].reverse()) {
    place.unshift(Math.floor((flat % axis.whole) / axis.block));
    flat = Math.floor(flat / axis.whole);
  }
  return place;
}

// The Python that gives an element, or the block that was pooled.
export function codeOf(array, place) {
  const words = array.axes.map((axis, i) => {
    const first = place[i] * axis.block;
    return `${axis.quoted}: ${axis.block === 1 ? first : `slice(${first}, ${Math.min(first + axis.block, axis.whole)})`}`;
  });
  return `${array.code}[{${words.join(", ")}}]`;
}
