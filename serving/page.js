// What the page does: the newest request goes over a websocket to each model, whose pictures stream back; it knows
// nothing of Gradio but a seed slider.
const ippo = {
  easels: null, // one a model
  request: null, // title and body of what is drawn
  start: null, // the picture to start from, as a data URL
  pause: null, // the timer that ends in variations
  varying: null, // to give up those under way
  pictures: {}, // zone → what lies there, as a data URL
  dragged: null, // the picture of this page under the pointer

  // `field` is what a request holds: its name (null: nothing), and whether it is required; `text` is what it says.
  draw(field, text, seed, steps, format, size) {
    const input = field.name ? String(text).trim() : "";
    const title = input || (field.required ? "" : "picture");
    this.request = { title, field: field.name, body: { ...(field.name && { [field.name]: input }), seed, steps, format, size } };
    this.pick(input);
    this.redraw();
  },

  // The slots' pickers: what is chosen in each, and its weight.
  get slots() {
    return [...document.querySelectorAll(".ippo-slot")].map((slot) => ({
      choice: slot.querySelector("select"),
      weight: slot.querySelector("input"),
      shown: slot.querySelector("output"),
    }));
  },

  // Pickers → text such as "Zombie, Cap=2", which is drawn as one that is typed would be.
  choose() {
    const chosen = this.slots.filter(({ choice }) => choice.value);
    const names = chosen.map(({ choice, weight }) => choice.value + (weight.value === "1" ? "" : `=${weight.value}`));
    this.write(document.querySelector("#ippo-picked textarea"), names.join(", "));
  },

  // Text → pickers, where there are any.
  pick(text) {
    const weights = new Map(text.split(",").map((part) => part.split("=").map((side) => side.trim())));
    for (const { choice, weight, shown } of this.slots) {
      choice.value = [...choice.options].find(({ value }) => value && weights.has(value))?.value ?? "";
      weight.value = (choice.value && weights.get(choice.value)) || "1";
      weight.disabled = !choice.value;
      shown.textContent = weight.value;
    }
  },

  // Any character: something in the first slot, and in some of the others.
  mix() {
    for (const [place, { choice, weight }] of this.slots.entries()) {
      const some = place === 0 || Math.random() < 0.35;
      choice.selectedIndex = some ? 1 + Math.floor(Math.random() * (choice.options.length - 1)) : 0;
      weight.value = "1";
    }
    this.choose();
  },

  // Small pictures are enlarged without being blurred.
  crisp(image) {
    image.style.imageRendering = image.naturalWidth < 64 ? "pixelated" : "";
  },

  write(input, value) {
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  },

  redraw() {
    this.easels ??= [...document.querySelectorAll(".ippo-picture")].map((figure) => new Easel(figure));
    clearTimeout(this.pause);
    this.varying?.abort();
    const strength = Number(document.getElementById("ippo-strength")?.value ?? 0.5);
    const started = { ...this.request, body: { ...this.request.body, image: this.start, strength } };
    const request = this.places && this.request ? this.placed(started) : started;
    if (!request) return; // nothing is asked for yet
    for (const easel of this.easels) {
      if (request.title) easel.draw(request);
      else easel.rest(request.lacks ?? "type something to draw");
    }
    if (!request.title) document.getElementById("ippo-variations").replaceChildren();
    else this.pause = setTimeout(() => this.vary(request), 350);
  },

  // Where a model takes pictures: the place that is open, its zones, its slider, its captions.
  get places() {
    return document.getElementById("ippo-places");
  },

  go(place) {
    this.places.dataset.place = place;
    for (const tab of this.places.querySelectorAll("nav button")) tab.ariaPressed = tab.dataset.place === place;
    this.redraw();
  },

  // A picture into a zone: a file, or an image of this page.
  async take(zone, source) {
    if (!source) return;
    const { width, height } = this.places.dataset;
    const picture = await this.small(source, Number(width), Number(height)).catch(() => null);
    const look = this.zone(zone);
    look.querySelector("output").textContent = picture ? "" : `${source.name ?? "this"} is no picture that can be read`;
    if (!picture) return;
    this.pictures[zone] = picture;
    look.classList.add("full");
    look.querySelector("img").src = picture;
    this.redraw();
  },

  // The file that was chosen for a zone; the same one may be chosen again.
  async choosePicture(zone, input) {
    const [file] = input.files;
    input.value = "";
    await this.take(zone, file);
  },

  empty(zone) {
    const look = this.zone(zone);
    delete this.pictures[zone];
    look.classList.remove("full");
    look.querySelector("img").removeAttribute("src");
    look.querySelector("output").textContent = "";
    this.redraw();
  },

  zone(name) {
    return document.querySelector(`.ippo-zone[data-zone="${name}"]`);
  },

  // The request as the open place has it; nothing where it is said, not drawn.
  placed({ title, field, body }) {
    const { place, varied } = this.places.dataset;
    const zones = varied.split(" ");
    const [first] = zones;
    const none = { ...Object.fromEntries(zones.map((zone) => [zone, null])), mix: null };
    const focus = document.querySelector("#ippo-focus input");
    const taken = zones.filter((zone) => this.pictures[zone]);
    const lacks = `drop a picture on ${first}`;
    if (place === "type") return { title: body[field] && title, body: { ...body, ...none } };
    const rest = { ...body, ...none, image: null };
    if (place === "say") {
      this.say(this.pictures[first], rest, lacks);
      return { title: "", lacks: "drawn before" };
    }
    if (place === "vary") {
      const all = Object.fromEntries(zones.map((zone) => [zone, this.pictures[first]]));
      return { title: this.pictures[first] ? "variation" : "", lacks, body: { ...rest, [field]: "", ...all } };
    }
    const mix = body[field] && taken.length ? Number(document.querySelector("#ippo-mix input").value) : null;
    const own = Object.fromEntries(taken.map((zone) => [zone, this.pictures[zone]]));
    const enough = body[field] || own[first];
    const asked = { ...rest, ...own, mix };
    if (focus) asked.focus = taken.length ? Number(focus.value) : null;
    return { title: enough ? title || "mix" : "", lacks: `${lacks}, or type something`, body: asked };
  },

  // Captions of a picture, by several seeds, each once.
  async say(image, { seed, steps }, lacks) {
    const output = document.querySelector("#ippo-says output");
    output.textContent = image ? "…" : lacks;
    if (!image) return;
    const kind = document.querySelector("#ippo-says select").value;
    const headers = { "content-type": "application/json", ...(this.key && { authorization: `Bearer ${this.key}` }) };
    const body = JSON.stringify({ image, as: kind, n: 4, seed, steps, model: this.easels[0].model });
    const { signal } = (this.varying = new AbortController());
    const answer = await fetch("/caption", { method: "POST", headers, body, signal }).catch(() => null);
    const said = await answer?.json().catch(() => null);
    if (signal.aborted) return;
    const texts = said?.captions?.map(({ text }) => text || "(nothing)") ?? [said?.error ?? "no answer"];
    output.textContent = [...new Set(texts)].join(" · ");
  },

  // A file of the user's, made small here; none: from noise again.
  async startFrom(file) {
    const look = document.getElementById("ippo-start");
    this.start = file ? await this.small(file, Number(look.dataset.width), Number(look.dataset.height)) : null;
    look.classList.toggle("chosen", file !== undefined);
    look.querySelector("img").toggleAttribute("src", this.start !== null);
    if (this.start) look.querySelector("img").src = this.start;
    look.querySelector("input[type=file]").value = "";
    this.redraw();
  },

  async small(file, width, height) {
    const picture = await createImageBitmap(file);
    const scale = Math.max(width / picture.width, height / picture.height);
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.fillStyle = "white";
    pen.fillRect(0, 0, width, height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    pen.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
    return canvas.toDataURL("image/png");
  },

  // The same request with the seeds that follow, once the typing rests; a click takes one's seed.
  async vary(request) {
    const strip = document.getElementById("ippo-variations");
    const body = { ...request.body, model: this.easels[0].model, seed: request.body.seed + 1, n: Number(strip.dataset.count) };
    const headers = { "content-type": "application/json", ...(this.key && { authorization: `Bearer ${this.key}` }) };
    const { signal } = (this.varying = new AbortController());
    const options = { method: "POST", headers, body: JSON.stringify(body), signal };
    const answer = await fetch("/generate", options).catch(() => null);
    if (answer?.status === 429) {
      this.pause = setTimeout(() => this.vary(request), 1000 * Number(answer.headers.get("retry-after")));
      return;
    }
    if (!answer?.ok) return;
    const { data, output_format } = await answer.json().catch(() => ({ data: [] }));
    if (signal.aborted) return;
    const choices = data.map(({ b64_json, seed }) => {
      const choice = document.createElement("button");
      const image = choice.appendChild(new Image());
      image.onload = () => this.crisp(image);
      image.src = `data:image/${output_format};base64,${b64_json}`;
      image.alt = request.title;
      choice.append(`seed ${seed}`);
      choice.onclick = () => this.takeSeed(seed);
      return choice;
    });
    strip.replaceChildren(...choices);
  },

  takeSeed(seed) {
    this.write(document.querySelector("#ippo-seed input[type=number]"), seed);
  },

  // The user's key, where the service asks for one.
  get key() {
    return sessionStorage.getItem("ippo-key");
  },

  async askForKey() {
    const headers = this.key ? { authorization: `Bearer ${this.key}` } : {};
    const answer = await fetch("/v1/models", { headers }).catch(() => null);
    if (answer?.status !== 401) return;
    const key = window.prompt("This service asks for a key.");
    if (key) sessionStorage.setItem("ippo-key", key);
  },
};

// A picture of this page, or a file, dragged into a zone.
document.addEventListener("dragstart", ({ target }) => {
  ippo.dragged = target instanceof HTMLImageElement ? target : null;
});
document.addEventListener("dragend", () => {
  ippo.dragged = null;
});
document.addEventListener("dragenter", () => {
  if (ippo.places?.dataset.place === "type") ippo.go("mix"); // where the zones are
});
document.addEventListener("dragover", (event) => {
  if (event.target.closest?.(".ippo-zone")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  const zone = event.target.closest?.(".ippo-zone");
  if (!zone) return;
  event.preventDefault();
  ippo.take(zone.dataset.zone, ippo.dragged ?? event.dataTransfer.files[0]);
});

// The picture of one model and its websocket: message k of this side is answered with the number k, if at all.
class Easel {
  constructor(figure) {
    this.figure = figure;
    this.model = figure.dataset.model;
    this.url = null; // of the picture shown
    this.request = null;
    this.socket = null;
  }

  // What is drawn now, if anything is.
  get image() {
    return this.url && this.figure.querySelector("img");
  }

  draw(request) {
    this.request = request;
    if (this.socket?.readyState === WebSocket.OPEN) this.send();
    else if (this.socket === null) this.connect();
  }

  // Nothing is asked for: what was drawn before pales, and is still there to be taken.
  rest(line) {
    this.request = null;
    this.figure.classList.add("stale");
    this.figure.classList.remove("failed");
    this.say(this.url || line !== "drawn before" ? line : "");
  }

  connect() {
    const address = `${location.protocol.replace("http", "ws")}//${location.host}/live`;
    const socket = new WebSocket(address, ippo.key ? ["ippo", `ippo-key.${ippo.key}`] : ["ippo"]);
    socket.binaryType = "blob";
    this.socket = socket;
    this.sent = [];
    let opened = false;
    socket.onopen = () => {
      opened = true;
      if (this.request) this.send();
    };
    socket.onmessage = ({ data }) => this.take(data);
    socket.onclose = async () => {
      this.say("the connection is lost; trying again");
      if (!opened) await ippo.askForKey();
      setTimeout(() => this.connect(), 1000);
    };
  }

  send() {
    const { title, body } = this.request;
    this.sent.push({ title, seed: body.seed, at: performance.now() });
    this.socket.send(JSON.stringify({ ...body, model: this.model }));
  }

  take(data) {
    if (typeof data !== "string") return this.show(data, this.answer);
    this.answer = JSON.parse(data);
    if (this.answer.error) this.fail(this.answer.error);
  }

  async show(file, answer) {
    const request = this.sent[answer.message];
    const took = performance.now() - request.at;
    const image = this.figure.querySelector("img");
    const link = this.figure.querySelector("a");
    const old = this.url;
    this.url = URL.createObjectURL(new Blob([file], { type: `image/${answer.format}` }));
    image.src = this.url;
    image.alt = request.title;
    await image.decode().catch(() => {}); // a newer one took its place
    ippo.crisp(image);
    link.href = this.url;
    link.download = `${request.title.replace(/[^\p{L}\p{N}]+/gu, "-")}-${request.seed}.${answer.format}`;
    this.figure.classList.add("drawn");
    this.figure.classList.remove("failed");
    this.figure.classList.toggle("stale", this.request === null);
    if (old) URL.revokeObjectURL(old);
    const cut = answer.dropped_tokens ? `, the last ${answer.dropped_tokens} tokens unread` : "";
    if (this.request) this.say(`drawn in ${this.round(answer.ms.draw)} ms, here after ${this.round(took)} ms${cut}`);
  }

  fail(line) {
    this.say(line);
    this.figure.classList.add("failed");
  }

  say(line) {
    this.figure.querySelector("output").textContent = line;
  }

  round(milliseconds) {
    return milliseconds < 10 ? Number(milliseconds).toFixed(1) : Math.round(milliseconds);
  }
}
