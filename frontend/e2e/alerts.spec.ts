import { readFileSync } from 'fs';
import { join } from 'path';

import { parse } from 'yaml';

import { expect, SOURCE, test } from './about';

interface Rule {
  uid: string;
  title: string;
}

const file = parse(readFileSync(join(__dirname, '../../provisioning/alerting/rules.yaml'), 'utf8')) as { groups: Array<{ rules: Rule[] }> };
const rules = file.groups.flatMap((group) => group.rules);

test('a rule asks one number a group, and is evaluated', async ({ alertRuleEditPage, readProvisionedDataSource, page }) => {
  const { name } = await readProvisionedDataSource(SOURCE);
  const row = await alertRuleEditPage.getQueryRow();
  await row.datasource.set(name);
  await expect(page.getByRole('combobox', { name: 'Measure' })).toHaveValue('Error rate');
  const { results } = await (await alertRuleEditPage.evaluate()).json();
  expect(results.A.error).toBeUndefined();
  expect(results.A.frames.length).toBeGreaterThan(0);
});

for (const { uid, title } of rules) {
  test(`the provisioned rule is healthy: ${title}`, async ({ request }) => {
    await expect
      .poll(
        async () => {
          const { data } = await (await request.get('/api/prometheus/grafana/api/v1/rules')).json();
          const found = data.groups.flatMap((group: { rules: Array<Record<string, string>> }) => group.rules).find((rule: { uid?: string }) => rule.uid === uid);
          return found && [found.health, found.lastError ?? ''];
        },
        // A group is evaluated every five minutes.
        { timeout: 60_000, message: title }
      )
      .toEqual([expect.stringMatching(/^(ok|nodata)$/), '']);
  });
}
