// What a browser must have, looked at before anything is loaded; it knows neither model nor page.

// () → v128: a module that uses one SIMD instruction.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

// One line on what is missing; null: nothing is.
export function trouble(browser = globalThis) {
  if (!browser.isSecureContext) return "This page wants https:// or localhost: elsewhere browsers neither check nor keep files.";
  if (!browser.WebAssembly?.validate(Uint8Array.from(SIMD))) {
    return "This browser has no WebAssembly SIMD, which the model runs on: Chrome 91, Firefox 89, Safari 16.4 and newer have it.";
  }
  if (!browser.CompressionStream || !browser.DecompressionStream) {
    return "This browser cannot unpack the model: Chrome 80, Firefox 113, Safari 16.4 and newer can.";
  }
  return null;
}

// Whether the model runs on this machine's GPU by WebGPU; graphs in fp16 want an adapter that computes in it.
export async function gpu(precision) {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && (precision === "fp32" || adapter.features.has("shader-f16"));
}
