// Gaussian noise, number for number numpy's `Generator(Philox(key=seed)).standard_normal(dtype=float32)`; it knows no image.

const MASK = (1n << 64n) - 1n;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
const ROUNDS = 10;

export const MAX_SEED = (1n << 63n) - 1n;

// One block of Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): 4 × 64 bits.
export function philox(counter, key) {
  let [a, b, c, d] = counter;
  let [first, second] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [low, high] = [MULTIPLIERS[0] * a, MULTIPLIERS[1] * c];
    [a, b, c, d] = [(high >> 64n) ^ b ^ first, high & MASK, (low >> 64n) ^ d ^ second, low & MASK];
    [first, second] = [(first + WEYL[0]) & MASK, (second + WEYL[1]) & MASK];
  }
  return [a, b, c, d];
}

// 32 random bits at a time: the low half of every 64, then the high one.
class Bits {
  constructor(seed) {
    this.key = [seed & MASK, seed >> 64n];
    this.counter = 0n; // of blocks; 2^64 of them are more than any picture takes
    this.halves = new Uint32Array(8);
    this.place = 8;
  }

  next() {
    if (this.place === 8) {
      this.counter += 1n;
      for (const [place, word] of philox([this.counter, 0n, 0n, 0n], this.key).entries()) {
        this.halves[2 * place] = Number(word & 0xffffffffn);
        this.halves[2 * place + 1] = Number(word >> 32n);
      }
      this.place = 0;
    }
    return this.halves[this.place++];
  }

  // In [0, 1), with the 24 bits of a float32.
  uniform() {
    return (this.next() >>> 8) / 16777216;
  }
}

// The ziggurat of 256 layers (Marsaglia & Tsang 2000): edges x, heights f, and of every layer the part that needs no test.
const EDGE = 3.6541528853610088; // where the tail begins
const AREA = 0.004928673233974655; // of every layer
const RANGE = 2 ** 23;
const { widths, heights, inside } = layers();

function layers() {
  const height = (x) => Math.exp(-0.5 * x * x);
  const edges = new Float64Array(257);
  edges[256] = AREA / height(EDGE);
  edges[255] = EDGE;
  for (let layer = 254; layer > 0; layer--) {
    edges[layer] = Math.sqrt(-2 * Math.log(AREA / edges[layer + 1] + height(edges[layer + 1])));
  }
  const widths = new Float32Array(256).map((_, layer) => edges[layer || 256] / RANGE);
  const heights = new Float32Array(256).map((_, layer) => height(edges[layer]));
  const inside = new Uint32Array(256).map((_, layer) => (edges[layer ? layer - 1 : 255] / edges[layer || 256]) * RANGE);
  return { widths, heights, inside };
}

// The same three tables that numpy holds as constants; every float32 sum is rounded where C rounds it.
const round = Math.fround;
const TAIL = round(EDGE);
const TAIL_INVERSE = round(0.27366123732975828);

function tail(bits, distance) {
  for (;;) {
    const x = round(-TAIL_INVERSE * round(Math.log1p(-bits.uniform())));
    const y = round(-round(Math.log1p(-bits.uniform())));
    if (round(y + y) > round(x * x)) return (distance >>> 8) & 1 ? -round(TAIL + x) : round(TAIL + x);
  }
}

function normal(bits) {
  for (;;) {
    const random = bits.next();
    const layer = random & 0xff;
    const distance = (random >>> 9) & 0x7fffff;
    const size = round(distance * widths[layer]);
    const x = (random >>> 8) & 1 ? -size : size;
    if (distance < inside[layer]) return x;
    if (layer === 0) return tail(bits, distance);
    const step = round(round(heights[layer - 1] - heights[layer]) * bits.uniform());
    if (round(step + heights[layer]) < Math.exp(-0.5 * x * x)) return x;
  }
}

// `count` numbers of the stream of a seed (a BigInt from 0 to MAX_SEED), as Float32Array.
export function gaussian(seed, count) {
  const bits = new Bits(seed);
  const numbers = new Float32Array(count);
  for (let place = 0; place < count; place++) numbers[place] = normal(bits);
  return numbers;
}

// One of the numbers 0 to `count` − 1 by a seed, from a stream beside that of its noise.
export function chosen(seed, count) {
  return Number(philox([1n, 0n, 0n, 0n], [seed & MASK, 1n])[0] % BigInt(count));
}
