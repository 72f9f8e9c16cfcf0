import { expect, SOURCE, test } from './about';

test('code: what is typed is asked', async ({ panelEditPage, readProvisionedDataSource, page }) => {
  const { name } = await readProvisionedDataSource(SOURCE);
  await panelEditPage.datasource.set(name);
  await panelEditPage.setVisualization('Table');
  await panelEditPage.timeRange.set({ from: 'now-7d', to: 'now' });
  await page.getByRole('radio', { name: 'Table' }).check({ force: true });
  await page.getByRole('radio', { name: 'Code' }).check({ force: true });
  const text = page.getByRole('textbox', { name: /Panel query/ });
  await text.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('queries, errors by app top 3');
  await page.keyboard.press('Escape');
  const answer = panelEditPage.waitForQueryDataResponse();
  await page.keyboard.press('Control+Enter');
  await expect(answer).toBeOK();
  await expect(panelEditPage.panel.fieldNames).toContainText(['App', 'Queries', 'Errors']);
  await expect(panelEditPage.panel.data.first()).not.toBeEmpty();
});

test('code: a word that is none is named in the panel', async ({ panelEditPage, readProvisionedDataSource, page }) => {
  const { name } = await readProvisionedDataSource(SOURCE);
  await panelEditPage.datasource.set(name);
  await page.getByRole('radio', { name: 'Code' }).check({ force: true });
  await page.getByRole('textbox', { name: /Panel query/ }).focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('latencyy by app');
  await page.keyboard.press('Escape');
  const answer = panelEditPage.waitForQueryDataResponse();
  await page.keyboard.press('Control+Enter');
  expect((await answer).status()).toBe(400);
  await expect(panelEditPage.panel.getErrorIcon()).toBeVisible();
});

test('builder: another measure is another text and other rows', async ({ panelEditPage, readProvisionedDataSource, page }) => {
  const { name } = await readProvisionedDataSource(SOURCE);
  await panelEditPage.datasource.set(name);
  await panelEditPage.setVisualization('Table');
  await page.getByRole('combobox', { name: 'Measure' }).click();
  const answer = panelEditPage.waitForQueryDataResponse();
  await page.getByRole('option', { name: /^Errors/ }).first().click();
  await expect(page.locator('code').filter({ hasText: /^errors/ })).toBeVisible();
  await expect(answer).toBeOK();
});

test('Explore: rows of a list as logs', async ({ explorePage, readProvisionedDataSource, page }) => {
  const { uid, type } = await readProvisionedDataSource(SOURCE);
  const pane = { datasource: uid, queries: [{ refId: 'A', datasource: { type, uid }, query: "list queries where status = 'failed'", format: 'logs', mode: 'auto', schemaVersion: 1 }], range: { from: 'now-24h', to: 'now' } };
  const queryParams = new URLSearchParams({ schemaVersion: '1', panes: JSON.stringify({ a: pane }) });
  await explorePage.goto({ queryParams });
  await expect(page.getByText('Logs volume')).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText(/^ERROR/i).first()).toBeVisible();
});
