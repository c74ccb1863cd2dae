import js from "@eslint/js";
import globals from "globals";

const rules = { eqeqeq: "error", "prefer-const": "error", "no-var": "error", "max-len": ["error", 140] };

export default [
  js.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.worker } }, rules },
  { files: ["**/service-worker.js"], languageOptions: { sourceType: "script", globals: globals.serviceworker } },
  { files: ["tests/**"], languageOptions: { globals: globals.node } },
];
