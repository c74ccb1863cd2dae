// stdin: seeds and a count → stdout: float32 of each seed, one after the other.
import { readFileSync } from "node:fs";
import { gaussian } from "../../../export/site/noise.js";

const { seeds, count } = JSON.parse(readFileSync(0, "utf8"));
for (const seed of seeds) process.stdout.write(new Uint8Array(gaussian(BigInt(seed), count).buffer));
