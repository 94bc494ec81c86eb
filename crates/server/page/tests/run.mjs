// Drives a real Chromium through one scenario against a running console.
// usage: node tests/run.mjs SCENARIO URL FOLDER
//
// Who starts this also owns the house that is looked at. A line of JSON on standard output asks it to do something
// ({"do": "stop_postgres"}), a line on standard input says that it is done. Pictures go to FOLDER. Any complaint of
// the page or of the browser, a breach of the security policy included, fails the scenario.

import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Visit } from "./visit.mjs";

const [scenario, url, folder] = process.argv.slice(2);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the owner of the house to do something, and waits until it is done. */
async function house(verb) {
  process.stdout.write(`${JSON.stringify({ do: verb })}\n`);
  const { value, done } = await answers.next();
  if (done) throw new Error(`nobody answered to ${verb}`);
  return value;
}

await mkdir(folder, { recursive: true });
const { default: run } = await import(`./scenarios/${scenario}.mjs`);
const visit = await Visit.begin(url, folder, scenario);
let failure = null;
try {
  await run(visit, house);
} catch (error) {
  failure = error;
  await visit.last();
}
const complaints = await visit.end();
if (complaints.length > 0) console.error(`the page complained:\n${complaints.join("\n")}`);
if (failure) console.error(failure);
process.exit(failure || complaints.length > 0 ? 1 : 0);
