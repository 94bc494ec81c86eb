// Every page of a house that is live, on a desk in light and on a phone in the dark.

import assert from "node:assert/strict";
import { DESK, PHONE } from "../visit.mjs";

/** The first look is there within this time. */
const FIRST_LOOK_MS = 1000;
const LOADS = 3;

const PLACES = [
  { name: "overview", hash: "", shows: "commit to visible, p50" },
  { name: "tables", hash: "tables", shows: "sales_territory" },
];

export default async function run(visit) {
  await firstLook(visit);
  for (const [size, scheme, where] of [
    [DESK, "light", "desk"],
    [PHONE, "dark", "phone"],
  ]) {
    const page = await visit.open("", { size, scheme });
    for (const place of PLACES) {
      await visit.go(place.hash);
      await visit.sees(place.shows);
      await page.waitForTimeout(300);
      await visit.look(`${place.name}-${where}`);
    }
    await page.context().close();
  }
  await keyboard(visit);
}

/** From the address to the state in words; the best of a few, since other tests run on the same cores. */
async function firstLook(visit) {
  const times = [];
  for (let load = 0; load < LOADS; load += 1) {
    const page = await visit.open();
    await page.locator(".state-sentence").waitFor();
    times.push(await page.evaluate(() => performance.now()));
    await page.context().close();
  }
  console.error(`first look: ${times.map((time) => `${Math.round(time)} ms`).join(", ")}`);
  assert.ok(Math.min(...times) < FIRST_LOOK_MS, `the overview took ${times} ms`);
}

async function keyboard(visit) {
  const page = await visit.open();
  await visit.sees("commit to visible, p50");
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await visit.sees("sales_territory");
  await page.keyboard.press("/");
  await page.keyboard.type("customer");
  await page.locator("tbody tr.can-open").nth(1).waitFor({ state: "detached" });
  await page.locator("tbody tr.can-open").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "public.customer" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("terri");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "public.sales_territory" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await visit.look("keys");
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Keys" }).waitFor({ state: "detached" });
  const before = await page.evaluate(() => getComputedStyle(document.body).color);
  await page.getByRole("button", { name: /^Colours/ }).click();
  await page.waitForFunction((old) => getComputedStyle(document.body).color !== old, before);
  await page.context().close();
}
