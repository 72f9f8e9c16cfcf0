// Pictures of the editors in both themes, with the real backend behind them, and what axe finds wrong with them.
//
//     node preview/shoot.mjs PROGRAM [HISTORY] [--to FOLDER]

import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';

import { serve } from './server.mjs';

const { values, positionals } = parseArgs({ options: { to: { type: 'string', default: 'preview/pictures' }, only: { type: 'string' } }, allowPositionals: true });
const [program, history] = positionals;
const SHOWN = ['query', 'table', 'list', 'code', 'config', 'redshift', 'provisioned', 'variable', 'annotation', 'help'].filter((each) => !values.only || values.only.split(',').includes(each));

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
let violations = 0;

mkdirSync(values.to, { recursive: true });
const { address, stop } = await serve(program, history);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  for (const theme of ['dark', 'light']) {
    for (const show of SHOWN) {
      const page = await browser.newPage({ viewport: { width: 1280, height: 360 } });
      page.on('console', (message) => message.type() === 'error' && !/404|grafanaBootData/.test(message.text()) && console.log(`${show} ${theme}: ${message.text().slice(0, 300)}`));
      page.on('pageerror', (error) => console.log(`${show} ${theme}: ${error.message.slice(0, 300)}`));
      await page.goto(`${address}/?theme=${theme}&show=${show}`);
      await page.waitForTimeout(show === 'code' ? 4000 : 2500);
      if (show === 'code') {
        // With the keyboard alone: into the text, to its end, and what fits there.
        await page.getByRole('textbox', { name: /Panel query/ }).focus();
        await page.keyboard.press('Control+End');
        await page.keyboard.type(' and s');
        await page.waitForTimeout(1500);
        await page.screenshot({ path: `${values.to}/completion-${theme}.png` });
        await page.keyboard.press('Escape');
      }
      if (show === 'table') await page.getByRole('button', { name: 'SQL' }).click();
      if (show === 'query' && theme === 'dark') {
        await page.getByRole('combobox', { name: 'Measure' }).click();
        await page.waitForTimeout(500);
        await page.screenshot({ path: `${values.to}/measures-${theme}.png` });
        await page.keyboard.press('Escape');
      }
      await page.waitForTimeout(500);
      await page.screenshot({ path: `${values.to}/${show}-${theme}.png`, fullPage: true });
      await page.addScriptTag({ path: axe });
      for (const { id, help, nodes } of await page.evaluate(async () => (await globalThis.axe.run('main')).violations)) {
        violations += 1;
        console.log(`${show} ${theme}: ${id}: ${help}\n    ${nodes.map(({ html }) => html.slice(0, 200)).join('\n    ')}`);
      }
      await page.close();
    }
  }
} finally {
  await browser.close();
  stop();
}
console.log(`${violations} violations of accessibility`);
process.exitCode = violations ? 1 : 0;
