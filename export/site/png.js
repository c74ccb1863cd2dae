// Pixels → a PNG that says where it came from, in the text chunks and the XMP that ippo's server writes; it knows no page.

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const XMP = "XML:com.adobe.xmp";
const UTF8 = new TextEncoder();

const CHECKS = new Uint32Array(256).map((_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

export function crc32(bytes) {
  let check = 0xffffffff;
  for (const byte of bytes) check = CHECKS[(check ^ byte) & 0xff] ^ (check >>> 8);
  return (check ^ 0xffffffff) >>> 0;
}

// Bytes (H, W, 3), `fields` by name, and the XMP packet → a file's bytes.
export async function png(pixels, width, height, fields, xmp) {
  const rows = new Uint8Array(height * (width * 3 + 1)); // each after a 0: not filtered
  for (let row = 0; row < height; row++) {
    rows.set(pixels.subarray(row * width * 3, (row + 1) * width * 3), row * (width * 3 + 1) + 1);
  }
  const chunks = [
    chunk("IHDR", [...word(width), ...word(height), 8, 2, 0, 0, 0]),
    ...Object.entries(fields).map(([name, value]) => text(name, String(value))),
    ...(xmp ? [international(XMP, xmp)] : []),
    chunk("IDAT", await deflated(rows)),
    chunk("IEND", []),
  ];
  return joined([SIGNATURE, ...chunks]);
}

function text(name, value) {
  const letters = Array.from(value, (letter) => letter.codePointAt(0));
  const latin = letters.every((letter) => letter < 256);
  return latin ? chunk("tEXt", [...UTF8.encode(name), 0, ...letters]) : international(name, value);
}

function international(name, value) {
  return chunk("iTXt", [...UTF8.encode(name), 0, 0, 0, 0, 0, ...UTF8.encode(value)]);
}

function chunk(kind, data) {
  const body = joined([UTF8.encode(kind), data]);
  return joined([word(data.length), body, word(crc32(body))]);
}

const word = (number) => [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
