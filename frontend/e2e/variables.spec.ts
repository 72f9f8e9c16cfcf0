import { expect, SOURCE, test } from './about';

test('a variable has the values of a dimension', async ({ variableEditPage, readProvisionedDataSource, page }) => {
  const { name } = await readProvisionedDataSource(SOURCE);
  await variableEditPage.setVariableType('Query');
  await variableEditPage.datasource.set(name);
  const text = page.getByRole('textbox', { name: /Panel query/ });
  await text.focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type("values of app where app = 'airflow'");
  await page.keyboard.press('Escape');
  await variableEditPage.runQuery();
  await expect(variableEditPage).toDisplayPreviews(['airflow']);
});
