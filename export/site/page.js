// The page: what is typed and chosen goes to the model's worker, whose pictures come back; it knows no model's insides.
import { control, element, pill } from "./controls.js";
import { pictureBytes } from "./picture.js";
import { Places } from "./places.js";
import { gpu, trouble } from "./requirements.js";

const SEEDS = 1000; // of the slider and the dice; any seed can be typed
const VARIATIONS = 7;
const REST = 350; // ms without a change, after which the strip is drawn
const CAPTIONS = 4; // seeds by which a picture is captioned
const LARGE = 100e6; // bytes of a model that a GPU draws with where there is one
const find = (selector) => document.querySelector(selector);

class Page {
  constructor(site) {
    this.site = site;
    this.number = 0; // of the newest request
    this.urls = new Map(); // image → its picture's
    this.files = new Map(); // image → its picture
    this.started = null; // {file, bytes}: the picture to start from
    this.lay();
    this.remembered();
  }

  // Layout: the model's own controls into the places that the page keeps for them.
  lay() {
    const { site } = this;
    find("#name").textContent = site.title;
    find("#what").textContent = `${site.verb}, and it is drawn in this browser: nothing leaves it.`;
    this.input = control(site.control, () => this.redraw());
    find("#input").replaceChildren(this.input.shown);
    find("#examples").replaceChildren(...site.suggestions.map((text) => this.example(text)), site.unsuggested);
    const change = () => this.redraw();
    find("#steps").append(...site.timesteps.map((_, place) => pill("steps", place + 1, String(place + 1), change, place === 0)));
    find("#sizes").append(...site.sizes.map((size, place) => pill("size", place, size.join("×"), () => this.resize(), place === 0)));
    find("#sizes").hidden = site.sizes.length < 2;
    find("#start").hidden = !site.graphs.encoder;
    const told = { changed: () => this.redraw(), failed: (line) => this.say(line, true), file: (image) => this.files.get(image) };
    this.places = site.pictures ? new Places(site, find("#places"), told) : null;
    const crisp = Math.min(...site.sizes.flat()) < 64; // small pictures are enlarged without being blurred
    document.body.classList.toggle("crisp", crisp);
    this.listen();
  }

  listen() {
    const [number, slider] = [find("#seed"), find("#seeds")];
    number.oninput = () => {
      slider.value = number.value;
      this.redraw();
    };
    slider.oninput = () => this.takeSeed(slider.value);
    find("#dice").onclick = () => this.takeSeed(Math.floor(Math.random() * SEEDS));
    find("#file").onchange = ({ target }) => this.startFrom(target.files[0]);
    find("#noise").onclick = () => this.startFrom(null);
    find("#strength").oninput = () => this.redraw();
  }

  example(text) {
    const take = () => {
      this.input.text = text;
      this.redraw();
    };
    return element("button", { type: "button", className: "small", onclick: take }, text);
  }

  // The address says what is drawn, so that it can be passed on.
  remembered() {
    const said = new URLSearchParams(location.hash.slice(1));
    this.input.text = said.get("draw") ?? this.site.suggestions[0] ?? this.input.text;
    const seed = said.get("seed") ?? "7";
    find("#seed").value = find("#seeds").value = seed;
    const steps = find(`#steps input[value="${Number(said.get("steps")) || 1}"]`);
    if (steps) steps.checked = true;
  }

  get request() {
    const size = this.site.sizes[Number(find("#sizes input:checked").value)];
    return {
      text: this.input.text,
      seed: /^\d+$/.test(find("#seed").value) ? BigInt(find("#seed").value) : -1n,
      steps: Number(find("#steps input:checked").value),
      size,
      image: this.started?.bytes ?? null,
      strength: Number(find("#strength").value),
    };
  }

  redraw() {
    clearTimeout(this.pause);
    const request = this.request;
    if (request.seed < 0n) return this.say("a seed is a whole number from 0", true);
    const { text, seed, steps } = request;
    history.replaceState(null, "", `#${new URLSearchParams({ draw: text, seed, steps })}`);
    const placed = this.places ? this.places.placed(request) : request;
    this.asked = { ...placed, number: ++this.number };
    if (placed.lacks) return this.say(placed.lacks);
    if (placed.column === undefined) return this.model?.postMessage({ kind: "draw", ...this.asked });
    this.places.said.textContent = "…";
    const seeds = Array.from({ length: CAPTIONS }, (_, place) => (seed + BigInt(place)) % 2n ** 63n);
    return this.model?.postMessage({ kind: "say", ...this.asked, seeds });
  }

  // Captions came.
  said({ number, texts, took }) {
    if (number !== this.number) return;
    this.places.said.textContent = texts.join(" · ");
    this.say(`said in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms each`);
  }

  takeSeed(seed) {
    find("#seed").value = find("#seeds").value = String(seed);
    this.redraw();
  }

  async startFrom(file) {
    find("#file").value = "";
    const { size } = this.request;
    try {
      this.started = file ? { file, bytes: await pictureBytes(file, size) } : null;
    } catch {
      return this.say("this file is no picture that the browser can read", true);
    }
    find("#start").classList.toggle("chosen", Boolean(file));
    if (file) this.show(find("#start img"), file);
    return this.redraw();
  }

  resize() {
    return this.started ? this.startFrom(this.started.file) : this.redraw();
  }

  // A worker and what it says; the one before it, if any, ends.
  run(provider, model = worker()) {
    this.model?.terminate();
    document.body.classList.remove("ready", "broken");
    this.model = model;
    this.model.onmessage = ({ data }) => this[data.kind](data);
    const incomplete = "this site is incomplete, or the browser is too old: upload the whole folder again";
    this.model.broke.then(() => this.failed({ line: incomplete, fatal: true }));
    this.model.postMessage({ kind: "open", site: this.site, provider });
    this.redraw();
  }

  progress({ done, total }) {
    if (document.body.classList.contains("broken")) return; // other files still come
    find("#loading progress").value = total ? done / total : 1;
    this.say(`loading the model: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`);
  }

  opening() {
    this.say("opening the model");
  }

  ready({ refused }) {
    document.body.classList.add("ready");
    this.offline = offline();
    if (refused) find("#kept").textContent = refused;
    if (this.request.seed < 0n) this.redraw(); // nothing was asked for: why is said again, above what was said of loading
  }

  async kept({ refused }) {
    const kept = (await this.offline)
      ? "Kept in this browser: it works without a connection."
      : "The model is kept in this browser; the page itself wants a connection.";
    find("#kept").textContent = refused ?? kept;
  }

  // A picture came: the one that was asked for, or one of the strip's.
  drawn({ number, place, text, seed, file, took, dropped }) {
    const picture = new Blob([file], { type: "image/png" });
    if (place !== undefined) return number === this.number && this.vary(picture, text, seed, place);
    const url = this.show(find("#picture"), picture);
    if (this.places) this.places.drawn = picture;
    find("#picture").alt = text || "picture";
    Object.assign(find("#download"), { href: url, download: `${words(text) || words(this.site.title) || "picture"}-${seed}.png` });
    document.body.classList.add("drawn");
    const cut = dropped ? `; the last ${dropped} tokens are not read` : "";
    this.say(`drawn in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms${cut}`);
    this.pause = setTimeout(() => this.follow(number), REST);
  }

  // The same request with the seeds that follow, once the typing rests; a click takes one's seed.
  follow(number) {
    if (number !== this.number) return;
    const follows = (place) => (this.request.seed + BigInt(place + 1)) % 2n ** 63n;
    const requests = Array.from({ length: VARIATIONS }, (_, place) => ({ ...this.asked, seed: follows(place), place }));
    this.model.postMessage({ kind: "strip", requests });
  }

  vary(picture, text, seed, place) {
    const strip = find("#strip");
    while (strip.children.length <= place) strip.append(element("button", { type: "button" }, element("img"), element("span")));
    const choice = strip.children[place];
    choice.querySelector("img").alt = text || "picture";
    choice.querySelector("span").textContent = `seed ${seed}`;
    choice.onclick = () => this.takeSeed(seed);
    this.show(choice.querySelector("img"), picture);
  }

  failed({ number, line, fatal }) {
    if (number && number !== this.number) return;
    document.body.classList.toggle("broken", Boolean(fatal));
    this.say(line, true);
  }

  say(line, failed = false) {
    const status = find("#status");
    status.textContent = line;
    status.classList.toggle("failed", failed);
  }

  show(image, file) {
    const old = this.urls.get(image);
    const url = URL.createObjectURL(file);
    this.urls.set(image, url);
    this.files.set(image, file);
    image.src = url;
    if (old) URL.revokeObjectURL(old);
    return url;
  }
}

// Whether the service worker keeps the page itself; where it is refused or a file is missing, the page wants a connection.
// The host, not the browser's cache, is asked for the list of files that it imports: a site that was written again is seen.
async function offline() {
  const shell = await navigator.serviceWorker?.register("service-worker.js", { updateViaCache: "none" }).catch(() => null);
  const made = shell?.installing;
  if (made) await new Promise((done) => (made.onstatechange = () => made.state !== "installing" && done()));
  return Boolean(shell?.active ?? shell?.waiting);
}

// What of a text a file's name may hold.
function words(text) {
  return text.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "");
}

// `broke`: its code could not be loaded, which may be known before anybody listens.
function worker() {
  const made = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  made.broke = new Promise((broke) => (made.onerror = broke));
  return made;
}

// From here on: what the browser has, the description of the model, and the page; the worker loads its code meanwhile.
async function start() {
  const line = trouble();
  if (line) throw new Error(line);
  find("#status").textContent = "loading the model";
  const first = worker();
  const answer = await fetch("site.json").catch(() => null);
  const site = answer?.ok ? await answer.json().catch(() => null) : null; // some hosts answer a page for what is missing
  if (!site?.files) throw new Error("this site is incomplete: site.json is missing or altered; upload the whole folder again");
  const page = new Page(site);
  await choose(page, site, first);
}

// Who runs the model: a GPU where it is large and there is one; where both can, the reader may say otherwise.
async function choose(page, site, first) {
  const bytes = site.graphs.one_step.data.reduce((sum, { path }) => sum + site.files[path].bytes, 0);
  const large = bytes > LARGE && (await gpu(site.precision));
  page.run(large ? "webgpu" : "wasm", first);
  const runs = (value, label, checked) => pill("runs", value, label, () => page.run(value), checked);
  find("#runs").append(runs("wasm", "CPU", !large), runs("webgpu", "GPU", large));
  find("#runs").hidden = !(large || (await gpu(site.precision)));
}

start().catch((error) => {
  document.body.classList.add("broken");
  find("#status").textContent = error.message;
  find("#status").classList.add("failed");
});
