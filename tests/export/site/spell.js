// stdin: a tokenizer.json, rows of ids and the token that ends them → stdout: what each row spells.
import { readFileSync } from "node:fs";
import { Tokenizer } from "../../../export/site/tokenizer.js";

const { tokenizer, rows, end } = JSON.parse(readFileSync(0, "utf8"));
const made = new Tokenizer(tokenizer, 1, end);
process.stdout.write(JSON.stringify(rows.map((row) => made.decode(row, end))));
