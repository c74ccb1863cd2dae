// A `tokenizer.json` of byte-level BPE → ids, number for number what the Rust library `tokenizers` gives; it knows no model.
import { pattern } from "./pattern.js";
import { Refusal } from "./refusal.js";

const SPACE = "\\p{White_Space}";
const MARKS = /\p{M}/gu;
const HALF_PAIR = /\p{Surrogate}/u;
// GPT-2's own pattern, which `ByteLevel` applies where it is told to.
const WORDS = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|${SPACE}+(?!\\P{White_Space})|${SPACE}+`;

export class Tokenizer {
  // `length` ids are given, cut or filled up with those of the token `pad`.
  constructor(json, length, pad) {
    this.normalize = normalizer(json.normalizer);
    this.split = preTokenizer(json.pre_tokenizer);
    this.model = new BytePairs(json.model);
    const added = (this.added = json.added_tokens ?? []);
    this.raw = new Added(added.filter(({ normalized }) => !normalized), (text) => text);
    this.normalized = new Added(added.filter(({ normalized }) => normalized), this.normalize);
    [this.before, this.after] = edges(json.post_processor);
    this.length = length;
    this.pad = added.find(({ content }) => content === pad)?.id ?? this.model.vocabulary.get(pad);
  }

  // Text → `ids`, `length` of them, and how many tokens were `dropped` because they did not fit.
  encode(text) {
    if (HALF_PAIR.test(text)) throw new Refusal("prompt holds half of a surrogate pair, which is no text");
    const ids = this.raw.cut(text).flatMap((piece) => (piece.id === undefined ? this.piece(piece.text) : [piece.id]));
    const room = this.length - this.before.length - this.after.length;
    const all = [...this.before, ...ids.slice(0, room), ...this.after];
    while (all.length < this.length) all.push(this.pad);
    return { ids: all, dropped: Math.max(0, ids.length - room) };
  }

  // Ids up to the token `end` → the text that they spell, without what cannot be printed; empty where they spell nothing.
  decode(ids, end) {
    const special = new Set(this.added.map(({ id }) => id));
    const last = ids.indexOf(this.added.find(({ content }) => content === end)?.id ?? this.model.vocabulary.get(end));
    const spelt = (last < 0 ? ids : ids.slice(0, last)).filter((id) => !special.has(id));
    const bytes = spelt.flatMap((id) => [...(this.model.named(id) ?? "")].map((letter) => BYTES.get(letter)));
    const text = UTF8_TEXT.decode(Uint8Array.from(bytes)).replaceAll(this.model.end || "</w>", " ");
    const printed = text.replace(UNPRINTED, "").trim().replace(/ +/g, " ");
    return this.model.end ? JOINED.reduce((so_far, [marks, joined]) => so_far.replace(marks, joined), printed) : printed;
  }

  piece(text) {
    const pieces = this.normalized.cut(this.normalize(text));
    return pieces.flatMap(({ id, text }) => (id === undefined ? this.split(text).flatMap((word) => this.model.ids(word)) : [id]));
  }
}

// Tokens that are found in the text itself, the longest at the first place.
class Added {
  constructor(tokens, normalize) {
    this.tokens = new Map(tokens.map((token) => [normalize(token.content), token]));
    if (tokens.some(({ lstrip, rstrip, single_word }) => lstrip || rstrip || single_word)) {
      throw new Refusal("this page reads no added tokens that strip or want whole words");
    }
    const longest = [...this.tokens.keys()].filter(Boolean).sort((one, other) => other.length - one.length);
    this.found = longest.length ? new RegExp(longest.map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "gu") : null;
  }

  // Text → pieces `{text}`, and `{id}` for a token.
  cut(text) {
    const pieces = [];
    let end = 0;
    for (const match of this.found ? text.matchAll(this.found) : []) {
      if (match.index > end) pieces.push({ text: text.slice(end, match.index) });
      pieces.push({ id: this.tokens.get(match[0]).id });
      end = match.index + match[0].length;
    }
    if (end < text.length) pieces.push({ text: text.slice(end) });
    return pieces;
  }
}

function unknown(kind, json) {
  return new Refusal(`this page does not read the ${kind} ${json.type} of tokenizer.json`);
}

function normalizer(json) {
  if (!json) return (text) => text;
  switch (json.type) {
    case "Sequence": {
      const steps = json.normalizers.map(normalizer);
      return (text) => steps.reduce((so_far, step) => step(so_far), text);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(json.type);
    case "Lowercase": // letter by letter: no final sigma
      return (text) => Array.from(text, (letter) => letter.toLowerCase()).join("");
    case "StripAccents":
      return (text) => text.replace(MARKS, "");
    case "Replace": {
      const found = matcher(json.pattern);
      return (text) => text.replace(found, () => json.content);
    }
    case "Strip": {
      const ends = [json.strip_left && `^${SPACE}+`, json.strip_right && `${SPACE}+$`].filter(Boolean).join("|");
      return ends ? (text) => text.replace(new RegExp(ends, "gu"), "") : (text) => text;
    }
    case "Prepend":
      return (text) => (text ? json.prepend + text : text);
    default:
      throw unknown("normalizer", json);
  }
}

function matcher({ String: text, Regex: source }) {
  return text === undefined ? pattern(source) : new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu");
}

// Text → words, of which the model makes tokens.
function preTokenizer(json) {
  if (!json) return (text) => [text];
  switch (json.type) {
    case "Sequence": {
      const steps = json.pretokenizers.map(preTokenizer);
      return (text) => steps.reduce((words, step) => words.flatMap(step), [text]);
    }
    case "Split":
      return splitter(matcher(json.pattern), json);
    case "WhitespaceSplit":
      return splitter(new RegExp(`${SPACE}+`, "gu"), { behavior: "Removed" });
    case "ByteLevel": {
      const words = json.use_regex === false ? (text) => [text] : splitter(new RegExp(WORDS, "gu"), { behavior: "Isolated" });
      return (text) => words(json.add_prefix_space && !text.startsWith(" ") ? ` ${text}` : text).map(byteLetters);
    }
    default:
      throw unknown("pre-tokenizer", json);
  }
}

function splitter(found, { behavior, invert, type }) {
  if (behavior !== "Removed" && behavior !== "Isolated") throw unknown("behavior", { type: `${behavior} of ${type}` });
  return (text) => {
    const words = [];
    let end = 0;
    const add = (from, to, matched) => {
      if (to > from && (behavior === "Isolated" || matched === Boolean(invert))) words.push(text.slice(from, to));
    };
    for (const match of text.matchAll(found)) {
      add(end, match.index, false);
      end = match.index + match[0].length;
      add(match.index, end, true);
    }
    add(end, text.length, false);
    return words;
  };
}

// GPT-2's letters for bytes: those that can be printed stand for themselves, the others follow after 255.
const LETTERS = letters();
const BYTES = new Map(LETTERS.map((letter, byte) => [letter, byte]));
const UTF8 = new TextEncoder();
const UTF8_TEXT = new TextDecoder();
const UNPRINTED = /(?! )[\p{C}\p{Z}\ufffd]/gu; // what Python does not call printable, and bytes that are no letter

// A mark with the blanks that nobody writes there → without them, as `models/detokenizer.py` has it.
const JOINED = [
  [/ +([,.;!?)\]}%…])/gu, "$1"],
  [/([([{]) +/gu, "$1"],
  [/(?<=[\p{L}\p{N}_]) ?(['’]) ?(?=[\p{L}\p{N}_])/gu, "$1"],
  [/(?<=[\p{L}\p{N}_]) - (?=[\p{L}\p{N}_])/gu, "-"],
];

function letters() {
  let next = 256;
  const printed = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printed(byte) ? byte : next++));
}

function byteLetters(text) {
  return Array.from(UTF8.encode(text), (byte) => LETTERS[byte]).join("");
}

// Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909): the pair that was learned first is joined first.
class BytePairs {
  constructor(json) {
    if (json.type !== "BPE") throw unknown("model", json);
    if (json.continuing_subword_prefix || json.byte_fallback || json.dropout || json.fuse_unk) {
      throw new Refusal("this page reads BPE without prefixes, byte fallback, dropout and joined unknowns");
    }
    this.vocabulary = new Map(Object.entries(json.vocab));
    this.ranks = new Map(json.merges.map((pair, rank) => [Array.isArray(pair) ? pair.join(" ") : pair, rank]));
    this.end = json.end_of_word_suffix ?? "";
    this.whole = Boolean(json.ignore_merges);
    this.unknown = this.vocabulary.get(json.unk_token);
    this.remembered = new Map();
  }

  // The token of an id.
  named(id) {
    this.names ??= new Map([...this.vocabulary].map(([token, own]) => [own, token]));
    return this.names.get(id);
  }

  ids(word) {
    let ids = this.remembered.get(word);
    if (!ids) {
      const tokens = this.whole && this.vocabulary.has(word) ? [word] : this.join([...word]);
      ids = tokens.map((token) => this.vocabulary.get(token) ?? this.unknown).filter((id) => id !== undefined);
      if (this.remembered.size > 10_000) this.remembered.clear();
      this.remembered.set(word, ids);
    }
    return ids;
  }

  join(letters) {
    let tokens = letters.map((letter, place) => (place + 1 === letters.length ? letter + this.end : letter));
    while (tokens.length > 1) {
      let best = Infinity;
      for (let place = 1; place < tokens.length; place++) {
        best = Math.min(best, this.ranks.get(`${tokens[place - 1]} ${tokens[place]}`) ?? Infinity);
      }
      if (best === Infinity) break;
      const joined = [];
      for (let place = 0; place < tokens.length; place++) {
        const pair = `${tokens[place]} ${tokens[place + 1]}`;
        if (place + 1 < tokens.length && this.ranks.get(pair) === best) joined.push(tokens[place] + tokens[++place]);
        else joined.push(tokens[place]);
      }
      tokens = joined;
    }
    return tokens;
  }
}

// Ids that a post-processor puts before and after those of the text.
function edges(json) {
  switch (json?.type) {
    case undefined:
    case "ByteLevel":
      return [[], []];
    case "RobertaProcessing":
    case "BertProcessing":
      return [[json.cls[1]], [json.sep[1]]];
    case "TemplateProcessing": {
      const place = json.single.findIndex((part) => part.Sequence);
      const ids = (parts) => parts.flatMap(({ SpecialToken: token }) => json.special_tokens[token.id].ids);
      return [ids(json.single.slice(0, place)), ids(json.single.slice(place + 1))];
    }
    case "Sequence": {
      const every = json.processors.map(edges);
      return [every.toReversed().flatMap(([before]) => before), every.flatMap(([, after]) => after)];
    }
    default:
      throw unknown("post-processor", json);
  }
}
