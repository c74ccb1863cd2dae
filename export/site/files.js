// A site's files: loaded once, checked against their SHA-256, kept in the browser's cache by it; it knows no model.
import { Refusal } from "./refusal.js";

const GZIP = [0x1f, 0x8b];

export class Files {
  // `listed`: path → {url, sha256, bytes, wire}; `name` of the cache; `base`: where `url` starts.
  constructor(listed, name, base) {
    this.listed = listed;
    this.name = name;
    this.base = base;
    this.cache = undefined; // null: the browser keeps nothing
    this.refused = null; // why
    this.opened = new Map();
  }

  // Bytes by path; `progress` is told how many bytes came, of how many. Refusal: one that is missing or altered.
  async open(paths, progress = () => {}) {
    await this.cacheOpened();
    const files = paths.filter((path) => !this.opened.has(path)).map((path) => this.listed[path]);
    const total = files.reduce((sum, { wire }) => sum + wire, 0);
    const come = new Map();
    const count = (path, bytes) => {
      come.set(path, Math.min(bytes, this.listed[path].wire));
      progress([...come.values()].reduce((sum, one) => sum + one, 0), total);
    };
    await Promise.all(paths.map((path) => this.take(path, (bytes) => count(path, bytes))));
    return new Map(await Promise.all(paths.map(async (path) => [path, await this.opened.get(path)])));
  }

  // The same, for files that are not needed yet: what fails now is loaded when it is.
  async keep(paths) {
    for (const path of paths) {
      await this.cacheOpened();
      if (this.cache && !(await this.cache.match(this.key(path)))) await this.load(path).catch(() => null);
    }
  }

  // What was kept for an earlier version of the site goes.
  async prune() {
    const known = new Set(Object.keys(this.listed).map((path) => this.key(path)));
    for (const request of (await this.cache?.keys()) ?? []) {
      if (!known.has(request.url)) await this.cache.delete(request);
    }
  }

  key(path) {
    return new URL(`kept/${this.listed[path].sha256}`, this.base).href;
  }

  async cacheOpened() {
    if (this.cache !== undefined) return;
    try {
      this.cache = await caches.open(this.name);
    } catch (error) {
      this.refuse(error);
    }
  }

  refuse(error) {
    this.cache = null;
    this.refused = `The browser keeps nothing of this page (${error.name}): the model is loaded again at the next visit.`;
  }

  take(path, count) {
    if (!this.opened.has(path)) {
      const bytes = this.kept(path).then((kept) => kept ?? this.load(path, count));
      bytes.then(() => count(this.listed[path].wire), () => this.opened.delete(path));
      this.opened.set(path, bytes);
    }
    return this.opened.get(path);
  }

  async kept(path) {
    const answer = await this.cache?.match(this.key(path)).catch(() => null);
    if (!answer) return null;
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (await this.is(path, bytes)) return bytes;
    await this.cache.delete(this.key(path));
    return null;
  }

  async load(path, count = () => {}) {
    const { url } = this.listed[path];
    // What is kept by its SHA-256 need not lie in the browser's other cache as well.
    const answer = await fetch(new URL(url, this.base), { cache: this.cache ? "no-store" : "default" }).catch(() => {
      throw new Refusal(`${url} cannot be loaded: is there a connection?`);
    });
    if (!answer.ok) throw new Refusal(`this site is incomplete: ${url} is missing (${answer.status}); upload the whole folder again`);
    const bytes = await unpacked(await body(answer, url, count), url);
    if (!(await this.is(path, bytes))) {
      throw new Refusal(`this site was altered: ${url} is not the file that was written (SHA-256 differs); upload it again`);
    }
    await this.cache?.put(this.key(path), new Response(bytes)).catch((error) => this.refuse(error));
    return bytes;
  }

  async is(path, bytes) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === this.listed[path].sha256;
  }
}

async function body(answer, url, count) {
  const parts = [];
  let come = 0;
  try {
    for (const reader = answer.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts);
      parts.push(value);
      come += value.length;
      count(come);
    }
  } catch {
    throw new Refusal(`${url} broke off while it was loaded: is there a connection?`);
  }
}

// Some hosts unpack what ends in .gz on the way, so its first bytes say whether it still is packed.
async function unpacked(blob, url) {
  const first = new Uint8Array(await blob.slice(0, GZIP.length).arrayBuffer());
  const packed = url.endsWith(".gz") && GZIP.every((byte, place) => first[place] === byte);
  const stream = packed ? blob.stream().pipeThrough(new DecompressionStream("gzip")) : blob.stream();
  return new Uint8Array(
    await new Response(stream).arrayBuffer().catch(() => {
      throw new Refusal(`this site was altered: ${url} cannot be unpacked; upload it again`);
    }),
  );
}
