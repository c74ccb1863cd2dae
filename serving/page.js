// What the page does: one request under way, the newest wish next; it knows nothing of Gradio but a seed slider.
const ippo = {
  wish: null, // what to draw next; a newer wish replaces it
  busy: false,
  url: null, // of the picture shown
  pause: null, // the timer that ends in variations

  // `names` is what the model is asked with: ["prompt"], ["label"] or nothing.
  draw(names, wanted, seed, steps) {
    const input = String(wanted).trim();
    const asked = Object.fromEntries(names.map((name) => [name, input]));
    this.wish = { title: names.length ? input : "picture", body: { ...asked, seed, steps } };
    clearTimeout(this.pause);
    if (!this.busy) this.work();
  },

  async work() {
    this.busy = true;
    while (this.wish) {
      const wish = this.wish;
      this.wish = null;
      if (wish.title) await this.fulfil(wish);
      else this.say("type something to draw");
    }
    this.busy = false;
  },

  async fulfil(wish) {
    const start = performance.now();
    try {
      const answer = await this.ask(wish.body);
      const file = await answer.blob();
      const took = performance.now() - start;
      await this.show(file, wish);
      const graphs = /draw;dur=([\d.]+)/.exec(answer.headers.get("server-timing"))[1];
      this.say(`drawn in ${this.round(graphs)} ms, here after ${this.round(took)} ms`);
      this.pause = setTimeout(() => this.vary(wish), 350);
    } catch (error) {
      this.say(error.message);
      document.getElementById("ippo-picture").classList.add("failed");
    }
  },

  async ask(body) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/generate", { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.ok) return answer;
    throw new Error((await answer.json()).error);
  },

  async show(file, wish) {
    const figure = document.getElementById("ippo-picture");
    const image = figure.querySelector("img");
    const link = figure.querySelector("a");
    const old = this.url;
    this.url = URL.createObjectURL(file);
    image.src = this.url;
    image.alt = wish.title;
    await image.decode();
    image.style.imageRendering = image.naturalWidth < 64 ? "pixelated" : "";
    link.href = this.url;
    link.download = `${wish.title.replace(/[^\p{L}\p{N}]+/gu, "-")}-${wish.body.seed}.${file.type.split("/")[1]}`;
    figure.className = "drawn";
    if (old) URL.revokeObjectURL(old);
  },

  // The same prompt with the seeds that follow, once the typing rests; a click takes one's seed.
  async vary(wish) {
    const many = Number(document.getElementById("ippo-variations").dataset.count);
    const answer = await this.ask({ ...wish.body, seed: wish.body.seed + 1, n: many }).catch(() => null);
    if (!answer || this.busy || this.wish) return;
    const { data, output_format } = await answer.json();
    const choices = data.map(({ b64_json, seed }) => {
      const choice = document.createElement("button");
      const image = choice.appendChild(new Image());
      image.src = `data:image/${output_format};base64,${b64_json}`;
      image.alt = wish.title;
      choice.append(`seed ${seed}`);
      choice.onclick = () => this.takeSeed(seed);
      return choice;
    });
    document.getElementById("ippo-variations").replaceChildren(...choices);
  },

  takeSeed(seed) {
    const input = document.querySelector("#ippo-seed input[type=number]");
    input.value = seed;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  },

  say(line) {
    document.querySelector("#ippo-picture output").textContent = line;
  },

  round(milliseconds) {
    return milliseconds < 10 ? Number(milliseconds).toFixed(1) : Math.round(milliseconds);
  },
};
