import { getBackendSrv } from '@grafana/runtime';
import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import React, { useState } from 'react';

import { type LakeSettings } from '../types';
import ConfigEditor from './ConfigEditor';
import { WAREHOUSES } from './warehouses';

jest.mock('@grafana/runtime', () => ({ ...jest.requireActual('@grafana/runtime'), getBackendSrv: jest.fn() }));

const post = jest.fn();
beforeEach(() => {
  post.mockReset().mockResolvedValue([{ app: 'airflow', dag: 'daily_aggs', annotations: {} }]);
  jest.mocked(getBackendSrv).mockReturnValue({ post } as never);
});

function open(jsonData: LakeSettings = {}, more = {}) {
  const changed = jest.fn();
  function Page() {
    const [options, setOptions] = useState({ uid: 'apm', jsonData, secureJsonFields: {}, secureJsonData: {}, readOnly: false, ...more });
    return (
      <ConfigEditor
        options={options as never}
        onOptionsChange={(next) => {
          changed(next);
          setOptions(next as never);
        }}
      />
    );
  }
  render(<Page />);
  return changed;
}

describe('the settings', () => {
  it('begin with the demo, which needs nothing', async () => {
    open();
    expect(await screen.findByRole('combobox', { name: /^Warehouse/ })).toHaveValue('Demo');
    expect(screen.queryByRole('textbox', { name: /Host/ })).not.toBeInTheDocument();
  });

  it('ask at most three things before a warehouse answers', () => {
    for (const { fields } of WAREHOUSES) {
      expect(fields.filter(({ needed }) => needed).length).toBeLessThanOrEqual(3);
    }
  });

  it('take the fields of a warehouse, the password as a secret', async () => {
    const changed = open({ warehouse: 'redshift' });
    const user = userEvent.setup();
    await user.type(await screen.findByRole('textbox', { name: /Host/ }), 'h');
    await user.type(screen.getByLabelText(/^Password/), 'p');
    expect(changed.mock.lastCall?.[0]).toMatchObject({ jsonData: { warehouse: 'redshift', host: 'h' }, secureJsonData: { password: 'p' } });
    expect(JSON.stringify(changed.mock.lastCall?.[0].jsonData)).not.toContain('"p"');
    expect(screen.getByLabelText(/^Password/)).toHaveAttribute('autocomplete', 'new-password');
  });

  it('ask for keys and no password where AWS gives the login', async () => {
    const changed = open({ warehouse: 'redshift', auth: 'iam' });
    await userEvent.setup().type(await screen.findByLabelText(/^Workgroup/), 'w');
    expect(changed.mock.lastCall?.[0].jsonData).toMatchObject({ auth: 'iam', aws: { workgroup: 'w' } });
    expect(screen.getByLabelText(/^AWS secret key/)).toBeInTheDocument();
    expect(screen.queryByLabelText(/^Password/)).not.toBeInTheDocument();
  });

  it('let rules wake a sleeping workgroup only when they are told to', async () => {
    const changed = open({ warehouse: 'redshift', history: '/h' });
    await userEvent.setup().click(await screen.findByLabelText(/^Wake a serverless workgroup/));
    expect(changed.mock.lastCall?.[0].jsonData).toMatchObject({ allow_wake: true });
    await userEvent.setup().click(screen.getByLabelText(/^Wake a serverless workgroup/));
    expect(changed.mock.lastCall?.[0].jsonData.allow_wake).toBeUndefined();
  });

  it('never show a secret that is set', async () => {
    open({ warehouse: 'redshift' }, { secureJsonFields: { password: true } });
    expect(await screen.findByLabelText(/^Password/)).toBeDisabled();
    expect(screen.getByRole('button', { name: /reset/i })).toBeInTheDocument();
  });

  it('cannot be changed where a file provides them', async () => {
    open({ warehouse: 'redshift', bill: [{ node_type: 'ra3.4xlarge', nodes: 2 }], rules: [{ dimension: 'team', keys: ['owner'] }], limits: { rows: 1 } }, { readOnly: true });
    for (const field of [...screen.getAllByRole('textbox'), ...screen.getAllByRole('combobox'), ...screen.getAllByRole('spinbutton')]) {
      if (field.getAttribute('aria-label') !== 'SQL to try the rules on') {
        expect(field).toBeDisabled();
      }
    }
  });

  it('try the rules on pasted SQL through the backend', async () => {
    open({ rules: [{ dimension: 'team', keys: ['owner'] }] });
    expect(await screen.findByText('daily_aggs')).toBeInTheDocument();
    expect(post).toHaveBeenCalledWith(
      '/api/datasources/uid/apm/resources/rules-preview',
      expect.objectContaining({ rules: [{ dimension: 'team', keys: ['owner'] }], statements: [{ sql: expect.stringContaining('daily_aggs') }] }),
      expect.anything()
    );
    post.mockResolvedValue({ error: { message: 'rule 1 names no pattern' } });
    await userEvent.type(screen.getByRole('textbox', { name: 'SQL to try the rules on' }), ' ');
    expect(await screen.findByText('rule 1 names no pattern')).toBeInTheDocument();
  });

  it('keep the names that are written in full', async () => {
    const entry = { dimension: 'dashboard', value: 'metabase:12', name: 'Sales' };
    const changed = open({ rules: [{ where: 'not signed', team: 'bi' }], names: [entry] });
    const names = await screen.findByPlaceholderText(/people.csv/);
    await userEvent.type(names, 'a.csv{Enter}');
    await waitFor(() => expect(changed.mock.lastCall?.[0].jsonData.names).toEqual(['a.csv', entry]));
  });
});
