// stdin: a site's description and a request → stdout: the PNG that the page would offer.
import { readFileSync } from "node:fs";
import { png } from "../../../export/site/png.js";
import { fields, fingerprint, xmp } from "../../../export/site/provenance.js";

const { site, request, pixels } = JSON.parse(readFileSync(0, "utf8"));
const told = {};
for (const [zone, text] of Object.entries(request.files ?? {})) told[zone] = await fingerprint(new Blob([text]));
const source = fields(site, { ...request, told, seed: BigInt(request.seed) });
process.stdout.write(await png(Uint8Array.from(pixels), ...request.size, source, xmp(site, source)));
