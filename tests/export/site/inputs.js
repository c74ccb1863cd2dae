// stdin: a control and texts → stdout: for each its usual form and the conditioner's row, or the line that it is refused with.
import { readFileSync } from "node:fs";
import { KINDS } from "../../../export/site/inputs.js";

const { control, texts } = JSON.parse(readFileSync(0, "utf8"));
const kind = KINDS[control.kind];
const read = (text) => {
  try {
    const parsed = kind.parse(text, control);
    return { text: parsed, row: [...kind.feed(control, parsed).data].map(Number) };
  } catch (error) {
    return { refused: error.message };
  }
};
process.stdout.write(JSON.stringify(texts.map(read)));
