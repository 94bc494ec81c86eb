// A house whose tables are being copied, and then are live: the page follows without being touched.

import { PHONE } from "../visit.mjs";

export default async function run(visit, house) {
  const page = await visit.open();
  await visit.sees(/^Copying/);
  await visit.look("overview");
  await visit.go("tables");
  await page.getByRole("progressbar").first().waitFor();
  await visit.look("tables");
  await visit.open("", { size: PHONE, scheme: "dark" });
  await visit.sees(/^Copying/);
  await visit.look("phone");
  await house("go_on");
  await visit.sees(/^Live/);
  await visit.look("done");
}
