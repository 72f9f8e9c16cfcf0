// What the tests share: the provisioned demo, and what a page complains about.

import { test as base, expect } from '@grafana/plugin-e2e';

import plugin from '../src/plugin.json';

export const TYPE = plugin.id;
export const SOURCE = { fileName: 'lakeapm.yaml', name: 'LakeAPM demo' };

// What a browser says of pages that were left while something was on its way, and of Grafana's own calls home.
const NOISE = /net::ERR_|Failed to load resource|AbortError|plugins from catalog|OpenFeature provider/;

/** A test in which no page may throw or write an error to the console. */
export const test = base.extend<{ complaints: string[] }>({
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' && !NOISE.test(message.text())) {
          complaints.push(message.text().slice(0, 500));
        }
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };
