// stdin: a tokenizer.json, length, pad and texts → stdout: what each text becomes, or the line that it is refused with.
import { readFileSync } from "node:fs";
import { Tokenizer } from "../../../export/site/tokenizer.js";

const { tokenizer, length, pad, texts } = JSON.parse(readFileSync(0, "utf8"));
try {
  const made = new Tokenizer(tokenizer, length, pad);
  process.stdout.write(JSON.stringify(texts.map((text) => made.encode(text))));
} catch (error) {
  process.stdout.write(JSON.stringify({ refused: error.message }));
}
