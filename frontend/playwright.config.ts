// End-to-end tests against a running Grafana: `npm run e2e`.

import type { PluginOptions } from '@grafana/plugin-e2e';
import { defineConfig } from '@playwright/test';
import { dirname, join } from 'path';

const address = process.env.GRAFANA_URL;
if (!address) {
  throw new Error('GRAFANA_URL is not set, so no end-to-end test ran. It is the address of a Grafana with LakeAPM, such as http://localhost:3000 after `npm run server`.');
}
const state = 'playwright/.auth/admin.json';

export default defineConfig<PluginOptions>({
  testDir: 'e2e',
  outputDir: 'playwright/results',
  // One demo answers them all, on two cores.
  workers: 1,
  timeout: 150_000,
  expect: { timeout: 20_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: {
    baseURL: address.replace(/\/$/, ''),
    provisioningRootDir: join(__dirname, '../provisioning'),
    viewport: { width: 1600, height: 1200 },
    timezoneId: 'UTC',
    trace: 'retain-on-failure',
    launchOptions: { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] },
    // Nothing is drawn for its own sake on a machine without a graphics card.
    contextOptions: { reducedMotion: 'reduce' },
  },
  projects: [
    { name: 'login', testDir: join(dirname(require.resolve('@grafana/plugin-e2e')), 'auth'), testMatch: [/.*\.js/] },
    { name: 'grafana', use: { storageState: state }, dependencies: ['login'] },
  ],
});
