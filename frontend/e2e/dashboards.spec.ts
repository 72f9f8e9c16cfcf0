import { readdirSync, readFileSync } from 'fs';
import { join } from 'path';

import { expect, test } from './about';

interface Dashboard {
  uid: string;
  title: string;
  panels: Array<{ id: number; type: string; title: string; gridPos: { y: number; h: number } }>;
  templating: { list: Array<{ name: string; type: string }> };
}

const folder = join(__dirname, '../../dashboards');
const all = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Dashboard);

for (const { uid, title, panels } of all) {
  test(`${title} loads, and no panel is in error`, async ({ gotoDashboardPage, page, request }) => {
    const queryParams = new URLSearchParams();
    if (uid === 'lakeapm-query') {
      // The dashboard of one query needs one.
      const source = { type: 'lakeapm-warehouse-datasource', uid: 'lakeapm-demo' };
      const query = "list queries where status = 'success' and rows_read > 0 order by latency desc limit 1";
      const answer = await request.post('/api/ds/query', { data: { from: 'now-1d', to: 'now', queries: [{ refId: 'A', datasource: source, query, format: 'table', schemaVersion: 1 }] } });
      const { results } = await answer.json();
      const [frame] = results.A.frames;
      const nth = frame.schema.fields.findIndex((field: { name: string }) => field.name === 'query_id');
      queryParams.set('var-query_id', frame.data.values[nth][0]);
    }
    const refused: string[] = [];
    page.on('response', async (response) => {
      if (response.url().includes('/api/ds/query') && !response.ok()) {
        refused.push(await response.text().catch(() => String(response.status())));
      }
    });
    // A panel out of sight asks nothing and is taken out again, so all of them are in sight.
    await page.setViewportSize({ width: 1600, height: 40 * Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) });
    const dashboard = await gotoDashboardPage({ uid, queryParams });
    await dashboard.waitForPanelsQueriesToComplete({ timeout: 120_000 });
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      const shown = dashboard.getPanelById(String(panel.id));
      await expect(shown.locator, panel.title).toBeVisible();
      await expect(shown.getErrorIcon(), panel.title).toBeHidden();
    }
    expect(refused).toEqual([]);
  });
}
