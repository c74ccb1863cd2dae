// Files of a site, loaded from a real server: what is whole, packed, missing, altered, cut off; and a cache that is refused.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Files } from "../../../export/site/files.js";

const content = Buffer.from("weights ".repeat(1000));
const sha256 = createHash("sha256").update(content).digest("hex");
const answers = {
  "/whole": content,
  "/packed.gz": gzipSync(content),
  "/unpacked.gz": content, // as hosts send it that unpack on the way
  "/altered": Buffer.from("other"),
  "/torn.gz": gzipSync(content).subarray(0, 40),
};
const asked = [];
const server = createServer((request, response) => {
  asked.push(request.url);
  if (request.url === "/cut") {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 10), () => response.destroy());
  } else {
    response.writeHead(answers[request.url] ? 200 : 404);
    response.end(answers[request.url]);
  }
});
let base;

before(async () => {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  base = `http://127.0.0.1:${server.address().port}/`;
});
after(() => server.close());

function files(name) {
  const url = base + name;
  return new Files({ [name]: { url, sha256, bytes: content.length, wire: 100 } }, "cache", base);
}

for (const name of ["whole", "packed.gz", "unpacked.gz"]) {
  test(`${name} arrives once, and says how far it is`, async () => {
    const [opened, said] = [files(name), []];
    const both = await Promise.all([opened.open([name], (done, total) => said.push([done, total])), opened.open([name])]);
    for (const one of both) assert.deepEqual(Buffer.from(one.get(name)), content);
    assert.deepEqual(said.at(-1), [100, 100]);
    assert.equal(asked.filter((path) => path === `/${name}`).length, 1);
  });
}

test("without a cache the files come all the same, and one line says so", async () => {
  const opened = files("whole"); // Node has none
  await opened.open(["whole"]);
  await opened.keep(["whole"]);
  await opened.prune();
  assert.match(opened.refused, /^The browser keeps nothing of this page \(ReferenceError\)/);
});

for (const [name, line] of [
  ["missing", /this site is incomplete: .*missing is missing \(404\)/],
  ["altered", /this site was altered: .*altered is not the file that was written/],
  ["torn.gz", /this site was altered: .*torn.gz cannot be unpacked/],
  ["cut", /cut broke off while it was loaded/],
]) {
  test(`${name} is one line, and is asked for again`, async () => {
    const opened = files(name);
    await assert.rejects(opened.open([name]), line);
    await assert.rejects(opened.open([name]), line);
    assert.equal(asked.filter((path) => path === `/${name}`).length, 2);
  });
}

test("no server is one line", async () => {
  const gone = new Files({ x: { url: "http://127.0.0.1:9/x", sha256, bytes: 1, wire: 1 } }, "cache", base);
  await assert.rejects(gone.open(["x"]), /cannot be loaded: is there a connection\?/);
});
