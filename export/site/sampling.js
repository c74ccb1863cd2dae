// The student's k-step sampler and pixels as bytes, in float32 as numpy computes them; it knows no network.
// Shapes: `C` channels, `h w` latent, `H W` pixels; arrays are flat.

const round = Math.fround;

// The student's timesteps from `strength` (above 0, up to 1: all the way to noise) down: as many as `steps`, or as are left.
export function studentTimesteps(every, steps, strength = 1) {
  const left = Math.max(1, Math.floor(strength * every.length + 0.5));
  const count = Math.min(steps, left);
  return Array.from({ length: count }, (_, place) => every[every.length - left + Math.floor((place * left) / count)]);
}

// `x_t = α·x0 + σ·ε` of arrays (C, h, w).
export function addNoise(x0, noise, { alpha, sigma }) {
  const [a, s] = [round(alpha), round(sigma)];
  return x0.map((value, place) => round(value * a) + round(noise[place] * s));
}

// The clean sample (C, h, w) that a model output stands for.
export function toX0(sample, output, { alpha, sigma }, prediction) {
  const [a, s] = [round(alpha), round(sigma)];
  if (prediction === "v_prediction") return sample.map((value, place) => round(value * a) - round(output[place] * s));
  if (prediction === "epsilon") return sample.map((value, place) => round(value - round(output[place] * s)) / a);
  return output;
}

// Predict x0, re-noise to the next timestep, repeat (arXiv 2311.17042, section 3). `noises` holds one (C, h, w) a timestep, the
// first is the start; `denoise` takes a sample and a timestep's number. Returns x0 (C, h, w).
export async function studentLoop(denoise, noises, timesteps, prediction) {
  let x0 = null;
  for (const [place, timestep] of timesteps.entries()) {
    const sample = x0 ? addNoise(x0, noises[place], timestep) : noises[0];
    x0 = toX0(sample, await denoise(sample, timestep.number), timestep, prediction);
  }
  return x0;
}

// (3, H, W) in [−1, 1] → bytes (H, W, 3), rounded to the nearest, halves to even.
export function toBytes(planes) {
  const pixels = planes.length / 3;
  const bytes = new Uint8Array(planes.length);
  for (let place = 0; place < planes.length; place++) {
    const value = round(round(Math.min(1, Math.max(-1, planes[place])) + 1) * 127.5);
    const down = Math.floor(value);
    const up = value - down > 0.5 || (value - down === 0.5 && down % 2 === 1);
    bytes[(place % pixels) * 3 + Math.floor(place / pixels)] = down + Number(up);
  }
  return bytes;
}

// Bytes (H, W, 3) → (3, H, W) in [−1, 1].
export function fromBytes(bytes) {
  const pixels = bytes.length / 3;
  const planes = new Float32Array(bytes.length);
  for (let place = 0; place < bytes.length; place++) {
    planes[(place % 3) * pixels + Math.floor(place / 3)] = round(bytes[place] / 127.5) - 1;
  }
  return planes;
}
