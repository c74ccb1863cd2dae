// stdin: seeds and a count → stdout: float32 of each seed, one after the other; of `choose` the choices among `count` as JSON.
import { readFileSync } from "node:fs";
import { chosen, gaussian } from "../../../export/site/noise.js";

const { seeds, count, choose } = JSON.parse(readFileSync(0, "utf8"));
if (choose) process.stdout.write(JSON.stringify(seeds.map((seed) => chosen(BigInt(seed), count))));
else for (const seed of seeds) process.stdout.write(new Uint8Array(gaussian(BigInt(seed), count).buffer));
