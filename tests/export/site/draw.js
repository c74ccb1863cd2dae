// stdin: arrays and a schedule → stdout: what the page's sampler makes of them, with a denoiser that halves; and pixels.
import { readFileSync } from "node:fs";
import { fromBytes, studentLoop, studentTimesteps, toBytes } from "../../../export/site/sampling.js";

const { noises, every, prediction, strengths, planes, bytes } = JSON.parse(readFileSync(0, "utf8"));
const timesteps = studentTimesteps(every, noises.length);
const halved = (sample) => sample.map((value) => value / 2);
const x0 = await studentLoop(halved, noises.map((noise) => Float32Array.from(noise)), timesteps, prediction);
const walks = strengths.map(([steps, strength]) => studentTimesteps(every, steps, strength).map(({ number }) => number));
const pixels = [...toBytes(Float32Array.from(planes))];
process.stdout.write(JSON.stringify({ x0: [...x0], walks, pixels, planes: [...fromBytes(Uint8Array.from(bytes))] }));
