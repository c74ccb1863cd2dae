// What a browser lacks is one line each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { trouble } from "../../../export/site/requirements.js";

const able = { isSecureContext: true, WebAssembly, CompressionStream, DecompressionStream };

test("nothing is said of a browser that has all", () => assert.equal(trouble(able), null));

for (const [lacking, line] of [
  [{ isSecureContext: false }, /https:\/\/ or localhost/],
  [{ WebAssembly: undefined }, /no WebAssembly SIMD/],
  [{ WebAssembly: { validate: () => false } }, /no WebAssembly SIMD/],
  [{ DecompressionStream: undefined }, /cannot unpack/],
]) {
  test(`without ${Object.keys(lacking)}`, () => assert.match(trouble({ ...able, ...lacking }), line));
}
