// A regular expression as Oniguruma reads it (tokenizer.json holds those) → JavaScript's; it knows nothing of tokens.
import { Refusal } from "./refusal.js";

const CLASSES = { s: "\\p{White_Space}", S: "\\P{White_Space}", d: "\\p{Nd}", D: "\\P{Nd}" };
const LETTER = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}²³¹¼½¾"; // \w: these few numbers, and no others, belong to it
const EDGES = { "^": "(?<![^\\n])", $: "(?![^\\n])" }; // of lines, always
const KEPT = /[\^$\\.*+?()[\]{}|/]/; // what may be escaped with the flag u

// The same expression for every match. Refusal: one that JavaScript has no word for.
export function pattern(source) {
  const [, flag, rest] = /^(\(\?i\))?(.*)$/su.exec(source);
  try {
    return new RegExp(translate(rest), flag ? "giu" : "gu");
  } catch (error) {
    throw new Refusal(`this browser cannot read the pattern ${source} of tokenizer.json: ${error.message}`);
  }
}

function translate(source) {
  let [out, inside] = ["", false];
  for (let place = 0; place < source.length; place++) {
    const letter = source[place];
    if (letter === "\\") {
      const next = source[++place] ?? "";
      if (next === "x" && source[place + 1] === "{") out += "\\u";
      else out += escaped(next, inside);
    } else if (inside) {
      if (letter === "[" || source.startsWith("&&", place)) throw new SyntaxError("a class in a class");
      inside = letter !== "]";
      out += letter;
    } else {
      inside = letter === "[";
      out += EDGES[letter] ?? letter;
      if (inside && source[place + 1] === "^") out += source[++place];
    }
  }
  return out;
}

function escaped(letter, inside) {
  if (letter === "w") return inside ? LETTER : `[${LETTER}]`;
  if (letter === "W" && !inside) return `[^${LETTER}]`;
  if (CLASSES[letter]) return CLASSES[letter];
  const plain = !/[A-Za-z0-9]/.test(letter) && !KEPT.test(letter) && !(inside && letter === "-");
  return plain ? letter : `\\${letter}`;
}
