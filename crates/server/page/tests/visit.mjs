// A browser on a visit: pages that are watched for complaints, pictures, the check for accessibility.

import assert from "node:assert/strict";
import { availableParallelism, loadavg } from "node:os";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const EXECUTABLE = process.env.WALHOUSE_TEST_CHROMIUM ?? "/usr/bin/chromium";
/** How long a state may take to show on a busy machine. */
const PATIENCE_MS = 60_000;

/** The first look is there within this time. */
const FIRST_LOOK_MS = 1000;
const LOADS = 3;

export const DESK = { width: 1280, height: 860 };
/** Of the README. */
export const PICTURE = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export class Visit {
  static async begin(url, folder, name) {
    const browser = await chromium.launch({ executablePath: EXECUTABLE, args: ["--no-sandbox", "--font-render-hinting=none"] });
    return new Visit(browser, url, folder, name, await readFile(AXE, "utf8"));
  }

  constructor(browser, url, folder, name, axe) {
    Object.assign(this, { browser, url, folder, name, axe, complaints: [], forgiven: [], page: null });
  }

  /** A page in a browser of its own: without what another one stored. */
  async open(hash = "", { size = DESK, scheme = "light" } = {}) {
    const context = await this.browser.newContext({ viewport: size, colorScheme: scheme, reducedMotion: "reduce" });
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: this.url });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complain(message.text());
    });
    page.on("pageerror", (error) => this.complain(error.stack ?? error.message));
    page.on("request", (request) => {
      if (!request.url().startsWith(this.url) && !request.url().startsWith("blob:")) this.complain(`it asked ${request.url()}`);
    });
    this.page = page;
    await page.goto(`${this.url}/${hash ? `#/${hash}` : ""}`);
    return page;
  }

  complain(text) {
    if (!this.forgiven.some((part) => text.includes(part))) this.complaints.push(text);
  }

  /** From now on complaints with this text are expected: a request that shall fail, a server that is gone. */
  forgive(part) {
    this.forgiven.push(part);
  }

  async go(hash) {
    await this.page.evaluate((target) => {
      location.hash = target;
    }, `#/${hash}`);
  }

  async shot(name) {
    await this.page.screenshot({ path: join(this.folder, `${this.name}-${name}.png`) });
  }

  /** A picture for others to see: smaller than a test's. */
  async picture(name) {
    this.encoder ??= await (await this.browser.newContext()).newPage();
    const png = await this.page.screenshot();
    const webp = await this.encoder.evaluate(webpOf, png.toString("base64"));
    await writeFile(join(this.folder, `${name}.webp`), Buffer.from(webp, "base64"));
  }

  /** What the console says it can do. */
  async features() {
    return this.page.evaluate(async () => (await (await fetch("api/session")).json()).features);
  }

  /** No violation of any rule that axe knows, and nothing that sticks out at the side. */
  async accessible(what) {
    const { page } = this;
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(this.axe);
    const violations = await page.evaluate(async () => {
      const result = await window.axe.run(document, { resultTypes: ["violations"] });
      return result.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => `${node.html.slice(0, 160)} (${node.any[0]?.message ?? node.failureSummary})`).join(" | ")}`);
    });
    assert.deepEqual(violations, [], `${what} is not accessible`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${what} is ${wide} pixels wider than the window`);
  }

  /** Picture and check in one. */
  async look(name) {
    await this.shot(name);
    await this.accessible(name);
  }

  async sees(text) {
    await this.page.getByText(text).first().waitFor();
  }

  async press(name) {
    await this.page.getByRole("button", { name, exact: true }).first().click();
  }

  async last() {
    try {
      await this.shot("failed");
      console.error(`at ${this.page.url()}:\n${await this.page.locator("body").innerText()}`);
    } catch {
      // There is no page to look at.
    }
  }

  async end() {
    await this.browser.close();
    return this.complaints;
  }
}

/**
 * From the address to the state in words; the best of a few. Other tests may run on the same cores: where more wants
 * to run than there are cores, everything takes as many times as long.
 */
export async function firstLook(visit) {
  const times = [];
  for (let load = 0; load < LOADS; load += 1) {
    const page = await visit.open();
    await page.locator(".state-sentence").waitFor();
    times.push(await page.evaluate(() => performance.now()));
    await page.context().close();
  }
  const crowding = Math.max(1, loadavg()[0] / availableParallelism());
  const said = `first look: ${times.map((time) => `${Math.round(time)} ms`).join(", ")}, ${crowding.toFixed(1)} for a core`;
  console.error(said);
  assert.ok(Math.min(...times) < FIRST_LOOK_MS * crowding, said);
}

/** Runs in a browser, which can write what Node cannot. */
async function webpOf(png) {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.9 });
  const webp = new Uint8Array(await blob.arrayBuffer());
  return btoa(webp.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}
