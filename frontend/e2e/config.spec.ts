import { expect, SOURCE, test, TYPE } from './about';

test('a new data source works as it is: the demo', async ({ createDataSourceConfigPage, page }) => {
  const config = await createDataSourceConfigPage({ type: TYPE });
  await expect(page.getByRole('combobox', { name: 'Warehouse' })).toHaveValue(/Demo/);
  await expect(config.saveAndTest()).toBeOK();
  await expect(config).toHaveAlert('success');
});

test('a history that is not there is named', async ({ createDataSourceConfigPage, page }) => {
  const config = await createDataSourceConfigPage({ type: TYPE });
  await page.getByRole('combobox', { name: 'Warehouse' }).fill('History');
  await page.getByRole('option', { name: /^History/ }).first().click();
  await page.getByRole('textbox', { name: /Folder of the history/ }).fill('/nowhere/at/all');
  await expect(config.saveAndTest()).not.toBeOK();
  await expect(config).toHaveAlert('error', { hasText: /\/nowhere\/at\/all/ });
});

test('what was provisioned is shown, tested and not changed', async ({ readProvisionedDataSource, gotoDataSourceConfigPage, page }) => {
  const { uid } = await readProvisionedDataSource(SOURCE);
  await gotoDataSourceConfigPage(uid ?? '');
  await expect(page.getByRole('combobox', { name: 'Warehouse' })).toBeDisabled();
});
