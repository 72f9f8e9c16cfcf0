// What a dashboard of one's own does with the data source: ad hoc filters, events, and the channel of what runs now.

import { type APIRequestContext } from '@playwright/test';

import { expect, SOURCE, test, TYPE } from './about';

interface Panel {
  type: string;
  title: string;
  datasource: { type: string; uid: string };
  targets: Array<Record<string, unknown>>;
}

/** A dashboard of one panel, which is gone after the test. */
async function dashboard(request: APIRequestContext, uid: string, panel: Panel, more: Record<string, unknown>, look: () => Promise<void>): Promise<void> {
  const body = { uid, title: uid, time: { from: 'now-7d', to: 'now' }, panels: [{ id: 1, gridPos: { x: 0, y: 0, w: 24, h: 12 }, ...panel }], schemaVersion: 41, ...more };
  const saved = await request.post('/api/dashboards/db', { data: { dashboard: body, overwrite: true } });
  expect(saved.ok(), await saved.text()).toBe(true);
  try {
    await look();
  } finally {
    await request.delete(`/api/dashboards/uid/${uid}`);
  }
}

test('ad hoc: what is chosen joins the condition of every panel', async ({ readProvisionedDataSource, gotoDashboardPage, page, request }) => {
  const source = { type: TYPE, uid: (await readProvisionedDataSource(SOURCE)).uid ?? '' };
  const panel = { type: 'table', title: 'By app', datasource: source, targets: [{ refId: 'A', datasource: source, query: 'queries by app', format: 'table', mode: 'auto', schemaVersion: 1 }] };
  const templating = { list: [{ type: 'adhoc', name: 'filters', datasource: source, filters: [] }] };
  await dashboard(request, 'e2e-filters', panel, { templating }, async () => {
    const shown = await gotoDashboardPage({ uid: 'e2e-filters' });
    await shown.waitForPanelsQueriesToComplete();
    const cells = shown.getPanelByTitle('By app').data;
    await expect(cells.filter({ hasText: /^airflow$/ })).toHaveCount(1);
    await page.getByPlaceholder('Filter by label values').click();
    await page.keyboard.type('app');
    await page.getByRole('option', { name: /^app/i }).first().click();
    await page.getByRole('option', { name: /^=(?![=~|])/ }).first().click();
    await page.keyboard.type('dbt');
    await page.getByRole('option', { name: /^dbt/ }).first().click();
    await page.keyboard.press('Escape');
    await expect(cells.filter({ hasText: /^airflow$/ })).toHaveCount(0);
    await expect(cells.filter({ hasText: /^dbt$/ })).toHaveCount(1);
  });
});

test('events: failed runs stand in a time series', async ({ readProvisionedDataSource, gotoDashboardPage, page, request }) => {
  const source = { type: TYPE, uid: (await readProvisionedDataSource(SOURCE)).uid ?? '' };
  const panel = { type: 'timeseries', title: 'Queries', datasource: source, targets: [{ refId: 'A', datasource: source, query: 'queries', format: 'time_series', mode: 'auto', schemaVersion: 1 }] };
  const event = { name: 'Failed runs', enable: true, iconColor: 'red', datasource: source, target: { refId: 'events', query: "list runs where dag is not null and status = 'failed' limit 5", format: 'table', mode: 'auto', schemaVersion: 1 } };
  await dashboard(request, 'e2e-events', panel, { annotations: { list: [event] } }, async () => {
    const shown = await gotoDashboardPage({ uid: 'e2e-events' });
    await shown.waitForPanelsQueriesToComplete();
    await page.getByTestId('data-testid annotation-marker').first().hover();
    await expect(page.getByText(/failed/i).first()).toBeVisible();
  });
});

test('live: what runs now is shown without asking', async ({ readProvisionedDataSource, gotoDashboardPage, request }) => {
  const { uid } = await readProvisionedDataSource(SOURCE);
  const grafana = { type: 'datasource', uid: 'grafana' };
  const panel = { type: 'table', title: 'Running', datasource: grafana, targets: [{ refId: 'A', datasource: grafana, queryType: 'measurements', channel: `ds/${uid}/running` }] };
  await dashboard(request, 'e2e-live', panel, {}, async () => {
    const shown = await gotoDashboardPage({ uid: 'e2e-live' });
    await expect(shown.getPanelByTitle('Running').fieldNames).toContainText(['Started', 'Query', 'User']);
  });
});
