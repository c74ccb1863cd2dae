// Where a picture came from, by the fields and in the form that ippo's server writes; it knows neither pixels nor page.

// What a request's pictures are told by: the first 16 digits of the file's SHA-256.
export async function fingerprint(file) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The fields of a request to a site's model, by name. `told`: zone → fingerprint of the picture there.
export function fields(site, { text, seed, steps, image, strength, told = {}, mix }) {
  const { model, model_hash, software } = site.provenance;
  return {
    ...(site.field && { [site.field]: text }),
    ...told,
    ...(mix !== undefined && mix !== null && { mix: float(mix) }),
    seed,
    steps,
    ...(image && { strength: float(strength) }),
    model,
    model_hash,
    software,
  };
}

// The XMP packet, of the template that the site was written with.
export function xmp(site, fields) {
  const filled = { description: json(fields), software: site.provenance.software };
  return site.provenance.xmp.replace(/\{(description|software)\}/g, (_, name) => escaped(filled[name]));
}

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// A number as Python prints its floats.
class Float {
  constructor(value) {
    this.value = value;
  }

  toString() {
    return Number.isInteger(this.value) ? this.value.toFixed(1) : String(this.value);
  }
}

const float = (value) => new Float(value);

// As Python's `json.dumps` writes it: in ASCII, with a blank after each comma and colon.
function json(fields) {
  const quoted = (value) =>
    JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const value = (one) => (typeof one === "string" ? quoted(one) : String(one));
  return `{${Object.entries(fields).map(([name, one]) => `${quoted(name)}: ${value(one)}`).join(", ")}}`;
}
