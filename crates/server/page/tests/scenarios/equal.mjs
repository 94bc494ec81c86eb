// One more picture for the README: the comparison of both sides, of a house whose source stands still.

import { PICTURE } from "../visit.mjs";

export default async function run(visit) {
  for (const scheme of ["light", "dark"]) {
    const page = await visit.open("verify", { size: PICTURE, scheme });
    await page.getByRole("button", { name: /^Compare all/ }).click();
    await visit.sees(/^Every row equal/);
    await visit.picture(`verify-${scheme}`);
    await page.context().close();
  }
}
