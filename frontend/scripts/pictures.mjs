// Pictures of every dashboard and editor in a running Grafana, and what is wrong with them: errors of panels and of the
// browser's console, panels without data.
//
//     GRAFANA_URL=http://localhost:3000 node scripts/pictures.mjs [--to FOLDER] [--theme light] [--only NAME,…] [--all]
//
// Grafana has the plugin, the provisioned demo and the dashboards (`npm run server`). Who is not let in without a login says
// GRAFANA_USER and GRAFANA_PASSWORD. A picture shows the top of a long dashboard; everything in it is
// loaded and looked at. `--all` shows the whole of it, and takes more pictures.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';
import UPNG from 'upng-js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    to: { type: 'string', default: join(root, 'docs/pictures') },
    theme: { type: 'string', default: 'dark' },
    only: { type: 'string' },
    all: { type: 'boolean', default: false },
  },
});
const { GRAFANA_URL, GRAFANA_USER, GRAFANA_PASSWORD, CHROMIUM = '/usr/bin/chromium' } = process.env;
if (!GRAFANA_URL) {
  console.error('GRAFANA_URL is not set: no picture was taken. It is the address of a Grafana with LakeAPM, such as http://localhost:3000');
  process.exit(2);
}
const grafana = GRAFANA_URL.replace(/\/$/, '');
const SOURCE = 'lakeapm-demo';
const WIDTH = 1600;
const TALLEST = 1400;
// What Grafana itself says in the console, whatever the plugin does.
const NOISE = /Failed to load resource|net::ERR_|favicon|grafana-lokiexplore|plugins from catalog|Download the React DevTools/;

const headers = GRAFANA_USER ? { Authorization: `Basic ${Buffer.from(`${GRAFANA_USER}:${GRAFANA_PASSWORD}`).toString('base64')}` } : {};

/** The rows of a panel query, one object each. */
async function rows(query, from = 'now-7d') {
  const body = { from, to: 'now', queries: [{ refId: 'A', datasource: { uid: SOURCE }, query, format: 'table', mode: 'auto', schemaVersion: 1, intervalMs: 60000, maxDataPoints: 500 }] };
  const response = await fetch(`${grafana}/api/ds/query`, { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const { results, message } = await response.json();
  const [frame] = results?.A?.frames ?? [];
  if (!frame) throw new Error(`${query}: ${results?.A?.error ?? message ?? response.status}`);
  const names = frame.schema.fields.map(({ name }) => name);
  return (frame.data.values[0] ?? []).map((_, nth) => Object.fromEntries(names.map((name, column) => [name, frame.data.values[column][nth]])));
}

/** Whether every panel that is there has come to rest. */
async function settled(page) {
  await page.waitForLoadState('networkidle', { timeout: 60_000 }).catch(() => {});
  await page.waitForFunction(() => !document.querySelector('[aria-label="Panel loading bar"], [data-testid="Spinner"]'), undefined, { timeout: 120_000 }).catch(() => {});
  await page.waitForTimeout(1200);
}

/** Sixteen to 256 colours instead of sixteen million: a third of the size, and no difference to be seen. */
function smaller(png) {
  const image = UPNG.decode(png);
  return Buffer.from(UPNG.encode(UPNG.toRGBA8(image), image.width, image.height, 256));
}

/** The dashboards, with what their variables need. */
async function dashboards() {
  const found = readdirSync(join(root, 'dashboards')).map((file) => JSON.parse(readFileSync(join(root, 'dashboards', file), 'utf8')));
  const [slow] = await rows("list queries where task = 'margin_report/price_products' and latency > 60 order by latency desc limit 1", 'now-3d');
  const about = { 'lakeapm-query': `&var-query_id=${encodeURIComponent(slow?.query_id ?? '')}&from=now-3d&to=now`, 'lakeapm-dag': '&var-dag=margin_report' };
  return found.map(({ uid }) => ({ name: uid.replace('lakeapm-', ''), path: `/d/${uid}/?${(about[uid] ?? '').slice(1)}`, dashboard: true }));
}

const explore = (query, format) =>
  `/explore?schemaVersion=1&orgId=1&panes=${encodeURIComponent(JSON.stringify({ a: { datasource: SOURCE, queries: [{ refId: 'A', datasource: { type: 'lakeapm-warehouse-datasource', uid: SOURCE }, query, format, mode: 'auto', schemaVersion: 1 }], range: { from: 'now-24h', to: 'now' } } }))}`;

const shots = [
  ...(await dashboards()),
  { name: 'config', path: `/connections/datasources/edit/${SOURCE}`, height: 1000 },
  { name: 'builder', path: '/d/lakeapm-overview/?editPanel=7', height: 1000 },
  {
    name: 'code',
    path: '/d/lakeapm-overview/?editPanel=8',
    height: 1000,
    act: async (page) => {
      await page.getByRole('radio', { name: 'Code' }).check({ force: true });
      const text = page.getByRole('textbox', { name: /Panel query/ });
      await text.focus();
      await page.keyboard.press('Control+End');
      await page.keyboard.type(' ');
      await page.keyboard.press('Control+Space');
      await page.waitForTimeout(1500);
    },
  },
  { name: 'explore', path: explore('p95 latency by dag top 8', 'time_series'), height: 1000 },
  // Looked at, not shown.
  ...(options.all
    ? [
        { name: 'explore-table', path: explore('cost, queries, error_rate by app, team', 'table'), height: 1000 },
        { name: 'explore-logs', path: explore("list queries where status = 'failed'", 'logs'), height: 1000 },
        { name: 'alerts', path: '/alerting/list', height: 1000 },
      ]
    : []),
].filter(({ name }) => !options.only || options.only.split(',').includes(name));

mkdirSync(options.to, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
let wrong = 0;
const complain = (name, sentence) => {
  wrong += 1;
  console.log(`${name}: ${sentence}`);
};
try {
  const context = await browser.newContext({ viewport: { width: WIDTH, height: 1000 }, extraHTTPHeaders: headers, timezoneId: 'UTC', reducedMotion: 'reduce' });
  context.setDefaultTimeout(180_000);
  await context.addInitScript(() => {
    localStorage.setItem('grafana.navigation.docked', 'false');
    localStorage.setItem('grafana.whatsNew.closed', 'true');
  });
  for (const { name, path, height, act, dashboard } of shots) {
    const page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && !NOISE.test(message.text()) && complain(name, `console: ${message.text().slice(0, 400)}`));
    page.on('pageerror', (error) => complain(name, `page: ${error.message.slice(0, 400)}`));
    page.on('response', async (response) => {
      if (response.status() >= 400 && /\/api\/(ds|datasources)|\/public\/plugins\/lakeapm/.test(response.url())) complain(name, `${response.status()} ${response.url().slice(0, 200)} ${(await response.text().catch(() => '')).slice(0, 300)}`);
    });
    await page.goto(`${grafana}${path}${path.includes('?') ? '&' : '?'}theme=${options.theme}`);
    if (dashboard) await page.waitForSelector('[data-viz-panel-key]');
    await page.waitForTimeout(1500);
    await settled(page);
    if (dashboard) {
      // A panel asks when it is first seen, so all of them have to be in sight.
      for (let turn = 0; turn < 3; turn += 1) {
        const tall = await page.evaluate(() => Math.max(document.documentElement.scrollHeight, document.body.scrollHeight));
        await page.setViewportSize({ width: WIDTH, height: tall });
        await settled(page);
      }
      const said = await page.evaluate(() =>
        [...document.querySelectorAll('[data-viz-panel-key]')].map((panel) => ({
          title: panel.querySelector('h2, h3, h6')?.textContent ?? '?',
          error: panel.querySelector('[data-testid="data-testid Panel status error"]')?.getAttribute('aria-label') ?? (panel.querySelector('[data-testid="data-testid Panel status error"]') ? 'error' : null),
          empty: /No data/.test(panel.textContent ?? '') || !!panel.querySelector('[data-testid="data-testid Panel data error message"]'),
        }))
      );
      for (const { title, error, empty } of said) {
        if (error) complain(name, `panel ${title}: ${error}`);
        else if (empty) complain(name, `panel ${title}: no data`);
      }
      if (said.length === 0) complain(name, 'no panel was found');
      const links = await page.evaluate(() => [...document.querySelectorAll('[data-viz-panel-key] a[href]')].map((link) => link.getAttribute('href')));
      for (const link of new Set(links.filter((href) => /\$\{|%24%7B|undefined/.test(href)))) complain(name, `a link with a variable that is not replaced: ${link}`);
    }
    await act?.(page);
    const size = page.viewportSize();
    const tall = options.all ? size.height : Math.min(size.height, height ?? TALLEST);
    const file = join(options.to, `${name}${options.theme === 'dark' ? '' : `-${options.theme}`}.png`);
    const png = smaller(await page.screenshot({ clip: { x: 0, y: 0, width: WIDTH, height: tall } }));
    writeFileSync(file, png);
    console.log(`${file}: ${Math.round(png.length / 1000)} kB`);
    if (png.length > 400_000 && !options.all) complain(name, 'is larger than 400 kB');
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(`${shots.length} pictures, ${wrong} things wrong`);
process.exitCode = wrong ? 1 : 0;
