// A site's model: a request → pixels, as ippo's server draws them from the same seed; it knows onnxruntime-web and no page.
// Shapes: `S` tokens, `A` attributes, `C` channels, `h w` latent, `H W` pixels.
import { KINDS } from "./inputs.js";
import { chosen, gaussian, MAX_SEED } from "./noise.js";
import { Refusal } from "./refusal.js";
import { addNoise, fromBytes, studentLoop, studentTimesteps, toBytes } from "./sampling.js";
import { Tokenizer } from "./tokenizer.js";

export class Generator {
  // `runtime` is onnxruntime-web, `provider` its execution provider.
  constructor(site, files, runtime, provider = "wasm") {
    this.site = site;
    this.files = files;
    this.runtime = runtime;
    this.provider = provider;
    this.sessions = new Map();
    this.kind = KINDS[site.control.kind];
  }

  // Paths of what one step from noise needs; the others wait until they are asked for.
  static needed(site) {
    return [...site.tokenizers.map(({ path }) => path), ...paths(site.graphs.one_step)];
  }

  static later(site) {
    return [...new Set([...Object.values(site.graphs).flatMap(paths), ...Generator.writes(site)])];
  }

  // Paths of what a caption needs, if the model writes any.
  static writes({ captions, graphs }) {
    return captions ? [captions.tokenizer.path, ...paths(captions.graph), ...paths(graphs.image_encoder)] : [];
  }

  async open(progress) {
    const files = await this.files.open(Generator.needed(this.site), progress);
    this.tokenizers = this.site.tokenizers.map(
      ({ path, length, pad }) => new Tokenizer(JSON.parse(new TextDecoder().decode(files.get(path))), length, pad),
    );
    await this.session("one_step");
  }

  // {text, seed (BigInt), steps, size [W, H], image (bytes H·W·3), strength} → {pixels (H, W, 3), dropped}; of a model that sees
  // pictures also {pictures: {zone: bytes H·W·3 of their own size, or null}, mix}. Refusal: what this model does not offer.
  async draw(request) {
    const { text, seed, steps, size, image, strength } = this.check(request);
    const { data, type, dropped = 0 } = this.kind.feed(this.site.control, text, this.tokenizers);
    const own = { [this.site.conditioner_input]: new this.runtime.Tensor(type, data, [1, data.length]) };
    const direct = this.site.pictures ? await this.seen(request) : {};
    const timesteps = studentTimesteps(this.site.timesteps, steps, image ? strength : 1);
    const shape = this.latent(size);
    const count = shape[0] * shape[1] * shape[2];
    const numbers = gaussian(seed, timesteps.length * count);
    const noises = timesteps.map((_, place) => numbers.subarray(place * count, (place + 1) * count));
    if (image) noises[0] = addNoise(await this.encode(image, size), noises[0], timesteps[0]);
    else if (timesteps.length === 1) return { pixels: await this.oneStep({ ...own, ...direct }, noises[0], shape), dropped };
    return { pixels: await this.split(own, direct, noises, shape, timesteps), dropped };
  }

  check(request) {
    const { seed, steps, size } = request;
    if (!(seed >= 0n && seed <= MAX_SEED)) throw new Refusal(`seed ${seed} is out of range; accepted: 0 to ${MAX_SEED}`);
    if (!(steps >= 1 && steps <= this.site.timesteps.length)) throw new Refusal(`steps ${steps} is not offered`);
    if (!this.site.sizes.some((one) => String(one) === String(size))) throw new Refusal(`size ${size} is not offered`);
    const said = Object.values(request.pictures ?? {}).some(Boolean);
    if (said) this.checkPictures(request);
    const silent = said && !request.text.trim();
    return { ...request, text: silent ? "" : this.kind.parse(request.text, this.site.control) };
  }

  checkPictures({ text, pictures, mix }) {
    const [first] = this.site.pictures?.zones ?? [];
    if (!first) throw new Refusal("this model takes no pictures");
    if (!text.trim() && !pictures[first]) throw new Refusal(`a style alone says nothing to draw; accepted with it: text, ${first}`);
    if (mix !== null && mix !== undefined && !(mix >= 0 && mix <= 1)) throw new Refusal(`mix ${mix} is out of range; accepted: 0 to 1`);
  }

  // What a denoiser takes of pictures as it is: tokens `image_embeds` (1, T, D), zeros where no picture is, and the text's share.
  async seen({ text, pictures = {}, mix }) {
    const { zones, tokens: [count, width] } = this.site.pictures;
    const embeds = new Float32Array(count * width);
    const share = embeds.length / zones.length;
    for (const [place, zone] of zones.entries()) {
      if (!pictures[zone]) continue;
      const tokens = await this.embed(pictures[zone]);
      embeds.set(tokens.subarray(place * share, (place + 1) * share), place * share);
    }
    const some = zones.some((zone) => pictures[zone]);
    const usual = !some ? 1 : text.trim() ? 0.5 : 0;
    const shared = new this.runtime.Tensor("float32", Float32Array.of(mix ?? usual), [1]);
    return { image_embeds: this.floats(embeds, [count, width]), mix: shared };
  }

  // Bytes (H, W, 3) of the pictures' own size → tokens (T, D).
  async embed(bytes) {
    const [width, height] = this.site.pictures.size;
    const { image_embeds: tokens } = await this.run("image_encoder", { pixel_values: this.floats(fromBytes(bytes), [3, height, width]) });
    return tokens.data;
  }

  // {picture (bytes H·W·3 of their own size), column (empty: the first), seed (BigInt)} → a caption, in one step.
  async say({ picture, column, seed }) {
    const { columns, latent_shape: shape, graph, tokenizer, end } = this.site.captions;
    const wanted = column || columns[0] || "any";
    const any = columns.length ? chosen(seed, columns.length) : 0; // one of them: untold, a model would mix them
    const place = columns.includes(wanted) ? columns.indexOf(wanted) : any;
    if (!columns.includes(wanted) && wanted !== "any") throw new Refusal(`as '${wanted}' is unknown; accepted: ${columns.join(", ")}, any`);
    const [count, width] = this.site.pictures.tokens;
    const kind = BigInt64Array.of(BigInt(place));
    const noise = this.floats(gaussian(seed, shape[0] * shape[1] * shape[2]), shape);
    const given = {
      image_embeds: this.floats(await this.embed(picture), [count, width]),
      column: new this.runtime.Tensor("int64", kind, [1]),
      noise,
    };
    const session = await this.opened("captions", graph);
    const { token_ids: ids } = await session.run(given);
    this.spelling ??= await this.speller(tokenizer);
    return this.spelling.decode(Array.from(ids.data, Number), end);
  }

  async speller({ path, length, pad }) {
    const files = await this.files.open([path]);
    return new Tokenizer(JSON.parse(new TextDecoder().decode(files.get(path))), length, pad);
  }

  // (C, h, w) of the noise of pictures of a size [W, H].
  latent([width, height]) {
    const [channels, rows, columns] = this.site.latent_shape;
    const [first] = this.site.sizes;
    return [channels, Math.floor((height * rows) / first[1]), Math.floor((width * columns) / first[0])];
  }

  async oneStep(given, noise, shape) {
    const { images } = await this.run("one_step", { ...given, noise: this.floats(noise, shape) });
    return Uint8Array.from(images.data);
  }

  async encode(image, [width, height]) {
    const { latent_sample: latents } = await this.run("encoder", { sample: this.floats(fromBytes(image), [3, height, width]) });
    const factor = Math.fround(this.site.scaling_factor);
    return latents.data.map((value) => value * factor);
  }

  async split(own, direct, noises, shape, timesteps) {
    const outputs = Object.values(await this.run("conditioner", own));
    const conditioned = Object.fromEntries(this.site.conditioning.map((name, place) => [name, outputs[place]]));
    const conditioning = { ...conditioned, ...direct };
    const denoise = async (sample, number) => {
      const timestep = new this.runtime.Tensor("int64", BigInt64Array.of(BigInt(number)), []);
      const { out_sample: output } = await this.run("denoiser", { sample: this.floats(sample, shape), timestep, ...conditioning });
      return output.data;
    };
    const x0 = await studentLoop(denoise, noises, timesteps, this.site.prediction_type);
    const factor = Math.fround(this.site.scaling_factor);
    const { sample } = await this.run("decoder", { latent_sample: this.floats(x0.map((value) => value / factor), shape) });
    return toBytes(sample.data);
  }

  floats(data, shape) {
    return new this.runtime.Tensor("float32", data, [1, ...shape]);
  }

  // Outputs by name, in the graph's order.
  async run(graph, inputs) {
    const session = await this.session(graph);
    const outputs = await session.run(inputs);
    return Object.fromEntries(session.outputNames.map((name) => [name, outputs[name]]));
  }

  async session(graph) {
    return this.opened(graph, this.site.graphs[graph]);
  }

  async opened(name, graph) {
    if (!this.sessions.has(name)) this.sessions.set(name, await this.create(graph));
    return this.sessions.get(name);
  }

  async create(graph) {
    const files = await this.files.open(paths(graph));
    const externalData = graph.data.map(({ name, path }) => ({ path: name, data: files.get(path) }));
    const options = { executionProviders: [this.provider], externalData, logSeverityLevel: 3 };
    try {
      return await this.runtime.InferenceSession.create(files.get(graph.path), options);
    } catch (error) {
      throw new Refusal(`this browser cannot open the model on ${this.provider}: ${String(error.message ?? error).split("\n")[0]}`);
    }
  }
}

const paths = (graph) => [graph.path, ...graph.data.map(({ path }) => path)];
