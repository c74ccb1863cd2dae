// What a person asks for, as text → what the conditioner takes, by the kind of control that the model's task shows; it knows no
// page. A kind has `parse` (text → its usual form; Refusal: nothing of this model's) and `feed` (that → data and type).
import { Refusal } from "./refusal.js";

const ids = (numbers) => ({ type: "int64", data: BigInt64Array.from(numbers, BigInt) });

export const KINDS = {
  TextBox: {
    parse(text) {
      if (!text.trim()) throw new Refusal("type something to draw");
      return text;
    },
    feed(_, text, tokenizers) {
      const encoded = tokenizers.map((tokenizer) => tokenizer.encode(text));
      return { ...ids(encoded.flatMap((one) => one.ids)), dropped: encoded[0].dropped };
    },
  },

  Choice: {
    parse(text, { choices }) {
      if (!choices.includes(text)) throw new Refusal(`label '${text}' is unknown; accepted: ${listed(choices)}`);
      return text;
    },
    feed: ({ choices }, text) => ids([choices.indexOf(text)]),
  },

  Pickers: {
    parse(text, control) {
      const weights = read(text, control);
      const named = names(control).filter((name) => weights.get(name));
      return named.map((name) => (weights.get(name) === 1 ? name : `${name}=${weights.get(name)}`)).join(", ");
    },
    feed(control, text) {
      const weights = read(text, control);
      return { type: "float32", data: Float32Array.from(names(control), (name) => weights.get(name) ?? 0) };
    },
  },

  Control: { parse: () => "", feed: () => ids([0]) },
};

const names = ({ slots }) => Object.values(slots).flat();
const listed = (choices) => choices.slice(0, 3).join(", ") + (choices.length > 3 ? `, … (${choices.length})` : "");

// `Zombie, Cap=2` → weights by name.
function read(text, control) {
  const weights = new Map();
  const items = text.split(",").map((item) => item.trim());
  for (const item of items.filter(Boolean)) {
    const [name, weight = "1"] = item.split("=").map((side) => side.trim());
    if (!names(control).includes(name)) throw new Refusal(`attribute '${name}' is unknown; accepted: ${listed(names(control))}`);
    if (weights.has(name)) throw new Refusal(`attribute '${name}' is named twice`);
    if (!(weight !== "" && Number(weight) >= 0 && Number(weight) <= control.heaviest)) {
      throw new Refusal(`weight '${weight}' of attribute '${name}' is refused; accepted: 0 to ${control.heaviest}`);
    }
    weights.set(name, Number(weight));
  }
  for (const [slot, exclusive] of Object.entries(control.slots)) {
    const both = exclusive.filter((name) => weights.get(name));
    if (both.length > 1) throw new Refusal(`attributes '${both[0]}' and '${both[1]}' exclude each other: one ${slot} at most`);
  }
  return weights;
}
