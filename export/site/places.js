// Where a model takes pictures: the place that is open (Type, Vary, Mix, Say), its zones, its slider; it draws nothing itself.
import { element } from "./controls.js";
import { pictureBytes } from "./picture.js";
import { fingerprint } from "./provenance.js";

export class Places {
  // `site` as it is described, `shown` the section of the page; `changed` is told of every change, `failed` of a file that is none,
  // `file` gives the one behind a picture of the page, which a browser does not hand over itself.
  constructor(site, shown, { changed, failed, file }) {
    Object.assign(this, { site, shown, changed, failed, file });
    this.taken = {}; // zone → {bytes, told}
    this.place = "type";
    const { zones } = site.pictures;
    const says = site.captions ? [["say", site.captions.verb]] : [];
    const tabs = [["type", site.verb.split(" ")[0]], ["vary", "Vary"], ["mix", "Mix"], ...says];
    this.tabs = tabs.map(([place, name]) =>
      element("button", { type: "button", className: "small", onclick: () => this.go(place), "data-place": place }, name),
    );
    this.zones = zones.map((zone) => this.zone(zone));
    this.mix = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.5, ariaLabel: "mix", oninput: changed });
    this.kinds = element("select", { ariaLabel: "kind of caption", onchange: changed });
    this.kinds.append(...[...(site.captions?.columns ?? []), "any"].map((name) => element("option", {}, name)));
    const slider = element("label", { className: "mix" }, "pictures", this.mix, "words");
    this.said = element("output", {});
    shown.append(
      element("nav", {}, ...this.tabs),
      element("div", { className: "zones" }, ...this.zones),
      slider,
      element("p", { className: "says" }, this.kinds, this.said),
    );
    shown.hidden = false;
    this.listen();
    this.go("type", false);
  }

  zone(zone) {
    const input = element("input", { type: "file", accept: "image/*", onchange: ({ target }) => this.take(zone, target.files[0]) });
    const label = element("label", {}, element("img", { alt: "" }), element("span", {}, `${zone}: drop a picture, or choose one`), input);
    const small = { type: "button", className: "small" };
    const now = element("button", { ...small, title: "What is drawn now", ariaLabel: `${zone}: what is drawn now` }, "⤵");
    now.onclick = () => this.take(zone, this.drawn);
    const empty = element("button", { ...small, title: `Empty ${zone}`, ariaLabel: `Empty ${zone}`, hidden: true }, "×");
    empty.onclick = () => this.empty(zone);
    return element("div", { className: "zone", "data-zone": zone }, label, now, empty);
  }

  // What a zone shows; null: nothing.
  show(zone, file) {
    const shown = this.zones.find(({ dataset }) => dataset.zone === zone);
    const image = shown.querySelector("img");
    URL.revokeObjectURL(image.src);
    if (file) image.src = URL.createObjectURL(file);
    else image.removeAttribute("src");
    shown.lastChild.hidden = !file;
    shown.querySelector("input").value = ""; // the same file may be chosen again
    this.changed();
  }

  empty(zone) {
    delete this.taken[zone];
    this.show(zone, null);
  }

  // A file, or a picture of the page, dragged into a zone.
  listen() {
    let dragged = null;
    document.addEventListener("dragstart", ({ target }) => (dragged = target instanceof HTMLImageElement ? target : null));
    document.addEventListener("dragend", () => (dragged = null));
    document.addEventListener("dragenter", () => this.place === "type" && this.go("mix")); // where the zones are
    document.addEventListener("dragover", (event) => event.target.closest?.(".zone") && event.preventDefault());
    document.addEventListener("drop", (event) => {
      const zone = event.target.closest?.(".zone");
      if (!zone) return;
      event.preventDefault();
      this.take(zone.dataset.zone, dragged ? this.file(dragged) : event.dataTransfer.files[0]);
    });
  }

  go(place, redraw = true) {
    this.place = this.shown.dataset.place = document.body.dataset.place = place;
    for (const tab of this.tabs) tab.ariaPressed = tab.classList.toggle("chosen", tab.dataset.place === place);
    if (redraw) this.changed();
  }

  async take(zone, file) {
    if (!file) return;
    const bytes = await pictureBytes(file, this.site.pictures.size).catch(() => null);
    if (!bytes) return this.failed("this file is no picture that the browser can read");
    this.taken[zone] = { bytes, told: await fingerprint(file) };
    this.show(zone, file);
  }

  // A request as the open place has it: `lacks` says what is missing, `column` is there where it is to be said, not drawn.
  placed(request) {
    const { zones } = this.site.pictures;
    const [first] = zones;
    const { bytes: picture, told } = this.taken[first] ?? {};
    const lacks = `drop a picture on ${first}`;
    if (this.place === "type") return request.text.trim() ? request : { ...request, lacks: "type something to draw" };
    const rest = { ...request, image: null };
    if (this.place === "say") return { picture, column: this.kinds.value, seed: request.seed, ...(!picture && { lacks }) };
    if (this.place === "vary") {
      const all = (value) => Object.fromEntries(zones.map((zone) => [zone, value]));
      return { ...rest, text: "", pictures: all(picture), told: all(told), mix: null, ...(!picture && { lacks }) };
    }
    const own = Object.fromEntries(zones.map((zone) => [zone, this.taken[zone]?.bytes ?? null]));
    const some = Object.values(own).some(Boolean);
    const all = Object.fromEntries(zones.filter((zone) => own[zone]).map((zone) => [zone, this.taken[zone].told]));
    const mix = request.text && some ? Number(this.mix.value) : null;
    const enough = request.text || picture;
    return { ...rest, pictures: own, told: all, mix, ...(!enough && { lacks: `${lacks}, or type something` }) };
  }
}
