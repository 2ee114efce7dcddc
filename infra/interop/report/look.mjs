// Opens a report in a headless Chromium, light and dark, wide and as wide as a phone, and says what is wrong with it: what axe finds, what the console
// says, what the page loads, where it is wider than the screen. Screenshots go to a folder.
//
//   node look.mjs REPORT.html FOLDER
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [report, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const page = pathToFileURL(resolve(report)).href;
const wrong = [];

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"],
});
try {
  for (const scheme of ["light", "dark"]) {
    for (const [name, width, height] of [["wide", 1280, 900], ["phone", 390, 844]]) {
      await look(scheme, name, { width, height, deviceScaleFactor: name === "phone" ? 2 : 1, isMobile: name === "phone" });
    }
  }
} finally {
  await browser.close();
}
for (const line of wrong) console.error(line);
console.log(`${report}: 4 views, ${wrong.length} wrong`);
process.exit(wrong.length ? 1 : 0);

async function look(scheme, name, viewport) {
  const at = (what) => wrong.push(`${scheme}, ${name}: ${what}`);
  const tab = await browser.newPage();
  // The page is looked at as it is, its own policy in force, and only then with axe in it.
  tab.on("request", (r) => r.url() === page || at(`asks for ${r.url()}`));
  tab.on("console", (m) => at(`the console says: ${m.text()}`));
  tab.on("pageerror", (e) => at(`error: ${e.message}`));
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await tab.setViewport(viewport);
  await tab.goto(page, { waitUntil: "load" });
  const seen = await tab.evaluate(() => ({
    width: document.scrollingElement.scrollWidth,
    screen: document.documentElement.clientWidth,
    dark: getComputedStyle(document.body).backgroundColor,
    text: document.body.innerText.length,
    squeezed: [...document.querySelectorAll("th, td")].filter((c) => c.offsetHeight > 12 * c.offsetWidth).length,
    small: [...document.querySelectorAll("svg text")].filter((t) => t.textContent && t.getBoundingClientRect().height < 9).length,
  }));
  if (seen.width > seen.screen) at(`is ${seen.width} pixels wide on a screen of ${seen.screen}`);
  if (seen.text < 500) at(`shows ${seen.text} characters`);
  if (seen.squeezed) at(`${seen.squeezed} cells of tables are columns of letters`);
  if (seen.small) at(`${seen.small} texts of charts are less than 9 pixels high`);
  const light = seen.dark.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) > 3 * 128;
  if (light !== (scheme === "light")) at(`has the background ${seen.dark}`);
  await tab.screenshot({ path: join(folder, `${scheme}-${name}.png`), fullPage: true });

  await tab.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
  await tab.evaluate(axe); // through the debugger, which no policy of the page holds back
  const { violations, passes } = await tab.evaluate(() => window.axe.run({ resultTypes: ["violations", "passes"] }));
  for (const v of violations) {
    const where = v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} (${n.failureSummary.replace(/\s+/g, " ")})`);
    at(`axe: ${v.id}: ${v.help}, ${v.nodes.length} times: ${where.join("; ")}`);
  }
  if (passes.length < 10) at(`axe has looked at ${passes.length} rules only`);
  await tab.close();
}
