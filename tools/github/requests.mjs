// Counts in Prism's log which requests passed GitHub's document, and fails when one did not.
import { readFileSync } from "node:fs";

const lines = readFileSync(process.argv[2], "utf8").replace(/\u001b\[[0-9;]*m/g, "").split("\n");
const asked = lines.map((line) => /\[HTTP SERVER\] (get|post|put|patch|delete) (\S+) .*Request received/.exec(line)).filter(Boolean);
const passed = lines.filter((line) => line.includes("The request passed the validation rules")).length;
const wrong = lines.filter((line) => /violation|Request terminated with error|did not pass/i.test(line));
const kinds = new Set(asked.map(([, method, path]) => `${method.toUpperCase()} ${path.split("?")[0].replace(/\/\d+/g, "/N").replace(/\/c{40}/, "/SHA")}`));
for (const kind of [...kinds].sort()) console.log(`  ${kind}`);
console.log(`Prism: ${asked.length} requests of ${kinds.size} kinds, ${passed} passed, ${wrong.length} complaints`);
for (const line of wrong.slice(0, 20)) console.log(line);
process.exit(asked.length > 0 && passed === asked.length && wrong.length === 0 ? 0 : 1);
