// Compares what our code tells a runner with what GitHub's own library tells it, for words that try to be more than words.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";

const pieces = ["%", "%25", "%0A", "\n", "\r\n", "\r", ":", "::", ",", "::error::x", "\n::set-output name=a::b", "##[error]x", "a=b", "<<EOF", "EOF", "ghadelimiter_x", "\t", "ä", "\u{1f600}", "]]>", "<b>", "|", "`", "$(x)", "'", '"', "\\", "@you", "#1", " ", "::stop-commands::x", "\u2028", "\u0085"];
const texts = [...pieces];
for (const one of pieces) for (const other of pieces) texts.push(`a${one}${other}b`);

// How a runner undoes what was escaped: "ActionCommand.cs" of actions/runner.
const data = (text) => text.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%25", "%");
const property = (text) => data(text.replaceAll("%3A", ":").replaceAll("%2C", ","));

function parsed(line) {
  const [, kind, properties, message] = /^::(\w+) ([^\n\r]*?)::([^\n\r]*)$/.exec(line) ?? assert.fail(line);
  const pairs = properties.split(",").map((pair) => pair.split("=", 1).concat(pair.slice(pair.indexOf("=") + 1)));
  return { kind, properties: Object.fromEntries(pairs), message };
}

// What the library writes to the standard output.
function said(act) {
  const write = process.stdout.write;
  let text = "";
  process.stdout.write = (part) => ((text += part), true);
  try { act(); } finally { process.stdout.write = write; }
  return text.replace(/\r?\n$/, "");
}

// What a runner reads from a file of outputs: "FileCommandManager.cs" of actions/runner.
function outputs(text) {
  const found = {};
  const lines = text.split(/\r?\n/);
  while (lines.length > 0) {
    const line = lines.shift();
    const [equals, heredoc] = [line.indexOf("="), line.indexOf("<<")];
    if (line === "") continue;
    if (equals >= 0 && (heredoc < 0 || equals < heredoc)) { found[line.slice(0, equals)] = line.slice(equals + 1); continue; }
    assert.ok(heredoc >= 0, line);
    const end = line.slice(heredoc + 2), value = [];
    for (let next = lines.shift(); next !== end; next = lines.shift()) value.push(next ?? assert.fail("no end"));
    found[line.slice(0, heredoc)] = value.join("\n");
  }
  return found;
}

async function compare(file) {
  const scratch = mkdtempSync(join(tmpdir(), "commands-"));
  const counts = { lines: 0, outputs: 0, summaries: 0 };
  for (const ours of JSON.parse(readFileSync(file, "utf8"))) {
    for (const line of ours.lines) {
      const us = parsed(line);
      const words = { title: property(us.properties.title) };
      if (us.properties.file !== undefined) {
        Object.assign(words, { file: property(us.properties.file), startLine: Number(us.properties.line) });
        assert.equal(words.file, ours.text);
        assert.equal(data(us.message), ours.text);
      }
      const them = parsed(said(() => core[us.kind](data(us.message), words)));
      assert.deepEqual(us, them);
      counts.lines++;
    }
    const theirs = join(scratch, "outputs");
    writeFileSync(theirs, "");
    process.env.GITHUB_OUTPUT = theirs;
    const known = outputs(ours.outputs);
    for (const [name, value] of Object.entries(known)) core.setOutput(name, value);
    assert.deepEqual(outputs(readFileSync(theirs, "utf8")), known);
    assert.deepEqual(Object.keys(known), ["conclusion", "failed", "passed", "skipped"]);
    counts.outputs++;
    const summary = join(scratch, "summary");
    writeFileSync(summary, "");
    process.env.GITHUB_STEP_SUMMARY = summary;
    await core.summary.emptyBuffer().addRaw(ours.summary).write({ overwrite: true });
    assert.equal(readFileSync(summary, "utf8"), ours.summary);
    assert.ok(!/<(?!\/?(details|summary|pre|div)>)/.test(ours.summary), ours.summary);
    counts.summaries++;
  }
  console.log(`@actions/core: ${counts.lines} commands, ${counts.outputs} files of outputs and ${counts.summaries} summaries are the same`);
}

if (process.argv[2] === "texts") process.stdout.write(JSON.stringify(texts));
else await compare(process.argv[3]);
