// The model off the page's thread: the newest request is drawn first, the strip of seeds when nothing else waits; it knows no page.
import { Files } from "./files.js";
import { Generator } from "./generator.js";
import { png } from "./png.js";
import { fields, xmp } from "./provenance.js";
import { Refusal } from "./refusal.js";

const RUNTIME = {
  wasm: { module: "ort.wasm.min.mjs", glue: "ort-wasm-simd-threaded.mjs", binary: "ort-wasm-simd-threaded.wasm" },
  webgpu: {
    module: "ort.webgpu.min.mjs",
    glue: "ort-wasm-simd-threaded.asyncify.mjs",
    binary: "ort-wasm-simd-threaded.asyncify.wasm",
  },
};
const BASE = new URL("./", import.meta.url);
const { port1: turn, port2: wake } = new MessageChannel();

let generator = null;
let newest = null; // what is drawn next
let strip = []; // and what after that
let busy = false;

onmessage = async ({ data: { kind, ...rest } }) => {
  if (kind === "open") await open(rest).catch(fail);
  else if (kind === "draw") [newest, strip] = [rest, []];
  else strip = rest.requests;
  await work();
};

async function open({ site, provider }) {
  const { module, glue, binary } = RUNTIME[provider];
  const files = new Files(site.files, `ippo-model ${BASE}`, BASE);
  const said = (done, total) => postMessage({ kind: "progress", done, total });
  const [runtime, bytes] = await Promise.all([
    import(`./onnxruntime-web/${module}`),
    files.open([binary, ...Generator.needed(site)], said),
  ]);
  runtime.env.wasm.numThreads = 1; // more of them want headers that static hosts do not send
  runtime.env.wasm.wasmPaths = { mjs: new URL(`onnxruntime-web/${glue}`, BASE).href };
  runtime.env.wasm.wasmBinary = bytes.get(binary).buffer;
  files.opened.delete(binary);
  postMessage({ kind: "opening" });
  const opened = new Generator(site, files, runtime, provider);
  await opened.open();
  generator = opened;
  postMessage({ kind: "ready", refused: files.refused });
}

// One request after the other; between two of them the page may send a newer one.
async function work() {
  if (busy || !generator) return;
  busy = true;
  for (let first = true; newest || strip.length; first = false) {
    if (!first) await nextTurn();
    const request = newest ?? strip.shift();
    newest = null;
    if (request) await draw(request).catch((error) => fail(error, request.number));
  }
  busy = false;
  if (!generator.keeping) await keep();
}

function nextTurn() {
  return new Promise((done) => {
    turn.onmessage = done;
    wake.postMessage(null);
  });
}

async function draw(request) {
  const began = performance.now();
  const { pixels, dropped } = await generator.draw(request);
  const took = performance.now() - began;
  const text = generator.kind.parse(request.text, generator.site.control);
  const source = fields(generator.site, { ...request, text });
  const file = await png(pixels, ...request.size, source, xmp(generator.site, source));
  const { number, seed, place } = request;
  postMessage({ kind: "drawn", number, place, text, seed, file: file.buffer, took, dropped }, [file.buffer]);
}

// What several steps or a start from a picture will want, so that the page does it without a connection as well.
async function keep() {
  const { files, site } = generator;
  generator.keeping = true;
  await files.keep(Generator.later(site));
  await files.prune();
  postMessage({ kind: "kept", refused: files.refused });
}

function fail(error, number = null) {
  const line = error instanceof Refusal ? error.message : `The browser gave up: ${String(error?.message ?? error).split("\n")[0]}`;
  postMessage({ kind: "failed", number, line, fatal: generator === null });
}
