// Keeps the page itself, so that it opens without a connection; the model is kept by `files.js`. It knows no model.
importScripts("shell.js"); // SHELL: a version, the files of it

const { scope } = self.registration;
const NAME = `ippo-page ${scope} ${self.SHELL.version}`;
const NOW = new Set(self.SHELL.now.map((name) => new URL(name, scope).href));
const LATER = new Set(self.SHELL.later.map((name) => new URL(name, scope).href));

self.addEventListener("install", (event) => {
  self.skipWaiting();
  const requests = [...NOW].map((url) => new Request(url, { cache: "no-cache" }));
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys().then(async (names) => {
      const old = names.filter((name) => name.startsWith(`ippo-page ${scope} `) && name !== NAME);
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    }),
  );
});

self.addEventListener("fetch", (event) => {
  const url = event.request.url.replace(/[?#].*$/, "").replace(/\/index\.html$/, "/");
  if (event.request.method === "GET" && (NOW.has(url) || LATER.has(url))) event.respondWith(answer(event.request, url));
});

async function answer(request, url) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(url);
  if (kept) return kept;
  const fetched = await fetch(request);
  if (fetched.ok) await cache.put(url, fetched.clone()).catch(() => null);
  return fetched;
}
