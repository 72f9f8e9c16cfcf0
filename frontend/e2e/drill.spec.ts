// From a number down to the query behind it, by clicking.

import { expect, SOURCE, test } from './about';

test('a DAG of Overview leads to its tasks, a task to its queries, a query to its text', async ({ gotoDashboardPage, page }) => {
  test.setTimeout(400_000);
  const follow = async (address: RegExp): Promise<URL> => {
    const link = page.locator('[data-viz-panel-key] a').and(page.locator(`a[href*="${address.source}"]`)).first();
    await expect(async () => {
      // What is out of sight is not there yet.
      await page.mouse.wheel(0, 600);
      await expect(link).toBeVisible({ timeout: 5_000 });
    }).toPass({ timeout: 120_000 });
    await link.click();
    await page.waitForURL(address);
    return new URL(page.url());
  };
  await gotoDashboardPage({ uid: 'lakeapm-overview', timeRange: { from: 'now-7d', to: 'now' } });
  const dag = await follow(/\/d\/lakeapm-dag/);
  expect(dag.searchParams.get('var-dag')).toMatch(/\w/);
  const task = await follow(/var-key=task/);
  expect(task.searchParams.get('var-value')).toMatch(/\w/);
  const query = await follow(/\/d\/lakeapm-query/);
  expect(query.searchParams.get('var-query_id')).toMatch(/\w/);
  await expect(page.getByText(/\b(select|insert|copy|create|merge|update|delete|unload)\b/i).first()).toBeVisible();
});

test('the value of a panel leads to its queries in Explore', async ({ explorePage, readProvisionedDataSource, page }) => {
  const { uid, type } = await readProvisionedDataSource(SOURCE);
  const pane = { datasource: uid, queries: [{ refId: 'A', datasource: { type, uid }, query: 'queries by dag top 3', format: 'table', mode: 'auto', schemaVersion: 1 }], range: { from: 'now-24h', to: 'now' } };
  await explorePage.goto({ queryParams: new URLSearchParams({ schemaVersion: '1', panes: JSON.stringify({ a: pane }) }) });
  const answer = page.waitForResponse((response) => response.url().includes('/api/ds/query') && (response.request().postData() ?? '').includes('list queries where dag = '));
  await page.getByRole('link', { name: /^[a-z]\w+_/ }).first().click();
  const { results } = await (await answer).json();
  expect(results.A.error).toBeUndefined();
  expect(results.A.frames[0].data.values[0].length).toBeGreaterThan(0);
});
