// The model off the page's thread: the newest request is drawn first, the strip of seeds when nothing else waits; it knows no page.
import { Files } from "./files.js";
import { Generator } from "./generator.js";
import { png } from "./png.js";
import { fields, xmp } from "./provenance.js";
import { Refusal } from "./refusal.js";

const RUNTIME = {
  wasm: { module: "ort.wasm.min.js", glue: "ort-wasm-simd-threaded.js", binary: "ort-wasm-simd-threaded.wasm" },
  webgpu: {
    module: "ort.webgpu.min.js",
    glue: "ort-wasm-simd-threaded.asyncify.js",
    binary: "ort-wasm-simd-threaded.asyncify.wasm",
  },
};
// x → Identity → y: opened while the weights still come, it compiles the runtime meanwhile.
const SMALLEST = Uint8Array.from([
  8, 8, 58, 55, 10, 16, 10, 1, 120, 18, 1, 121, 34, 8, 73, 100, 101, 110, 116, 105, 116, 121, 18, 1, 103, 90, 15, 10, 1, 120, 18, 10, 10,
  8, 8, 1, 18, 4, 10, 2, 8, 1, 98, 15, 10, 1, 121, 18, 10, 10, 8, 8, 1, 18, 4, 10, 2, 8, 1, 66, 4, 10, 0, 16, 13,
]);
const BASE = new URL("./", import.meta.url);
const { port1: turn, port2: wake } = new MessageChannel();

let generator = null;
let newest = null; // what is drawn next
let strip = []; // and what after that
let said = null; // the picture of which captions are wanted
let busy = false;

onmessage = async ({ data: { kind, ...rest } }) => {
  if (kind === "open") await open(rest).catch(fail);
  else if (kind === "draw") [newest, strip, said] = [rest, [], null];
  else if (kind === "say") [newest, strip, said] = [null, [], rest];
  else strip = rest.requests;
  await work();
};

async function open({ site, provider }) {
  const files = new Files(site.files, `ippo-model ${BASE}`, BASE);
  const [come, total] = [new Map(), new Map()];
  const said = (part) => (done, all) => {
    come.set(part, done);
    total.set(part, all);
    postMessage({ kind: "progress", done: sum(come), total: sum(total) });
  };
  const weights = files.open(Generator.needed(site), said("model"));
  const [runtime] = await Promise.all([start(files, provider, said("runtime")), weights]);
  postMessage({ kind: "opening" });
  const opened = new Generator(site, files, runtime, provider);
  await opened.open();
  generator = opened;
  postMessage({ kind: "ready", refused: files.refused });
}

// onnxruntime-web, loaded and compiled.
async function start(files, provider, said) {
  const { module, glue, binary } = RUNTIME[provider];
  const [runtime, bytes] = await Promise.all([code(module), files.open([binary], said), code(glue)]);
  runtime.env.wasm.numThreads = 1; // more of them want headers that static hosts do not send
  runtime.env.wasm.wasmPaths = { mjs: new URL(`onnxruntime-web/${glue}`, BASE).href };
  runtime.env.wasm.wasmBinary = bytes.get(binary).buffer;
  files.opened.delete(binary);
  const session = await runtime.InferenceSession.create(SMALLEST, { executionProviders: [provider] });
  await session.release();
  return runtime;
}

async function code(name) {
  return import(`./onnxruntime-web/${name}`).catch(() => {
    throw new Refusal(`this site is incomplete: onnxruntime-web/${name} cannot be loaded; upload the whole folder again`);
  });
}

const sum = (parts) => [...parts.values()].reduce((so_far, part) => so_far + part, 0);

// One request after the other; between two of them the page may send a newer one.
async function work() {
  if (busy || !generator) return;
  busy = true;
  for (let first = true; newest || said || strip.length; first = false) {
    if (!first) await nextTurn();
    const asked = said;
    const request = newest ?? (asked ? null : strip.shift());
    newest = said = null;
    if (asked) await say(asked).catch((error) => fail(error, asked.number));
    else if (request) await draw(request).catch((error) => fail(error, request.number));
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
  const silent = !request.text.trim() && Object.values(request.pictures ?? {}).some(Boolean);
  const text = silent ? "" : generator.kind.parse(request.text, generator.site.control);
  const source = fields(generator.site, { ...request, text });
  const file = await png(pixels, ...request.size, source, xmp(generator.site, source));
  const { number, seed, place } = request;
  postMessage({ kind: "drawn", number, place, text, seed, file: file.buffer, took, dropped }, [file.buffer]);
}

// Captions of one picture by seeds that follow each other, each said once.
async function say({ number, seeds, ...request }) {
  const began = performance.now();
  const texts = [];
  for (const seed of seeds) texts.push((await generator.say({ ...request, seed })) || "(nothing)");
  postMessage({ kind: "said", number, texts: [...new Set(texts)], took: (performance.now() - began) / seeds.length });
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
